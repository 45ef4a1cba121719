"""The events of one key in one batch, expanded only where somebody looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from schemas.message import Message
from streams.origin import origin_of
from streams.records import Record
from streams.stage import Compact, Event


class EventRun(Sequence[Event]):
    """Events of one key, in order: their records and their messages, some of which may be compact.

    To a step it is a sequence of events. A step that works in columns reads `messages` instead, and expands only those
    events that have consequences.
    """

    def __init__(
        self,
        clock: int,
        batch: Sequence[Record],
        places: list[int] | None = None,
        messages: list[Message | Compact] | None = None,
        clocks: Sequence[int] | None = None,
    ) -> None:
        """`places` are those of the events' records in the `batch` that they came in.

        `clocks` has the tick clock at each record of the batch, where it is not the same `clock` for all.
        """
        self._clock, self._batch, self._clocks = clock, batch, clocks
        self.places = places if places is not None else []
        self.messages = messages if messages is not None else []

    def __len__(self) -> int:
        return len(self.messages)

    @property
    def clock(self) -> int:
        """The tick clock at the last of the events."""
        return self._clock if self._clocks is None else self._clocks[self.places[-1]]

    def clock_at(self, index: int) -> int:
        """The tick clock at one of the events."""
        return self._clock if self._clocks is None else self._clocks[self.places[index]]

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> EventRun: ...
    def __getitem__(self, index: int | slice) -> Event | EventRun:
        if isinstance(index, slice):
            return EventRun(self._clock, self._batch, self.places[index], self.messages[index], self._clocks)
        message = self.messages[index]
        full = message if isinstance(message, Message) else message.full()
        return Event(full, origin_of(self.record(index)), self.clock_at(index))

    def record(self, index: int) -> Record:
        """The record of one event."""
        return self._batch[self.places[index]]
