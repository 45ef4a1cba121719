"""From records to messages: in columns where a stage can, else one by one."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.columns.columns import MetricColumns
from schemas.message import Message
from streams.origin import forwarded_from, without_origin
from streams.records import Headers, Record, RecordBatch
from streams.stage import Compact, Stage


@dataclass(slots=True)
class Decoded:
    """Records, and what they say: in `columns`, or each a message of `messages`, whose places are in `places`.

    The stage has no use for records that are in neither, or they cannot be decoded: `refused` then has the reason, by
    the record's place. Places ascend. `clocks`: the tick clock at each record, which never goes back, where it is not
    the processor's own for all of them.
    """

    records: RecordBatch
    places: list[int] = field(default_factory=list)
    messages: list[Message | Compact] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)
    columns: Sequence[MetricColumns] = ()
    clocks: Sequence[int] | None = None

    def part(self, begin: int, end: int) -> Decoded:
        """The records from one place to before another."""
        first, last = bisect_left(self.places, begin), bisect_left(self.places, end)
        return Decoded(
            self.records[begin:end],
            [place - begin for place in self.places[first:last]],
            self.messages[first:last],
            {place - begin: reason for place, reason in self.refused.items() if begin <= place < end},
            [part for columns in self.columns if (part := columns.between(begin, end))],
            None if self.clocks is None else self.clocks[begin:end],
        )

    def only(self, is_mine: Callable[[str], bool], refused: bool) -> Decoded:
        """What models say of whose names `is_mine` is true, and what is `refused` if so wanted.

        The records stay, all of them, and so do places and clocks.
        """
        mine = [at for at, message in enumerate(self.messages) if is_mine(message.model_name)]
        return Decoded(
            self.records,
            [self.places[at] for at in mine],
            [self.messages[at] for at in mine],
            self.refused if refused else {},
            [columns for columns in self.columns if is_mine(columns.kind.model_name)],
            self.clocks,
        )


def decode_batch(stage: Stage[Any], records: RecordBatch) -> Decoded:
    """Decode all records of a batch; nothing is raised for what is wrong with one."""
    decoded = Decoded(records)
    places: Iterable[int] = range(len(records))
    if records.with_headers():
        values = records.values_without_headers()
        if values is not None and (taken := stage.decode_columns(values)):
            decoded.columns, places = taken
        for place in places:
            _decode_record(stage, records[place], place, decoded)
        return decoded
    values = records.values()
    if taken := stage.decode_columns(values):
        decoded.columns, places = taken
    for place in places:
        _decode(stage, values[place], (), place, decoded)
    return decoded


def _decode_record(stage: Stage[Any], record: Record, place: int, decoded: Decoded) -> None:
    headers: Headers = record.headers
    try:
        if headers:
            forwarded_from(record)
            headers = without_origin(record)
    except ValueError as problem:
        decoded.refused[place] = str(problem)
        return
    _decode(stage, record.value, headers, place, decoded)


def _decode(stage: Stage[Any], value: bytes | None, headers: Headers, place: int, decoded: Decoded) -> None:
    try:
        message = stage.decode(value, headers)
    except ValueError as problem:
        decoded.refused[place] = str(problem)
        return
    if message is not None:
        decoded.places.append(place)
        decoded.messages.append(message)
