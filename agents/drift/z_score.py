"""The sliding z-score: how many standard deviations of its own window the newest value lies from the mean.

Shewhart's control limits ("Economic Control of Quality of Manufactured Product", 1931) on a window that slides. The
window includes the newest value, so |z| cannot exceed (n − 1) / √n, and a lasting change becomes the window's new
normal: it finds when something changes, not that it stays changed.
"""

from __future__ import annotations

import math
import struct
from typing import Any, Final, Self, get_args

import numpy as np
from numpy.typing import ArrayLike

from agents.drift.detector import Direction, Verdict, Watched
from schemas.kernel import bare, plain, with_others
from streams.windows import CountWindow, Floats, Pushed

#: A deviation no larger than this is a constant series, whatever the last digits say.
CONSTANT: Final = float(np.finfo(np.float32).eps)

_VERSION: Final = 1
#: Version, threshold, direction, min_samples; then the window.
_HEAD: Final = struct.Struct("<BdBI")


class ZScore:
    """Fires where |z| > `threshold`, from `min_samples` values (in a window of `size`) on; never warns.

    `direction` says which side counts: "up", "down" or "both". Where the standard deviation is at most float32's
    epsilon, z is 0.

    >>> detector = ZScore(size=20, min_samples=5)
    >>> [index for index, _ in detector.update_many([0.9, 0.91] * 8 + [0.2])]
    [16]
    """

    name = "z_score"

    def __init__(
        self, *, threshold: float = 3.0, direction: Watched = "both", size: int = 500, min_samples: int = 50
    ) -> None:
        if not (math.isfinite(threshold) and threshold > 0):
            raise ValueError(f"threshold: expected a finite number above 0, got {threshold}")
        if direction not in get_args(Watched):
            raise ValueError(f"direction: expected one of {', '.join(get_args(Watched))}, got {direction!r}")
        if not 2 <= min_samples <= size:
            raise ValueError(f"min_samples: expected from 2 to size ({size}), got {min_samples}")
        self.threshold = float(threshold)
        self.direction: Watched = direction
        self.min_samples = min_samples
        self._window = CountWindow(size)

    def update(self, value: float) -> Verdict:
        """Take in one value; raises ValueError if it is not finite."""
        values = np.array([value], dtype=np.float64)
        scores = _scores(values, self._window.push_many(values))
        return self._verdict(float(scores[0]), bool(self._fires(scores, self._window.pushed)[0]))

    def update_many(self, values: ArrayLike, *, with_ends: bool = False) -> list[tuple[int, Verdict]]:
        """Take in many; (index, verdict) of those that fire. Raises ValueError, taking none, if one is not finite."""
        array = np.asarray(values, dtype=np.float64)
        return self.judge(array, self._window.push_many(array))

    def judge(self, values: Floats, statistics: Pushed) -> list[tuple[int, Verdict]]:
        """(index, verdict) of the values that fire, from the window's statistics after each."""
        if load.done and not self._may_fire(values, statistics):
            return []
        scores = _scores(values, statistics)
        fires = self._fires(scores, statistics.count)
        return [(int(index), self._verdict(float(scores[index]), True)) for index in np.flatnonzero(fires)]

    def is_calm(self, value: float, count: int, mean: float, std: float) -> bool:
        """Whether one value does not fire, from the window's statistics after it; as `judge`, without arrays."""
        if count < self.min_samples or std <= CONSTANT:
            return True
        score = (value / 2 - mean / 2) / (std / 2)
        if self.direction == "both":
            return not abs(score) > self.threshold
        return not (score if self.direction == "up" else -score) > self.threshold

    def state(self) -> bytes:
        """Parameters and window."""
        direction = get_args(Watched).index(self.direction)
        return _HEAD.pack(_VERSION, self.threshold, direction, self.min_samples) + self._window.encode()

    @classmethod
    def from_state(cls, data: bytes) -> Self:
        """The detector that wrote `data`; raises ValueError for anything else."""
        if len(data) < _HEAD.size or data[0] != _VERSION:
            raise ValueError(f"z_score: expected a state of format {_VERSION}, got {data[:1]!r} in {len(data)} bytes")
        _, threshold, direction, min_samples = _HEAD.unpack_from(data)
        window, directions = CountWindow.decode(data[_HEAD.size :]), get_args(Watched)
        if direction >= len(directions):
            raise ValueError(f"z_score: expected a direction below {len(directions)}, got {direction}")
        watched = directions[direction]
        detector = cls(threshold=threshold, direction=watched, size=window.size, min_samples=min_samples)
        detector._window = window
        return detector

    def _fires(self, scores: Floats, count: np.typing.NDArray[np.int64] | int) -> np.typing.NDArray[np.bool_]:
        beyond = {"both": np.abs(scores), "up": scores, "down": -scores}[self.direction] > self.threshold
        return np.asarray(beyond & (np.asarray(count) >= self.min_samples))

    def _may_fire(self, values: Floats, statistics: Pushed) -> bool:
        """Whether any value does, by the kernel."""
        of = plain(values), plain(statistics.mean), plain(statistics.std), statistics.count, self.min_samples
        is_up, is_down = self.direction != "down", self.direction != "up"
        return bool(any_beyond.compiled(*of, self.threshold, is_up, is_down))

    def _verdict(self, score: float, fires: bool) -> Verdict:
        direction: Direction = "none" if not fires else "up" if score > 0 else "down"
        return Verdict(fires, False, direction, score, self.threshold)


@bare
def any_beyond(
    values: Floats, mean: Floats, std: Floats, count: Any, least: int, threshold: float, is_up: bool, is_down: bool
) -> bool:
    """Whether a z, as `_scores` has it, lies beyond the threshold, upwards or downwards, in a window of `least` values.

    Digits and decisions are those of numpy, in one pass.
    """
    for at in range(len(values)):
        if std[at] > CONSTANT and count[at] >= least:
            score = (values[at] / 2 - mean[at] / 2) / (std[at] / 2)
            if (is_up and score > threshold) or (is_down and -score > threshold):
                return True
    return False


@with_others
def load() -> None:
    """Have the kernel from now on. Needs numba."""
    any_beyond.compiled(np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(1, np.int64), 2, 3.0, True, True)


def _scores(values: Floats, statistics: Pushed) -> Floats:
    """Each value's z in its window; 0 for a constant series. Halved first, for the difference may overflow."""
    std = statistics.std
    constant = std <= CONSTANT
    halves = values / 2 - statistics.mean / 2
    return np.where(constant, 0.0, halves / np.where(constant, 1.0, std / 2))
