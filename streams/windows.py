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

from streams.panes import (
    PANE,
    Floats,
    WindowHead,
    append,
    discard,
    following,
    keep_following,
    load,
    load_trailing,
    panes_of,
)
from streams.parts import MemoryTable, Parts
from streams.window_sums import (
    Counts,
    lower_median,
    lower_medians,
    mean_and_std,
    running_sums,
    running_sums_of_rows,
    two_pass,
)

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
    _former: Summary | None = None

    def keep_former(self) -> None:
        """Read what was before, while it is still there."""
        self._recent = np.concatenate((former := self.before.values, self.new))
        self._former = self.before.summary(former) if self.before.pushed else None

    @property
    def recent(self) -> Floats:
        """What was in the window before the push, and what was pushed."""
        if self._recent is None:
            self.keep_former()
        assert self._recent is not None, "just read"
        return self._recent

    def values(self, index: int) -> Floats:
        """What was in the window after value `index` of this push, oldest first."""
        end = len(self.recent) - len(self.mean) + index + 1
        return self.recent[max(0, end - self.before.size) : end]

    def summary(self, index: int) -> Summary:
        """The window after value `index` of this push; −1 is the window before the push, which must not be empty."""
        inside = self.values(index)
        if index < 0:
            return self._former or self.before.summary()
        return Summary(
            len(inside), float(self.mean[index]), float(self.std[index]), float(inside.min()), float(inside.max())
        )


