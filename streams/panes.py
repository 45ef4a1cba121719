"""How a window is kept: a small head, which changes with each value, and sealed panes, which are written once.

A window over 50,000 values is not to be written 50,000 values at a time. So the values of a block (`size` of them) are
cut into panes of `PANE` values; a pane that is full is sealed: it becomes a part of its own and does not change again.
What is left in the head is bounded by `PANE`, whatever the window's size: the open pane, running sums, and of the
former block the one pane whose values are leaving the window now (`trailing`), with the sums of those after it.

    former block                       current block
    |sealed|sealed|trailing|sealed|    |sealed|sealed|open|
                      ^ leaves                          ^ newest

Panes of two blocks are kept at a time, in slots that take turns.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Annotated, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from streams.parts import Parts

Floats = NDArray[np.float64]

#: Values of a pane: what changes is written again up to so many values; what is sealed is a record for so many.
PANE: Final = 32

#: Values of the largest window.
LARGEST: Final = 1_000_000

#: Below this share of n (mean − level)², the squared deviations have lost too many digits and are summed anew.
WELL_CONDITIONED: Final = 1e-6

_BYTES: Final = 8
_PANE_BYTES: Final = PANE * _BYTES
_DOUBLES: Final = [struct.Struct(f"<{count}d") for count in range(PANE + 1)]
_NOTHING: Final = list[tuple[float, float]]()
_PAIR: Final = struct.Struct("<dd")
#: Where the sums of what follows each pane of the former block are kept.
FOLLOWING: Final = b"f"


class WindowHead(msgspec.Struct, array_like=True, gc=False):
    """What is written with each change. Values are little-endian doubles, sums those of deviations from `level`.

    `pushed` counts the values ever taken in, so that `pushed % size` is the place of the next one in its block. `total`
    and `squares` are over the current block. `trailing` is the pane of the former block that holds the next value's
    oldest companion, `after_total` and `after_squares` are over what follows it there; empty where there is none, or
    where the window was not measured lately.
    """

    size: Annotated[int, msgspec.Meta(ge=1, le=LARGEST)]
    pushed: Annotated[int, msgspec.Meta(ge=0)] = 0
    level: float = 0.0
    total: float = 0.0
    squares: float = 0.0
    open: Annotated[bytes, msgspec.Meta(max_length=_PANE_BYTES)] = b""
    trailing: Annotated[bytes, msgspec.Meta(max_length=_PANE_BYTES)] = b""
    after_total: float = 0.0
    after_squares: float = 0.0

    @property
    def place(self) -> int:
        """Of the next value, in its block."""
        return self.pushed % self.size

    @property
    def former(self) -> int:
        """How many values of the former block share the window with the next value."""
        return self.size - self.place - 1 if self.pushed >= self.size else 0

    @property
    def room(self) -> int:
        """How many values may be taken in without a push: those that neither begin nor end a block."""
        place = self.pushed % self.size
        return self.size - 1 - place if place else 0

    @property
    def reach(self) -> int:
        """How many of those may be given to `measure` and `take` before the next time to turn over."""
        return min(PANE - 1 - self.pushed % self.size % PANE or 1, self.room)

    def measure(self, values: Sequence[float]) -> list[tuple[int, float, float]]:
        """Count, mean and standard deviation of the window after each value, if these came next, at most `reach`.

        They are digit for digit what a push gives; they end before a value for which more than the head is needed.
        """
        level, total, squares = self.level, self.total, self.squares
        count = self.pushed % self.size
        more, measured = _NOTHING, list[tuple[int, float, float]]()
        if is_full := self.pushed >= self.size:
            if not self.trailing:
                return []
            more, count = self._suffixes((count + 1) % PANE, len(values)), self.size
        for at, value in enumerate(values):
            deviation = value - level
            total += deviation
            squares += deviation * deviation
            inside, inside_squares = total, squares
            if is_full:
                inside, inside_squares = total + more[at][0], squares + more[at][1]
            else:
                count += 1
            shift = inside / count
            mean = level + shift
            deviations = inside_squares - inside * shift
            is_good = deviations >= WELL_CONDITIONED * inside * shift
            if not (is_good and math.isfinite(deviations) and math.isfinite(mean)):
                break
            std = math.sqrt(deviations / (count - 1)) if deviations > 0.0 else 0.0
            measured.append((count, mean, std))
        return measured

    def _suffixes(self, first: int, count: int) -> list[tuple[float, float]]:
        """Sums over the trailing pane from `count` of its values on, from `first`, and all that follows the pane."""
        total, squares, level = self.after_total, self.after_squares, self.level
        rest = _DOUBLES[len(self.trailing) // _BYTES - first].unpack_from(self.trailing, first * _BYTES)
        sums = []
        for at in range(len(rest) - 1, -1, -1):
            if at + 1 < count:
                sums.append((total, squares))
            deviation = rest[at] - level
            total += deviation
            squares += deviation * deviation
        sums.append((total, squares))
        sums.reverse()
        return sums

    def take(self, values: Sequence[float]) -> bool:
        """Take in values, at most `reach`, of a window that is measured all the time; whether to turn it over then."""
        level, total, squares = self.level, self.total, self.squares
        for value in values:
            deviation = value - level
            total += deviation
            squares += deviation * deviation
        self.total, self.squares = total, squares
        self.open += _DOUBLES[len(values)].pack(*values)
        self.pushed += len(values)
        place = self.pushed % self.size
        return not place % PANE or not (place + 1) % PANE or place + 1 == self.size

    def turn_over(self, panes: Parts) -> None:
        """Seal the open pane if it is full, and get the trailing one if another is to leave next."""
        if len(self.open) == _PANE_BYTES:
            self._seal(panes)
        if self.trailing and ((self.place + 1) % PANE == 0 or not self.former):
            load_trailing(self, panes)

    def take_many(self, values: Sequence[float], panes: Callable[[], Parts]) -> None:
        """Take in at most `room` values without measuring: what `append` does, in less time for a few."""
        level, total, squares, at = self.level, self.total, self.squares, 0
        for value in values:
            deviation = value - level
            total += deviation
            squares += deviation * deviation
        self.total, self.squares, self.trailing = total, squares, b""
        if len(self.open) + _BYTES * len(values) < _PANE_BYTES:
            self.open += _DOUBLES[len(values)].pack(*values)
            self.pushed += len(values)
            return
        while at < len(values):
            some = values[at : at + PANE - len(self.open) // _BYTES]
            self.open += _DOUBLES[len(some)].pack(*some)
            self.pushed += len(some)
            at += len(some)
            if len(self.open) >= _PANE_BYTES:  # more only where the open pane was damaged; it ends all the same
                self._seal(panes())

    def _seal(self, panes: Parts) -> None:
        panes[_slot(self.size, self.pushed // self.size, self.place // PANE - 1)] = self.open
        self.open = b""


def append(head: WindowHead, values: Floats, panes: Parts) -> None:
    """Add values that do not go beyond the block to what is kept; sums are the caller's."""
    data, block, first = head.open + values.astype("<f8", copy=False).tobytes(), head.pushed // head.size, head.place
    head.pushed += len(values)
    number, at = first // PANE, 0
    while len(data) - at >= _PANE_BYTES or (at < len(data) and head.place == 0):
        panes[_slot(head.size, block, number)] = data[at : at + _PANE_BYTES]
        number, at = number + 1, at + _PANE_BYTES
    head.open = data[at:]


