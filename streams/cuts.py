"""Order and time, written down: each checkpoint's transaction tells in the internal topic what it processed, in order.

A partition's inputs have no order among each other but that in which they were processed. The cuts of a partition, read
one after the other, tell it: which offsets of which topic, then which, and how much time passed between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import cast

from schemas.internal import Cut, Run
from schemas.parse import parser_for
from streams.origin import INTERNAL
from streams.records import FetchedRecords, Forward, Parsed

_parse = parser_for(Cut)

#: The header by which a cut is told without decoding it.
CUT_HEADER = ("cut", b"1")


class RunLog:
    """The runs since the last checkpoint."""

    def __init__(self) -> None:
        self._runs: list[Run] = []

    def read(self, topic: str, begin: int, end: int) -> None:
        """The offsets [begin, end) of a topic (its name on Kafka) were processed."""
        last = self._runs[-1] if self._runs else None
        if last is not None and not last.ticks and (last.topic, last.end) == (topic, begin):
            self._runs[-1] = last.model_copy(update={"end": end})
        else:
            self._runs.append(Run(topic=topic, begin=begin, end=end))

    def tick(self, milliseconds: int) -> None:
        """So much time passed. Ticks are not added up: one of two seconds wakes a key later than two of one."""
        if self._runs and not self._runs[-1].ticks:
            self._runs[-1] = self._runs[-1].model_copy(update={"ticks": milliseconds})
        else:
            self._runs.append(Run(ticks=milliseconds))

    def take(self) -> list[Run]:
        """The runs, which are then forgotten."""
        runs, self._runs = self._runs, []
        return runs


def cut_record(stage: str, partition: int, runs: Sequence[Run], written_at: datetime) -> Forward:
    """The record that tells the runs of one checkpoint. It has no key, which a forwarded record always has."""
    cut = Cut(stage=stage, partition=partition, timestamp=written_at, runs=list(runs))
    return Forward(
        stage + INTERNAL, partition, None, cut.to_json(), (CUT_HEADER,), round(written_at.timestamp() * 1000)
    )


def is_cut(record: Parsed) -> bool:
    """Whether a record of an internal topic is a cut. Whatever headers a fleet wrote, a forwarded record has a key."""
    return record.key is None and CUT_HEADER in record.headers


def without_cuts(records: FetchedRecords) -> FetchedRecords:
    """What a stage is to see of its internal topic."""
    kept = [record for record in records.parsed if not is_cut(record)]
    return FetchedRecords(records.topic, records.partition, kept)


def runs_of(record: Parsed) -> list[Run]:
    """The runs that a cut tells, in order. Raises InvalidMessage for what is no cut."""
    return cast(Cut, _parse(record.value)).runs
