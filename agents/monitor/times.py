"""When the values in a window came, as far as messages tell it: the time of every so many-th value is kept.

Values are numbered from 0, and those at multiples of an eighth of the window's size are marked with their event time.
So what is kept is 80 bytes a series or so, whatever the window's size, and depends on the values' numbers alone, not on
how they were split into batches.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NamedTuple, Self, cast

from schemas.compact import CompactMessage
from schemas.fields import EPOCH
from schemas.message import Message
from streams.run import EventRun
from streams.stage import Compact

#: Marks in a window; its begin is known to this part of its size.
MARKS: Final = 8

_BYTES: Final = 8
_MICROSECOND: Final = timedelta(microseconds=1)


class Span(NamedTuple):
    """Event times in microseconds since the epoch. `begin` is None where it is not known."""

    begin: int | None
    end: int


def microseconds(message: Message | Compact) -> int:
    """The event time of a message, in microseconds since the epoch."""
    if isinstance(message, CompactMessage):
        return timedelta(seconds=message.timestamp) // _MICROSECOND  # what `instant` adds to the epoch
    return (cast(Message, message).timestamp - EPOCH) // _MICROSECOND


def time_in(run: EventRun, index: int) -> int:
    """The event time of one message of a run, in microseconds since the epoch."""
    return microseconds(run.messages[index]) if run.columns is None else int(run.columns.times[index])


def stride(size: int) -> int:
    """How many values apart the marks of a window of this size are: 1, so that every value has one, below 16."""
    return max(size // MARKS, 1)


@dataclass(frozen=True, slots=True)
class Times:
    """The marks of a window of `size` values: mark n, from `first` on, is the time of value n × stride."""

    size: int
    first: int
    marks: Sequence[int]

    @classmethod
    def of(cls, size: int, data: bytes) -> Self:
        """What `encode` wrote; of nothing, no marks."""
        first, *marks = struct.unpack(f"<{len(data) // _BYTES}q", data) if data else (0,)
        return cls(size, first, marks)

    def encode(self) -> bytes:
        """The marks that a window ending at the last of them or later may need."""
        reach = -(-(self.size - 1) // stride(self.size)) + 1
        kept = self.marks[-reach:]
        if not kept:
            return b""
        return struct.pack(f"<{len(kept) + 1}q", self.first + len(self.marks) - len(kept), *kept)

    def after(self, begin: int, end: int, times_of: Callable[[range], Sequence[int]]) -> Times:
        """The marks once values [begin, end) came, of which `times_of` gives the times by number."""
        step = stride(self.size)
        new = range(-(-begin // step), -(-end // step))
        if not new:
            return self
        follows = self.first + len(self.marks) == new.start
        known, first = (self.marks, self.first) if follows else ((), new.start)
        return Times(self.size, first, [*known, *times_of(range(new.start * step, new.stop * step, step))])

    def span(self, number: int, time: int) -> Span:
        """The window whose newest value has this number and came at `time`.

        Where values come in the order of their times, its begin is that of its first value or of one before it, by less
        than the stride. The begin is not known while values are in it that came before marks were kept.
        """
        step = stride(self.size)
        begin, end = max(number + 1 - self.size, 0) // step - self.first, number // step - self.first
        if begin < 0 or end >= len(self.marks):
            return Span(None, time)
        inside = [*self.marks[begin : end + 1], time]
        return Span(min(inside), max(inside))
