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

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from streams.measuring import Column, Sums, last_sums, measured, sums_on
from streams.panes import (
    PANE,
    Floats,
    WindowHead,
    append,
    append_blocks,
    behind_panes,
    discard,
    following,
    keep_following,
    load,
    load_trailing,
)
from streams.parts import MemoryTable, Parts
from streams.window_sums import Counts, lower_median, mean_and_std, two_pass

__all__ = ["CountWindow", "Floats", "Pushed", "Summary", "WindowHead"]

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


@dataclass(slots=True)
class Pushed:
    """The statistics after each value of one push: arrays of equal length, one entry for each value.

    `count` is the number of values in the window, `std` the sample standard deviation (n − 1; 0 where n < 2). The
    values themselves are read when somebody asks, which must be before the next push.
    """

    count: Counts
    mean: Floats
    std: Floats
    new: Floats
    before: CountWindow
    _recent: Floats | None = None

    @property
    def recent(self) -> Floats:
        """What was in the window before the push, and what was pushed."""
        if self._recent is None:
            self._recent = np.concatenate((self.before.values, self.new))
        return self._recent

    def values(self, index: int) -> Floats:
        """What was in the window after value `index` of this push, oldest first."""
        end = len(self.recent) - len(self.mean) + index + 1
        return self.recent[max(0, end - self.before.size) : end]

    def summary(self, index: int) -> Summary:
        """The window after value `index` of this push; −1 is the window before the push, which must not be empty."""
        inside = self.values(index)
        if index < 0:
            return self.before.summary(inside)
        return Summary(
            len(inside), float(self.mean[index]), float(self.std[index]), float(inside.min()), float(inside.max())
        )


