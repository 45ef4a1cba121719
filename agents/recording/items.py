"""What a source gives: records, and in a recording the time that passed between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from streams.origin import INTERNAL
from streams.records import Headers


class SourceError(ValueError):
    """The source cannot be read. The message is one line: it names the source and says what to do."""


class SourceRecord(msgspec.Struct, frozen=True, gc=False):
    """One record of a source; a `streams.records.Record` that costs a tenth of a `StoredRecord` to make.

    Of a file that is no recording `topic` is its name, `partition` 0, `offset` the line (of a table the row, counted as
    lines of a text file), `timestamp` 0. In a recording all four are as on Kafka.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class TimePassed(msgspec.Struct, frozen=True, gc=False):
    """A tick that a worker's partition of `stage` wrote down: so many milliseconds, after the records before it.

    It is applied by `Processor.tick(milliseconds)` of that partition, as it is; ticks are not added up.
    """

    stage: str
    partition: int
    milliseconds: int


Item = SourceRecord | TimePassed
"""What iterating a source gives. Only a recording holds `TimePassed`."""


@dataclass(frozen=True)
class Recorded:
    """What a recording tells of where it was made.

    `topics`: how many partitions each has, by its name on Kafka. `ordered_by`: the stages by whose cuts it is ordered.
    Of those the copies that a worker forwarded are in the recording (on `{topic_prefix}{stage}-internal`), each where
    it was processed, so that what a processor forwards once more is to be dropped; and so are their ticks. State and
    ticks are kept apart by partition, as in the worker.
    """

    topic_prefix: str
    topics: Mapping[str, int]
    ordered_by: tuple[str, ...] = ()

    def partitions_of(self, stage: str) -> int:
        """How many partitions the inputs of a stage in `ordered_by` had."""
        return self.topics[f"{self.topic_prefix}{stage}{INTERNAL}"]
