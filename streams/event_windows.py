"""Windows by event time over panes: exact sums, so that neither order nor batches change a digit.

Time is cut into panes of one `advance`. A pane is complete once the watermark (the key's time minus grace) has reached
its end; what comes for it later is late. Each complete pane that has values ends a window of `panes` panes:

    grace ├────┤
    |pane|pane|pane|pane|pane            one pane a window: tumbling
    └── window ────┘    ^ watermark      several: hopping, or sliding where panes are short
         └── window ────┘

A pane keeps count, sum, sum of squares, least and greatest value. The sums are whole numbers times a power of two, as
doubles and their squares are: nothing is rounded until a window's mean and deviation are told.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from streams.windows import Summary

_LARGEST: Final = sys.float_info.max


class Pane(msgspec.Struct, array_like=True):
    """The values of one pane. `total` and `squares` are little-endian whole numbers, as `_Sums` has them."""

    count: int
    total: bytes
    squares: bytes
    shift: int
    min: float
    max: float


class EventPanes(msgspec.Struct, array_like=True):
    """The panes that are still of use, by number, ascending. Those below `next` are complete; `last` ended a window."""

    next: int = 0
    panes: dict[int, Pane] = msgspec.field(default_factory=dict)
    last: int = -1


class Result(NamedTuple):
    """A window that is complete: its newest pane's number, how many values it has and their mean; and all of it."""

    pane: int
    size: int
    mean: float
    window: Summary


class _Sums(NamedTuple):
    """Exact sums: of values in units of 2**-shift, of squares in units of 2**-(2 shift)."""

    size: int
    total: int
    squares: int
    shift: int
    min: float
    max: float


class EventWindow:
    """A series' window by event time; it goes on changing `state`. Times and lengths are whole numbers of one unit."""

    def __init__(self, state: EventPanes, advance: int, panes: int, grace: int) -> None:
        self._state, self._advance, self._panes, self._grace = state, advance, panes, grace

    @property
    def due(self) -> int | None:
        """The key's time at which the next window is complete; None where no values wait for that."""
        waiting = [pane for pane in self._state.panes if pane >= self._state.next]
        return None if not waiting else self.end(min(waiting))

    def add(self, time: int, values: Sequence[float]) -> bool:
        """Take in values (finite) of one time; False, and none taken, if their pane is complete: they are late."""
        state, number = self._state, time // self._advance
        if number < state.next:
            return False
        sums = _sums(values)
        if (pane := state.panes.get(number)) is not None:
            sums = _added(_opened(pane), sums)
        state.panes[number] = _closed(sums)
        if pane is None and number < max(state.panes):
            state.panes = dict(sorted(state.panes.items()))
        return True

    def complete(self, now: int) -> list[Result]:
        """The windows that are complete at the key's time `now`, in order. Panes that none needs are dropped."""
        state = self._state
        reached = max((now - self._grace) // self._advance, state.next)
        results = [self._result(number) for number in state.panes if state.next <= number < reached]
        if results:
            state.last = results[-1].pane
        state.next = reached
        oldest = (state.last if state.last >= 0 else reached) - self._panes
        state.panes = {number: pane for number, pane in state.panes.items() if number > oldest}
        return results

    def complete_waiting(self, now: int) -> list[Result]:
        """The windows of values that wait and are due at `now`, a time that may be ahead of the key's own.

        Unlike `complete`, it leaves later panes open, as far as they are empty: what comes for them is not late.
        """
        ends = [self.end(pane) for pane in self._state.panes if pane >= self._state.next]
        due = [end for end in ends if end <= now]
        return self.complete(max(due)) if due else []

    def end(self, number: int) -> int:
        """The key's time at which this pane is complete."""
        return (number + 1) * self._advance + self._grace

    def _result(self, number: int) -> Result:
        newest = _opened(self._state.panes[number])
        mean, _ = _statistics(newest)
        return Result(number, newest.size, mean, self.summary(number))

    def summary(self, number: int) -> Summary:
        """The window that ends with this pane, which has values."""
        inside = [pane for at, pane in self._state.panes.items() if number - self._panes < at <= number]
        sums = _opened(inside[0])
        for pane in inside[1:]:
            sums = _added(sums, _opened(pane))
        return Summary(sums.size, *_statistics(sums), sums.min, sums.max)

    def newest(self) -> Result | None:
        """The window that was complete last; None before the first."""
        return self._result(self._state.last) if self._state.last >= 0 else None

    def span(self, number: int) -> tuple[int, int]:
        """The times [begin, end) of the window that ends with this pane."""
        return (number + 1 - self._panes) * self._advance, (number + 1) * self._advance


def _sums(values: Sequence[float]) -> _Sums:
    ratios = [value.as_integer_ratio() for value in map(float, values)]
    shift = max(denominator.bit_length() for _, denominator in ratios) - 1
    whole = [numerator << (shift + 1 - denominator.bit_length()) for numerator, denominator in ratios]
    squares = sum([number * number for number in whole])
    return _Sums(len(whole), sum(whole), squares, shift, min(values), max(values))


def _added(one: _Sums, other: _Sums) -> _Sums:
    shift = max(one.shift, other.shift)
    up, others = shift - one.shift, shift - other.shift
    return _Sums(
        one.size + other.size,
        (one.total << up) + (other.total << others),
        (one.squares << 2 * up) + (other.squares << 2 * others),
        shift,
        min(one.min, other.min),
        max(one.max, other.max),
    )


def _statistics(sums: _Sums) -> tuple[float, float]:
    """Mean and sample standard deviation (0 of one value), each rounded once; what overflows is the largest double."""
    mean = _quotient(sums.total, sums.size << sums.shift)
    if sums.size < 2:
        return mean, 0.0
    deviations = sums.size * sums.squares - sums.total * sums.total
    return mean, _root(deviations, (sums.size * (sums.size - 1)) << 2 * sums.shift)


def _quotient(numerator: int, denominator: int) -> float:
    try:
        return numerator / denominator
    except OverflowError:
        return math.copysign(_LARGEST, numerator)


def _root(numerator: int, denominator: int) -> float:
    """The root of a quotient that may itself be beyond the range of doubles: scaled by an even power of two first."""
    scale = (numerator.bit_length() - denominator.bit_length()) // 2
    scaled = numerator / (denominator << 2 * scale) if scale >= 0 else (numerator << -2 * scale) / denominator
    try:
        return math.ldexp(math.sqrt(scaled), scale)
    except OverflowError:
        return _LARGEST


def _opened(pane: Pane) -> _Sums:
    total, squares = int.from_bytes(pane.total, "little", signed=True), int.from_bytes(pane.squares, "little")
    return _Sums(pane.count, total, squares, pane.shift, pane.min, pane.max)


def _closed(sums: _Sums) -> Pane:
    total = sums.total.to_bytes(sums.total.bit_length() // 8 + 1, "little", signed=True)
    squares = sums.squares.to_bytes(sums.squares.bit_length() // 8 + 1, "little")
    return Pane(sums.size, total, squares, sums.shift, sums.min, sums.max)