class CountWindow:
    """The newest `size` values (at least 2) of one series, with exact mean and sample standard deviation.

    Any finite doubles will do. Where sums of squares overflow (from about 1e150) the window is scaled by a power of
    two; a standard deviation beyond the largest double is given as that double. What does not fit into the `head` is
    kept in `panes`; without any, in memory.
    """

    __slots__ = ("_backward", "_panes", "head")

    def __init__(self, size: int, panes: Parts | None = None) -> None:
        if size < 2:
            raise ValueError(f"size: expected at least 2, got {size}")
        self.head = WindowHead(size)
        self._panes = Parts(MemoryTable()) if panes is None else panes
        #: Sums over the newest k values of the former block, where that block ended in this push.
        self._backward: tuple[Floats, Floats] | None = None

    @classmethod
    def of(cls, head: WindowHead, panes: Parts) -> Self:
        """The window whose head was kept; it goes on changing that head."""
        window = cls.__new__(cls)
        window.head, window._panes, window._backward = head, panes, None
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
        block, place = divmod(head.pushed, head.size)
        former = load(head, block - 1, place, head.size, self._panes) if block else _EMPTY
        sealed = load(head, block, 0, place // PANE * PANE, self._panes)
        return np.concatenate((former, sealed, np.frombuffer(head.open, "<f8")))

    def push_many(self, values: ArrayLike) -> Pushed:
        """Take in values (one dimension, finite), oldest first. Raises ValueError, and takes none, if one is not."""
        new, head = _finite(values), self.head
        before = CountWindow.of(msgspec.structs.replace(head), self._panes)
        pushed = Pushed(np.empty(len(new), np.int64), np.empty(len(new)), np.empty(len(new)), new, before)
        if head.place + len(new) > head.size:
            pushed.keep_former()  # the panes of the block to come take the former one's slots
        at = 0
        while at < len(new):
            many = len(new) - at > 2 * head.size and head.pushed and not head.place
            end = len(new) if many else min(at + head.size - head.place, len(new))
            span, push = slice(at, end), self._push_blocks if many else self._push_part
            pushed.count[span], pushed.mean[span], pushed.std[span] = push(new[span])
            at = end
        for index in np.flatnonzero(np.isnan(pushed.std)):
            # Depends on this window's values alone, so it is the same in every batch.
            pushed.mean[index], pushed.std[index] = two_pass(pushed.values(int(index)))
        self._settle()
        load_trailing(head, self._panes)
        return pushed

    def extend(self, values: ArrayLike) -> None:
        """Take in values without measuring on the way: the same window as after `push_many`, in less time."""
        new, head = _finite(values), self.head
        first = min(head.size - head.place, len(new))
        if first < len(new):  # sums are those of the last block alone, and panes of the last three are all that is left
            last = len(new) - ((len(new) - first) % head.size or head.size)
            kept = max(last - 2 * head.size, first)
            append(head, new[:first], self._panes)
            head.pushed += kept - first
            for begin in range(kept, last, head.size):
                append(head, new[begin : begin + head.size], self._panes)
            new = new[last:]
        if len(new):
            self._begin(new)
            self._append(new, *running_sums(new, head.level, head.total, head.squares))
        self._settle()
        head.trailing = b""

    def _push_part(self, part: Floats) -> tuple[Counts, Floats, Floats]:
        """Take in values that belong into one block; the statistics after each."""
        head = self.head
        self._begin(part)
        total, squares = running_sums(part, head.level, head.total, head.squares)
        measured = self._measured(total[1:], squares[1:])
        self._append(part, total, squares)
        return measured

    def _push_blocks(self, new: Floats) -> tuple[Counts, Floats, Floats]:
        """The same for the values of several blocks at once: the last may stay open, none is the first."""
        head, whole = self.head, len(new) - len(new) % self.size
        former = load(head, head.pushed // head.size - 1, 0, head.size, self._panes)
        filled = np.concatenate((former, new, np.zeros(-len(new) % head.size)))  # the zeros are not looked at
        before, rows = filled[: -head.size].reshape(-1, head.size), filled[head.size :].reshape(-1, head.size)
        levels = lower_medians(before)
        back, back_squares = running_sums_of_rows(before[:, ::-1], levels)
        total, squares = running_sums_of_rows(rows, levels)
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            sums = total[:, 1:] + back[:, -2::-1]
            sums_of_squares = squares[:, 1:] + back_squares[:, -2::-1]
        count = np.array(head.size)
        mean, std = mean_and_std(sums, sums_of_squares, count, levels[:, np.newaxis])
        place = len(new) - (len(rows) - 1) * head.size
        head.level, head.total, head.squares = float(levels[-1]), float(total[-1, place]), float(squares[-1, place])
        kept = whole - 2 * head.size  # the panes of those before would be written over
        head.pushed += kept
        for begin in range(kept, len(new), head.size):
            append(head, new[begin : begin + head.size], self._panes)
        self._backward = back[-1], back_squares[-1]
        return np.broadcast_to(count, new.shape), mean.ravel()[: len(new)], std.ravel()[: len(new)]

    def _begin(self, new: Floats) -> None:
        """Begin a block, if these values do: the first of them are to come next."""
        head = self.head
        if not head.pushed:
            head.level = float(new[0])
        elif head.place == 0:
            block = load(head, head.pushed // head.size - 1, 0, head.size, self._panes)
            self._begin_block(block, lower_median(block))

    def _begin_block(self, former: Floats, level: float) -> None:
        head = self.head
        head.level, head.total, head.squares = level, 0.0, 0.0
        self._backward = running_sums(former[::-1], level, 0.0, 0.0)

    def _settle(self) -> None:
        """Keep what later pushes need of the former block, if one ended."""
        if self._backward is not None:
            size = self.size
            ends = np.minimum((np.arange(panes_of(size)) + 1) * PANE, size)
            keep_following(self._panes, [sums[size - ends] for sums in self._backward])
            self._backward = None

    def _append(self, new: Floats, total: Floats, squares: Floats) -> None:
        """Take in values of one block, with the block's running sums up to each."""
        self.head.total, self.head.squares = float(total[-1]), float(squares[-1])
        append(self.head, new, self._panes)

    def _measured(self, total: Floats, squares: Floats) -> tuple[Counts, Floats, Floats]:
        """Count, mean and standard deviation after each value to come, from the current block's sums after it."""
        head, place = self.head, self.head.place
        count = np.arange(place + 1, place + len(total) + 1)
        if head.pushed >= head.size:
            more, more_squares = self._suffixes(place + 1, len(total))
            with np.errstate(over="ignore", invalid="ignore", under="ignore"):
                total, squares, count = total + more, squares + more_squares, np.full(len(total), head.size)
        return count, *mean_and_std(total, squares, count, head.level)

    def _suffixes(self, first: int, count: int) -> tuple[Floats, Floats]:
        """Sums over the former block from each of `count` places on, the first of which is `first`."""
        head, last = self.head, min(first + count, self.size) - 1
        if self._backward is not None:
            span = slice(self.size - first - count + 1, self.size - first + 1)
            return self._backward[0][span][::-1], self._backward[1][span][::-1]
        if last < first:
            return np.zeros(count), np.zeros(count)
        end = min((last // PANE + 1) * PANE, head.size)
        inside = load(head, head.pushed // head.size - 1, first, end, self._panes)
        total, squares = running_sums(inside[::-1], head.level, *following(self._panes, last // PANE))
        places = slice(end - first - count + 1, end - first + 1)
        return total[places][::-1], squares[places][::-1]

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
            more, more_squares = self._suffixes(head.place, 1)
            with np.errstate(over="ignore", invalid="ignore", under="ignore"):
                total, squares = total + more, squares + more_squares
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
        window = cls(size, panes)
        window._rebuild(pushed, level, np.frombuffer(data, "<f8", offset=_HEAD.size))
        return window

    def _rebuild(self, pushed: int, level: float, values: Floats) -> None:
        """Make an empty window what it was after `pushed` values, of which `values` are in it, oldest first."""
        head, (block, place) = self.head, divmod(pushed, self.size)
        head.level = level
        if not place:
            block, place = block - 1, min(self.size, pushed)
        if block > 0:  # what has left the window stands for nothing: its sums are not asked for
            former = np.concatenate((np.full(place, level), values[: len(values) - place]))
            head.pushed = (block - 1) * self.size
            append(head, former, self._panes)
            self._begin_block(former, level)
            self._settle()
        if place:
            rest = values[len(values) - place :]
            self._append(rest, *running_sums(rest, level, 0.0, 0.0))


def _finite(values: ArrayLike) -> Floats:
    new = np.asarray(values, dtype=np.float64)
    if new.ndim != 1 or not np.isfinite(new).all():
        raise ValueError("values: expected one dimension of finite numbers")
    return new
