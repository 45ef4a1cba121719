"""The monitor over events whose order is their own, every model in one partition. Batches change nothing.

Time is the events' own: the tick clock stands at how far the greatest event time so far is ahead of the first. A batch
ends where a model's deadline comes, so that the model is woken before the record that showed it, as if records had come
one by one. Where models are spread over processes, a lane applies what is its own; its time is that of all events.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from agents.backtest.share import ALL, Share
from agents.monitor.times import microseconds
from schemas.metrics import Heartbeat, Label, Prediction
from streams.decoding import Decoded, decode_batch
from streams.parts import MemoryTable
from streams.processor import Processor
from streams.records import Forward, ListedRecords, Output, Record, RecordBatch, StoredRecord
from streams.stage import Input, Stage

Milliseconds = NDArray[np.int64]

#: Stands for the event time of what has none.
_NEVER: Final = np.iinfo(np.int64).min


class Lane:
    """One stage's processor, and its clock."""

    def __init__(
        self,
        stage: Stage[Any],
        patience_ms: int,
        applied: Callable[[Sequence[Input]], None] | None = None,
        any_waits: bool = False,
        share: Share = ALL,
    ) -> None:
        """No deadline may lie less than `patience_ms` after the record it follows from, but where a half waits for its
        other half: after a prediction, a label, and a model's first heartbeat, before which none counts.

        `any_waits`: models may wait for time although no heartbeat came. `share`: whose records are applied.
        """
        self._stage, self._patience, self._share = stage, patience_ms, share
        self._processor = Processor(stage, 0, 1, MemoryTable(), applied)
        self._first, self._latest = _NEVER, _NEVER
        self._clock = 0
        self._any_waits = any_waits
        self._beating = set[str]()

    def decode(self, records: RecordBatch) -> Decoded:
        """Records (at least one) for `take`, of this lane or of another of the same kind of stage."""
        return decode_batch(self._stage, records)

    def take(self, decoded: Decoded) -> list[Output | Forward]:
        """Apply those decoded records that are the lane's own, and let time go by with all of them."""
        times = _event_times(decoded)
        greatest = np.maximum.accumulate(np.maximum(times, self._latest))
        decoded = replace(decoded, records=_Timed(decoded.records, times, greatest))
        if self._first == _NEVER:
            self._first = int(next(iter(times[times != _NEVER]), _NEVER))
        self._latest = int(greatest[-1])
        decoded = self._share.of(decoded)
        self._any_waits |= Heartbeat in set(map(type, decoded.messages))
        return self._apply(decoded, greatest)

    @property
    def latest_ms(self) -> int:
        """The greatest event time so far, in milliseconds since the epoch; far below 0 if there was none."""
        return self._latest

    def _apply(self, decoded: Decoded, greatest: Milliseconds) -> list[Output | Forward]:
        """Apply records up to whose places these are the greatest times."""
        if not self._any_waits:
            return self._processor.apply(decoded)
        clocks = np.where(greatest == _NEVER, 0, greatest - self._first)
        decoded.clocks = clocks.tolist()
        # As soon as time goes on after those, it is known what waits, and until when.
        cuts = np.searchsorted(clocks, clocks[self._may_be_due_soon(decoded)], side="right").tolist()
        outputs: list[Output | Forward] = []
        begin = 0
        while begin < len(clocks):
            now = int(clocks[begin])
            outputs += self._processor.tick(now - self._clock)
            self._clock = now
            due = self._processor.next_due
            until = now + self._patience if due is None else min(due, now + self._patience)
            end = max(int(np.searchsorted(clocks, until)), begin + 1)
            if (at := bisect_right(cuts, begin)) < len(cuts):
                end = min(end, cuts[at])
            outputs += self._processor.apply(decoded.part(begin, end))
            begin = end
        return outputs

    def _may_be_due_soon(self, decoded: Decoded) -> list[int]:
        """The places of records after which the patience does not hold."""
        places = []
        for place, message in zip(decoded.places, decoded.messages, strict=True):
            if isinstance(message, Heartbeat) and message.model_name not in self._beating:
                self._beating.add(message.model_name)
                places.append(place)
            elif isinstance(message, Prediction | Label):
                places.append(place)
        return places


class _Timed(ListedRecords):
    """Records of which those without a time of their own get the event's, or else the greatest before it."""

    __slots__ = ("_greatest", "_times")

    def __init__(self, records: Sequence[Record], times: Milliseconds, greatest: Milliseconds) -> None:
        super().__init__(records)
        self._times, self._greatest = times, greatest

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return _Timed(self._records[index], self._times[index], self._greatest[index])
        one = self._records[index]
        written = int(self._times[index])
        if written == _NEVER:
            written = one.timestamp or max(int(self._greatest[index]), 0)
        return StoredRecord(one.topic, one.partition, one.offset, written, one.key, one.value, one.headers)


def _event_times(decoded: Decoded) -> Milliseconds:
    """Milliseconds since the epoch, at each record's place."""
    times = np.full(len(decoded.records), _NEVER)
    if decoded.places:
        each = map(microseconds, decoded.messages)
        times[decoded.places] = _milliseconds(np.fromiter(each, np.int64, len(decoded.places)))
    for columns in decoded.columns:
        times[columns.places] = _milliseconds(columns.times)
    return times


def _milliseconds(microseconds: NDArray[np.int64]) -> Milliseconds:
    return np.rint(microseconds / 1000).astype(np.int64)
