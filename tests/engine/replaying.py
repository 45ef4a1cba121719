"""Goes through what a partition processed once more, in the order that its cuts tell."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from streams.cuts import is_cut, runs_of
from streams.origin import INTERNAL
from streams.parts import MemoryTable
from streams.processor import Processor
from streams.records import Record
from streams.stage import Stage


class CutsBroken(AssertionError):
    """The cuts do not tell every offset once, in order."""


def replayed(
    stage: Stage[Any], partition: int, partitions: int, topic_prefix: str, records: Iterable[Record]
) -> dict[bytes, bytes]:
    """The state that a new processor has after what the cuts tell; keys of the engine's own are left out.

    `records` are those of all the stage's inputs, read committed, each topic in its order. Raises `CutsBroken` where a
    run does not begin where the last one of its topic ended, or is not all there.
    """
    inputs: defaultdict[str, list[Record]] = defaultdict(list)
    for record in records:
        if record.partition == partition:
            inputs[record.topic].append(record)
    table = MemoryTable()
    processor = Processor(stage, partition, partitions, table)
    expected: defaultdict[str, int] = defaultdict(int)
    for cut in filter(is_cut, inputs[f"{topic_prefix}{stage.name}{INTERNAL}"]):
        for run in runs_of(cut):
            if run.topic:
                if run.begin != expected[run.topic]:
                    raise CutsBroken(f"{run.topic} [{partition}]: {run.begin} comes after {expected[run.topic]}")
                expected[run.topic] = run.end
                lane = inputs[run.topic]
                first, last = (bisect_left(lane, at, key=_offset) for at in (run.begin, run.end))
                processor.process([record for record in lane[first:last] if not is_cut(record)])
            if run.ticks:
                processor.tick(run.ticks)
    for topic, lane in inputs.items():
        if left := [record.offset for record in lane if record.offset >= expected[topic] and not is_cut(record)]:
            raise CutsBroken(f"{topic} [{partition}]: no cut tells of {left[:5]}")
    return {key: value for key, value in table.items() if not key.startswith(b"\0")}


def _offset(record: Record) -> int:
    return record.offset
