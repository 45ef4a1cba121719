"""A sliding window over the newest `size` values, whose numbers do not depend on how values were split into batches.

Subtracting what leaves a running sum loses digits, and the loss depends on everything that ever went by. Here nothing
is subtracted. Values are numbered, blocks of `size` values begin at multiples of `size`, and a window is the suffix of
one block and the prefix of the next:

        block b - 1          block b
    |. . . . . s s s s s|p p p p p        window = s + p
                             ^ newest

Prefixes are summed forwards from the block's start, suffixes backwards from its end (the "two stacks" of sliding-window
aggregation; Tangwongsan, Hirzel, Schneider: "Low-Latency Sliding-Window Aggregation in Worst-Case Constant Time",
2017), both of deviations from a level inside the data (the shifted-data algorithm; Chan, Golub, LeVeque: "Algorithms
for Computing the Sample Variance", 1983). Every number follows from (number of values, level, newest `size` values).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

#: Below this share of n (mean − level)², the squared deviations have lost too many digits and are summed anew.
_WELL_CONDITIONED: Final = 1e-6

_LARGEST: Final = float(np.finfo(np.float64).max)
_EMPTY: Final = np.empty(0)

_VERSION: Final = 1
#: Version, size, values ever pushed, level; then the newest values as little-endian doubles.
_HEAD: Final = struct.Struct("<BIQd")


@dataclass(frozen=True, slots=True)
class Summary:
    """A window at one moment: how many values it held, and their statistics. `std` is 0 for fewer than two values."""

    count: int
    mean: float
    std: float
    min: float
    max: float


@dataclass(frozen=True, slots=True)
class Pushed:
    """The statistics after each value of one push: arrays of equal length, one entry for each value.

    `count` is the number of values in the window, `std` the sample standard deviation (n − 1; 0 where n < 2).
    """

    count: NDArray[np.int64]
    mean: Floats
    std: Floats
    size: int
    before: CountWindow
    recent: Floats

    def values(self, index: int) -> Floats:
        """What was in the window after value `index` of this push, oldest first."""
        end = len(self.recent) - len(self.mean) + index + 1
        return self.recent[max(0, end - self.size) : end]

    def summary(self, index: int) -> Summary:
        """The window after value `index` of this push; −1 is the window before the push, which must not be empty."""
        if index < 0:
            return self.before.summary()
        inside = self.values(index)
        return Summary(
            len(inside), float(self.mean[index]), float(self.std[index]), float(inside.min()), float(inside.max())
        )


class CountWindow:
    """The newest `size` values (at least 2) of one series, with exact mean and sample standard deviation.

    Any finite doubles will do. Where sums of squares overflow (from about 1e150) the window is scaled by a power of
    two; a standard deviation beyond the largest double is given as that double.
    """

    __slots__ = ("_level", "_values", "pushed", "size")

    def __init__(self, size: int) -> None:
        if size < 2:
            raise ValueError(f"size: expected at least 2, got {size}")
        self.size = size
        self.pushed = 0
        self._level = 0.0
        self._values = _EMPTY

    @property
    def values(self) -> Floats:
        """What is in the window, oldest first; not to be changed."""
        return self._values

    def push_many(self, values: ArrayLike) -> Pushed:
        """Take in values (one dimension, finite), oldest first. Raises ValueError, and takes none, if one is not."""
        new = _finite(values)
        before = self._copy()
        held = len(self._values)
        recent = np.concatenate((self._values, new))
        mean, std = np.empty(len(new)), np.empty(len(new))
        at = held
        while at < len(recent):
            start = self.pushed % self.size
            end = min(at + self.size - start, len(recent))
            if start == 0:
                self._level = self._level_from(recent, at, self.pushed)
            suffix = recent[at - self.size + 1 : at - start] if self.pushed >= self.size else _EMPTY
            span = slice(at - held, end - held)
            mean[span], std[span] = _measure(suffix, recent[at - start : end], start, self._level)
            self.pushed += end - at
            at = end
        self._values = recent[-self.size :].copy()
        count = np.minimum(np.arange(before.pushed + 1, self.pushed + 1), self.size)
        return Pushed(count, mean, std, self.size, before, recent)

    def extend(self, values: ArrayLike) -> None:
        """Take in values without measuring on the way: the same window as after `push_many`, in less time."""
        new = _finite(values)
        recent = np.concatenate((self._values, new))
        first, self.pushed = self.pushed, self.pushed + len(new)
        newest_block = (self.pushed - 1) // self.size * self.size
        if len(new) and newest_block >= first:
            self._level = self._level_from(recent, len(recent) - (self.pushed - newest_block), newest_block)
        self._values = recent[-self.size :].copy()

    def _level_from(self, recent: Floats, at: int, number: int) -> float:
        """The level of the block that begins with value `number`, which is `recent[at]`."""
        return float(recent[at]) if number == 0 else _lower_median(recent[at - self.size : at])

    def summary(self) -> Summary:
        """The window as it is, digit for digit as `push_many` gave it. Raises ValueError where it is empty."""
        if self.pushed == 0:
            raise ValueError("the window is empty")
        start = (self.pushed - 1) % self.size
        split = len(self._values) - start - 1
        mean, std = _measure(self._values[:split], self._values[split:], start, self._level)
        low, high = float(self._values.min()), float(self._values.max())
        return Summary(len(self._values), float(mean[0]), float(std[0]), low, high)

    def quantiles(self, probabilities: Sequence[float]) -> list[float]:
        """Quantiles by linear interpolation, for probabilities in [0, 1]. Raises ValueError where it is empty."""
        if self.pushed == 0:
            raise ValueError("the window is empty")
        # Halved, for the difference of two huge values may overflow.
        return [float(2 * value) for value in np.quantile(self._values / 2, probabilities)]

    def encode(self) -> bytes:
        """21 bytes and 8 for each value held."""
        return _HEAD.pack(_VERSION, self.size, self.pushed, self._level) + self._values.astype("<f8").tobytes()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The window that `encode` wrote; raises ValueError for anything else."""
        if len(data) < _HEAD.size:
            raise ValueError(f"window: expected at least {_HEAD.size} bytes, got {len(data)}")
        version, size, pushed, level = _HEAD.unpack_from(data)
        if version != _VERSION:
            raise ValueError(f"window: expected format {_VERSION}, got {version}: written by another version of this")
        if len(data) != _HEAD.size + 8 * min(size, pushed):
            raise ValueError(f"window: expected {min(size, pushed)} values, got {(len(data) - _HEAD.size) / 8}")
        window = cls(size)
        window.pushed, window._level = pushed, level
        window._values = np.frombuffer(data, dtype="<f8", offset=_HEAD.size).astype(np.float64)
        return window

    def _copy(self) -> CountWindow:
        """A window of its own; the arrays are shared, for they are replaced and never changed."""
        copy = CountWindow(self.size)
        copy.pushed, copy._level, copy._values = self.pushed, self._level, self._values
        return copy


