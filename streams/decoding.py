"""From records to messages: many at a time where all are of the usual kind, else one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from schemas.message import Message
from streams.origin import forwarded_from, without_origin
from streams.records import Headers, Record, RecordBatch
from streams.stage import Compact, Stage

#: Records decoded together. One that is unusual makes its neighbours go one by one, so they are few.
TOGETHER: Final = 128


@dataclass(slots=True)
class Decoded:
    """Records with the message of each: None where the stage has no use for one, or where it cannot be decoded.

    `refused` then has the reason, by the record's place. `clocks`: the tick clock at each record, which never goes
    back, where it is not the processor's own for all of them.
    """

    records: RecordBatch
    messages: list[Message | Compact | None]
    refused: dict[int, str]
    clocks: Sequence[int] | None = None

    def part(self, begin: int, end: int) -> Decoded:
        """The records from one place to before another."""
        refused = {place - begin: reason for place, reason in self.refused.items() if begin <= place < end}
        clocks = None if self.clocks is None else self.clocks[begin:end]
        return Decoded(self.records[begin:end], self.messages[begin:end], refused, clocks)


def decode_batch(stage: Stage[Any], records: RecordBatch) -> Decoded:
    """Decode all records of a batch; nothing is raised for what is wrong with one."""
    values, with_headers = records.values(), records.with_headers()
    decoded = Decoded(records, [], {})
    for first in range(0, len(values), TOGETHER):
        some = values[first : first + TOGETHER]
        together = None if with_headers or None in some else stage.decode_many(some)  # type: ignore[arg-type] # no None
        if together is not None:
            decoded.messages += together
        elif with_headers:
            for place in range(first, first + len(some)):
                _decode_record(stage, records[place], place, decoded)
        else:
            for place, value in enumerate(some, start=first):
                _decode(stage, value, (), place, decoded)
    return decoded


def _decode_record(stage: Stage[Any], record: Record, place: int, decoded: Decoded) -> None:
    headers: Headers = record.headers
    try:
        if headers:
            forwarded_from(record)
            headers = without_origin(record)
    except ValueError as problem:
        decoded.messages.append(None)
        decoded.refused[place] = str(problem)
        return
    _decode(stage, record.value, headers, place, decoded)


def _decode(stage: Stage[Any], value: bytes | None, headers: Headers, place: int, decoded: Decoded) -> None:
    try:
        message = stage.decode(value, headers)
    except ValueError as problem:
        message, decoded.refused[place] = None, str(problem)
    decoded.messages.append(message)