class CountWindow:
    """The newest `size` values (at least 2) of one series, with exact mean and sample standard deviation.

    Any finite doubles will do. Where sums of squares overflow (from about 1e150) the window is scaled by a power of
    two; a standard deviation beyond the largest double is given as that double. What does not fit into the `head` is
    kept in `panes`; without any, in memory.
    """

    __slots__ = ("_panes", "head")

    def __init__(self, size: int, panes: Parts | None = None) -> None:
        if size < 2:
            raise ValueError(f"size: expected at least 2, got {size}")
        self.head = WindowHead(size)
        self._panes = Parts(MemoryTable()) if panes is None else panes

    @classmethod
    def of(cls, head: WindowHead, panes: Parts) -> Self:
        """The window whose head was kept; it goes on changing that head."""
        window = cls.__new__(cls)
        window.head, window._panes = head, panes
        return window

    @property
    def size(self) -> int:
        return self.head.size

    @property
    def pushed(self) -> int:
        """How many values were ever taken in."""
        return self.head.pushed

    @property
    def values(self) -> Floats:
        """What is in the window, oldest first; not to be changed."""
        head = self.head
        place = self._place
        if place == head.size or head.pushed < head.size:
            return self._block()
        return np.concatenate((load(head, head.pushed // head.size - 1, place, head.size, self._panes), self._block()))

    @property
    def _place(self) -> int:
        """How many values the block of the newest value has; 0 where there is none."""
        return self.head.place or min(self.head.pushed, self.head.size)

    def _block(self) -> Floats:
        """The values of the block of the newest value."""
        head, place = self.head, self._place
        last = np.frombuffer(head.open, "<f8")
        sealed = load(head, max(head.pushed - 1, 0) // head.size, 0, place - len(last), self._panes)
        return np.concatenate((sealed, last))

    def push_many(self, values: ArrayLike) -> Pushed:
        """Take in values (one dimension, finite), oldest first. Raises ValueError, and takes none, if one is not."""
        new, head = _finite(values), self.head
        before = CountWindow.of(msgspec.structs.replace(head), self._panes)
        if not len(new):
            load_trailing(head, self._panes)
            return Pushed(np.empty(0, np.int64), _EMPTY, _EMPTY, new, before)
        is_turning = self._place + len(new) > head.size
        recent = np.concatenate((self.values, new)) if is_turning else None
        column = self._column(new) if recent is None else self._turning_column(recent, len(new))
        found = measured(column)
        self._take(column.values if is_turning else new, len(new), is_turning, found.sums)
        count = np.minimum(np.arange(before.pushed + 1, head.pushed + 1), head.size)
        pushed = Pushed(count, found.mean, found.std, new, before, recent)
        for index in np.flatnonzero(np.isnan(pushed.std)):
            # Depends on this window's values alone, so it is the same in every batch.
            pushed.mean[index], pushed.std[index] = two_pass(pushed.values(int(index)))
        load_trailing(head, self._panes)
        return pushed

    def extend(self, values: ArrayLike) -> None:
        """Take in values without measuring on the way: the same window as after `push_many`, in less time."""
        new, head = _finite(values), self.head
        if is_turning := self._place + len(new) > head.size:
            block = np.concatenate((self._block(), new))
            begin = (len(block) - 1) // head.size * head.size
            former = block[begin - head.size : begin]
            self._take(block, len(new), is_turning, last_sums(former, block[begin:], lower_median(former)))
        elif len(new):
            level = head.level if head.pushed else float(new[0])
            self._take(new, len(new), is_turning, sums_on(new, level, head.total, head.squares))
        head.trailing = b""

    def _column(self, new: Floats) -> Column:
        """Values that end no block, or with it, as what is to be measured."""
        head, leaving, after = self.head, _EMPTY, (0.0, 0.0)
        place, is_full = head.place, head.pushed >= head.size
        last = min(place + len(new), head.size - 1)
        if is_full and last > place:
            end = min((last // PANE + 1) * PANE, head.size)
            leaving = load(head, head.pushed // head.size - 1, place + 1, end, self._panes)
            after = following(self._panes, last // PANE)
        level = head.level if head.pushed else float(new[0])
        return Column(new, 0, place, head.size, is_full, level, head.total, head.squares, leaving, after)

    def _turning_column(self, recent: Floats, count: int) -> Column:
        """The same of values among which blocks begin: so many, after those in the window."""
        head, place = self.head, self._place
        is_full, level = head.pushed >= head.size, head.level if head.pushed else float(recent[0])
        begin = head.size - place if is_full else 0
        block, leaving = recent[begin:], recent[1:begin]
        sums = level, head.total, head.squares
        return Column(block, len(block) - count, place, head.size, is_full, *sums, leaving, (0.0, 0.0))

    def _take(self, values: Floats, count: int, is_turning: bool, sums: Sums) -> None:
        """Keep values, of which so many are new: those before are all of the block so far, if others begin after it."""
        head = self.head
        head.level, head.total, head.squares = sums.level, sums.total, sums.squares
        if is_turning:
            append_blocks(head, values, count, self._panes)
        else:
            append(head, values, self._panes)
        self._settle(sums)

    def _settle(self, sums: Sums) -> None:
        """Keep what later pushes need of the former block, if one ended."""
        if sums.back is not None:
            keep_following(self._panes, sums.back[:, behind_panes(self.size)])

    def summary(self, values: Floats | None = None) -> Summary:
        """The window as it is, digit for digit as `push_many` gave it. Raises ValueError where it is empty.

        `values`: what is in it, where that is known already.
        """
        head = self.head
        if not head.pushed:
            raise ValueError("the window is empty")
        inside, count = self.values if values is None else values, min(head.pushed, head.size)
        total, squares = np.array([head.total]), np.array([head.squares])
        if head.pushed > head.size and head.place:
            more = sums_on(inside[: head.size - head.place][::-1], head.level, 0.0, 0.0)
            with np.errstate(over="ignore", invalid="ignore", under="ignore"):
                total, squares = total + more.total, squares + more.squares
        means, stds = mean_and_std(total, squares, np.array([count]), head.level)
        mean, std = two_pass(inside) if np.isnan(stds[0]) else (float(means[0]), float(stds[0]))
        return Summary(count, mean, std, float(inside.min()), float(inside.max()))

    def quantiles(self, probabilities: Sequence[float]) -> list[float]:
        """Quantiles by linear interpolation, for probabilities in [0, 1]. Raises ValueError where it is empty."""
        if self.pushed == 0:
            raise ValueError("the window is empty")
        # Halved, for the difference of two huge values may overflow.
        return [float(2 * value) for value in np.quantile(self.values / 2, probabilities)]

    def discard(self) -> None:
        """Delete what is kept outside of the head; the window is not used after that."""
        discard(self.head, self._panes)

    def encode(self) -> bytes:
        """Everything in one piece: 21 bytes and 8 for each value held."""
        head = _HEAD.pack(_VERSION, self.size, self.pushed, self.head.level)
        return head + self.values.astype("<f8").tobytes()

    @classmethod
    def decode(cls, data: bytes, panes: Parts | None = None) -> Self:
        """The window that `encode` wrote; raises ValueError for anything else."""
        if len(data) < _HEAD.size:
            raise ValueError(f"window: expected at least {_HEAD.size} bytes, got {len(data)}")
        version, size, pushed, level = _HEAD.unpack_from(data)
        if version != _VERSION:
            raise ValueError(f"window: expected format {_VERSION}, got {version}: written by another version of this")
        if len(data) != _HEAD.size + 8 * min(size, pushed):
            raise ValueError(f"window: expected {min(size, pushed)} values, got {(len(data) - _HEAD.size) / 8}")
        return cls.holding(size, pushed, level, np.frombuffer(data, "<f8", offset=_HEAD.size), panes)

    @classmethod
    def holding(cls, size: int, pushed: int, level: float, values: Floats, panes: Parts | None = None) -> Self:
        """The window after `pushed` values, of which `values` are in it, oldest first, with sums about this level."""
        window = cls(size, panes)
        window._rebuild(pushed, level, values)
        return window

    def _rebuild(self, pushed: int, level: float, values: Floats) -> None:
        """Make an empty window what it was after `pushed` values, of which `values` are in it, oldest first."""
        head, (block, place) = self.head, divmod(pushed, self.size)
        head.level = level
        if not place:
            block, place = block - 1, min(self.size, pushed)
        rest = values[len(values) - place :]
        if block > 0:  # what has left the window stands for nothing: its sums are not asked for
            former = np.concatenate((np.full(place, level), values[: len(values) - place]))
            head.pushed = (block - 1) * self.size
            append(head, former, self._panes)
            self._take(rest, len(rest), False, last_sums(former, rest, level))
        elif place:
            self._take(rest, len(rest), False, sums_on(rest, level, 0.0, 0.0))


def _finite(values: ArrayLike) -> Floats:
    new = np.asarray(values, dtype=np.float64)
    if new.ndim != 1 or not np.isfinite(new).all():
        raise ValueError("values: expected one dimension of finite numbers")
    return new
