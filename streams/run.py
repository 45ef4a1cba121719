"""The events of one key in one batch, expanded only where somebody looks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, overload

from schemas.columns.columns import Integers, MetricColumns
from schemas.message import Message
from streams.origin import origin_of
from streams.records import Headers, Record
from streams.stage import Compact, Event

#: Of records in their batch, ascending.
Places = Sequence[int] | Integers


class EventRun(Sequence[Event]):
    """Events of one key, in order: their records and their messages, some of which may be compact.

    To a step it is a sequence of events. A step that works in columns reads `columns` or `messages` instead, and
    expands only those events that have consequences.
    """

    __slots__ = ("_batch", "_clock", "_clocks", "columns", "messages", "places")

    def __init__(
        self,
        clock: int,
        batch: Sequence[Record],
        places: Places,
        messages: Sequence[Message | Compact],
        clocks: Sequence[int] | None = None,
        columns: MetricColumns | None = None,
    ) -> None:
        """`places` are those of the events' records in the `batch` that they came in.

        `clocks` has the tick clock at each record of the batch, where it is not the same `clock` for all. `columns`:
        the same messages, all of them, where they were decoded into columns.
        """
        self._clock, self._batch, self._clocks = clock, batch, clocks
        self.places, self.messages, self.columns = places, messages, columns

    def __len__(self) -> int:
        return len(self.places)

    @property
    def clock(self) -> int:
        """The tick clock at the last of the events."""
        return self.clock_at(-1)

    def clock_at(self, index: int) -> int:
        """The tick clock at one of the events."""
        return self._clock if self._clocks is None else self._clocks[self.places[index]]

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> EventRun: ...
    def __getitem__(self, index: int | slice) -> Event | EventRun:
        if isinstance(index, slice):
            columns = None if self.columns is None else self.columns[index]
            return EventRun(self._clock, self._batch, self.places[index], self.messages[index], self._clocks, columns)
        message = self.messages[index]
        full = message if isinstance(message, Message) else message.full()
        return Event(full, origin_of(self.record(index)), self.clock_at(index))

    def record(self, index: int) -> Record:
        """The record of one event."""
        return self._batch[self.places[index]]

    def merged(self, other: EventRun) -> EventRun:
        """Those of another run of the key in the same batch among these, in order; no longer in columns."""
        pairs = [*zip(self.places, self.messages, strict=True), *zip(other.places, other.messages, strict=True)]
        pairs.sort(key=itemgetter(0))
        return EventRun(
            self._clock,
            self._batch,
            [int(place) for place, _ in pairs],
            [message for _, message in pairs],
            self._clocks,
        )


class Undecoded(Sequence[Message | Compact]):
    """The messages of records that are in columns: each is decoded where somebody looks at it."""

    __slots__ = ("_batch", "_decode", "_places")

    def __init__(self, decode: Callable[[bytes | None, Headers], Any], batch: Sequence[Record], places: Places) -> None:
        self._decode, self._batch, self._places = decode, batch, places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Message | Compact: ...
    @overload
    def __getitem__(self, index: slice) -> Undecoded: ...
    def __getitem__(self, index: int | slice) -> Message | Compact | Undecoded:
        if isinstance(index, slice):
            return Undecoded(self._decode, self._batch, self._places[index])
        message: Message | Compact = self._decode(self._batch[self._places[index]].value, ())
        return message