def _measure(suffix: Floats, block: Floats, start: int, level: float) -> tuple[Floats, Floats]:
    """Mean and standard deviation of the windows that end at `block[start:]`.

    `suffix` is what the first of them holds of the former block: each later one holds one value fewer of it.
    """
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        sums, squares = _sums(block - level)
        sums, squares = sums[start:], squares[start:]
        former = np.full(len(sums), len(suffix)) - np.arange(len(sums)) if len(suffix) else np.zeros(len(sums), int)
        if len(suffix):
            backwards, backwards_squares = _sums((suffix - level)[::-1])
            inside = former > 0
            sums[inside] += backwards[former[inside] - 1]
            squares[inside] += backwards_squares[former[inside] - 1]
        count = np.arange(start + 1, len(block) + 1) + former
        shift = sums / count
        mean = level + shift
        deviations = squares - sums * shift
        doubtful = ~((deviations >= _WELL_CONDITIONED * sums * shift) & np.isfinite(deviations) & np.isfinite(mean))
        std = np.sqrt(np.maximum(deviations, 0) / np.maximum(count - 1, 1))
    for index in np.flatnonzero(doubtful):
        # Depends on this window's values alone, so it is the same in every batch.
        inside_former = suffix[len(suffix) - former[index] :]
        mean[index], std[index] = _two_pass(np.concatenate((inside_former, block[: start + index + 1])))
    return mean, std


def _finite(values: ArrayLike) -> Floats:
    new = np.asarray(values, dtype=np.float64)
    if new.ndim != 1 or not np.isfinite(new).all():
        raise ValueError("values: expected one dimension of finite numbers")
    return new


def _sums(deviations: Floats) -> tuple[Floats, Floats]:
    """Running sums of the deviations and of their squares; `accumulate` adds strictly one after the other."""
    return np.add.accumulate(deviations), np.add.accumulate(deviations * deviations)


def _two_pass(window: Floats) -> tuple[float, float]:
    """Mean and sample standard deviation by the corrected two-pass algorithm (Chan, Golub, LeVeque, 1983)."""
    low, high = float(window.min()), float(window.max())
    if low == high:
        return low, 0.0
    largest = max(-low, high)
    exponent = math.frexp(largest)[1] if largest > 1e140 else 0
    scaled = np.ldexp(window, -exponent)
    mean = float(scaled.sum()) / len(scaled)
    off = scaled - mean
    squares = float((off * off).sum()) - float(off.sum()) ** 2 / len(scaled)
    std = math.sqrt(max(squares, 0.0) / (len(scaled) - 1))
    return min(max(_times_two_to(mean, exponent), low), high), _times_two_to(std, exponent)


def _times_two_to(value: float, exponent: int) -> float:
    try:
        return math.ldexp(value, exponent)
    except OverflowError:
        return math.copysign(_LARGEST, value)


def _lower_median(values: Floats) -> float:
    """One of the values itself, for the mean of the middle two may overflow."""
    middle = (len(values) - 1) // 2
    return float(np.partition(values, middle)[middle])