def append_blocks(head: WindowHead, values: Floats, count: int, panes: Parts) -> None:
    """`append` of `count` values among which blocks begin, after all values of the block before them.

    What later ones take the place of at once is not written.
    """
    begun, data = max(head.pushed - 1, 0) // head.size, values.astype("<f8", copy=False).tobytes()
    sealed = (len(values) - count) // PANE if head.place else panes_of(head.size) if head.pushed else 0
    head.pushed += count
    last, place = divmod(head.pushed, head.size)
    left = place // PANE
    for block in range(max(begun, last - 2), last + 1):
        first = max(sealed if block == begun else 0, left if block == last - 2 else 0)
        end = left if block == last else panes_of(head.size)
        base = (block - begun) * head.size * _BYTES
        part = data[base + first * _PANE_BYTES : base + min(end * _PANE_BYTES, head.size * _BYTES)]
        cut = [part[at : at + _PANE_BYTES] for at in range(0, len(part), _PANE_BYTES)]
        panes.put_all(_slots(head.size, block, range(first, end)), cut)
    head.open = data[((last - begun) * head.size + left * PANE) * _BYTES :]


def load_trailing(head: WindowHead, panes: Parts) -> None:
    """Have at hand what leaves the window next."""
    head.trailing, head.after_total, head.after_squares = b"", 0.0, 0.0
    if head.place and head.former:
        block, number = head.pushed // head.size - 1, (head.place + 1) // PANE
        head.trailing = panes[_slot(head.size, block, number)]
        head.after_total, head.after_squares = following(panes, number)


def following(panes: Parts, number: int) -> tuple[float, float]:
    """Sums of deviations, and of their squares, over what follows a pane of the former block in it."""
    total, squares = _PAIR.unpack_from(panes[FOLLOWING], number * _PAIR.size)
    return total, squares


def keep_following(panes: Parts, sums: Floats) -> None:
    """Keep what `following` gives for each pane of the block that has ended: two rows."""
    panes[FOLLOWING] = sums.T.astype("<f8", copy=False).tobytes()


def load(head: WindowHead, block: int, first: int, end: int, panes: Parts) -> Floats:
    """Values [first, end) of a block, all of them sealed."""
    if end <= first:
        return np.empty(0)
    numbers = range(first // PANE, (end - 1) // PANE + 1)
    data = b"".join(panes.get_all(_slots(head.size, block, numbers)))
    skipped = first - numbers.start * PANE
    return np.frombuffer(data, "<f8")[skipped : skipped + end - first].astype(np.float64, copy=False)


def panes_of(size: int) -> int:
    """How many panes a block has."""
    return -(-size // PANE)


@lru_cache(maxsize=64)
def behind_panes(size: int) -> NDArray[np.int64]:
    """How many values of a block come after each of its panes; not to be changed."""
    return np.maximum(size - (np.arange(panes_of(size)) + 1) * PANE, 0)


def discard(head: WindowHead, panes: Parts) -> None:
    """Delete everything that the window keeps outside of its head."""
    for block in (0, 1):
        for number in range(panes_of(head.size)):
            panes.discard(_slot(head.size, block, number))
    panes.discard(FOLLOWING)


def _slot(size: int, block: int, number: int) -> bytes:
    return (block % 2 * -(-size // PANE) + number).to_bytes(4, "big")


def _slots(size: int, block: int, numbers: range) -> list[bytes]:
    first = block % 2 * -(-size // PANE)
    return [(first + number).to_bytes(4, "big") for number in numbers]
