"""Reads topics from Kafka in the order in which they were processed: what a recorder writes, and `kafka://` is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from aiokafka import ConsumerRecord, TopicPartition

from agents.recording.bounds import Bound
from agents.recording.format import VERSION, Header, Positions
from agents.recording.items import Item, SourceError, SourceRecord
from agents.recording.lanes import Lane, merged
from streams.clients import new_admin, new_consumer
from streams.origin import INTERNAL
from streams.security import Cluster
from streams.topic_log import PATIENCE, partition_counts, started

#: What each stage reads, and so what its cuts tell the order of.
INPUTS: dict[str, tuple[str, ...]] = {"monitor": ("metrics",), "retrain": ("drift",), "tuner": ("retrain", "models")}

#: Bytes of one partition that may wait for those before them.
_AHEAD = 4 * 2**20


@dataclass(frozen=True)
class Wanted:
    """`topics` by their names on Kafka. `since` is included, `until` is not. `cuts`: whether to order by them.

    Without `follow` reading ends at `until`, or where the topics end when it begins.
    """

    servers: Cluster
    topics: tuple[str, ...]
    topic_prefix: str
    since: Bound = None
    until: Bound = None
    follow: bool = False
    cuts: bool = True


async def described(wanted: Wanted) -> Header:
    """What a recording of these topics holds. Raises `TopicMissing`."""
    async with started(new_admin(wanted.servers)) as admin:
        existing = set(await admin.list_topics())
    if set(wanted.topics) - existing:
        await partition_counts(wanted.servers, set(wanted.topics))  # raises, and tells missing from hidden
    prefix, stages = wanted.topic_prefix, []
    for stage, inputs in INPUTS.items() if wanted.cuts else ():
        if prefix + stage + INTERNAL in existing and {prefix + name for name in inputs} <= set(wanted.topics):
            stages.append(stage)
    internals = {prefix + stage + INTERNAL for stage in stages}
    counts = await partition_counts(wanted.servers, {*wanted.topics, *internals})
    for stage in stages:
        internal = prefix + stage + INTERNAL
        if any(counts[prefix + name] != counts[internal] for name in INPUTS[stage]):
            raise SourceError(
                f"{internal} has {counts[internal]} partitions and its stage's inputs have others: no cut fits them; "
                "--no-cuts records without"
            )
    return Header(VERSION, dict(sorted(counts.items())), prefix, tuple(stages), str(wanted.servers))


class TopicsReader:
    """Use as an async context manager, then iterate once: lists of items, in order.

    `positions` is where to go on. Raises SourceError where that is not possible any more, and what Kafka raises.
    """

    def __init__(self, wanted: Wanted, header: Header, positions: Positions | None = None) -> None:
        self._wanted, self._header, self._resumed = wanted, header, positions
        self._consumer = new_consumer(
            wanted.servers,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            isolation_level="read_committed",
            fetch_max_wait_ms=200,
        )
        self._lanes: dict[TopicPartition, Lane] = {}
        self._ends: dict[TopicPartition, int] = {}
        #: Records that retention removed before they could be read.
        self.lost = 0

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._consumer.start()
                await self._assign()
        except BaseException:
            await self._consumer.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    def positions(self) -> Positions:
        """How far what was given goes."""
        positions = {topic: [0] * count for topic, count in self._header.topics.items()}
        cuts: dict[str, list[tuple[int, int]]] = {}
        for lane in self._distinct():
            for topic, position in lane.positions().items():
                positions[topic][lane.partition] = position
            if lane.stage:
                cuts.setdefault(lane.stage, []).append(lane.next_cut)
        return Positions(positions, cuts)

    async def remaining(self) -> int:
        """How many offsets there are to read."""
        return sum([max(end - await self._consumer.position(tp), 0) for tp, end in self._ends.items()])

    async def __aiter__(self) -> AsyncIterator[list[Item]]:
        lanes = self._distinct()
        while True:
            await self._read()
            positions = {tp: await self._consumer.position(tp) for tp in self._lanes}
            behind = {id(self._lanes[tp]) for tp, end in self._ends.items() if positions[tp] < end}
            items = list(merged(lanes, lambda lane: id(lane) in behind))  # noqa: B023 - used up at once
            yield items
            if not items and not behind and not self._wanted.follow:
                return

    async def _read(self) -> None:
        """Take in what has been fetched of the partitions that are wanted now."""
        wanted = [tp for tp, lane in self._lanes.items() if lane.wants(tp.topic, _AHEAD)]
        if not wanted:
            return
        async with asyncio.timeout(PATIENCE):
            batches = await self._consumer.getmany(*wanted, timeout_ms=500)
        for tp in wanted:
            position, end = await self._consumer.position(tp), self._ends[tp]
            ended = not self._wanted.follow and position >= end
            records = [_record(each) for each in batches.get(tp, ()) if each.offset < end or self._wanted.follow]
            self._lanes[tp].add(tp.topic, records, position, ended)

    async def _assign(self) -> None:
        places = [TopicPartition(topic, p) for topic, count in self._header.topics.items() for p in range(count)]
        internals = {self._header.topic_prefix + stage + INTERNAL for stage in self._header.ordered_by}
        data = [tp for tp in places if tp.topic not in internals]
        self._consumer.assign(places)
        first: dict[TopicPartition, int] = await self._consumer.beginning_offsets(places)
        # The cuts' end comes first, so that what they tell of lies before the ends of the others.
        ends = await self._consumer.end_offsets([tp for tp in places if tp.topic in internals])
        self._ends = {**ends, **await self._consumer.end_offsets(data)}
        begins = {**first, **await self._bounds(data, self._wanted.since, first, self._ends)}
        self._ends |= await self._bounds(data, self._wanted.until, self._ends, self._ends)
        if isinstance(self._wanted.since, datetime):
            begins |= await self._bounds([*ends], self._wanted.since, first, self._ends)
        limited = self._wanted.since is not None or self._wanted.until is not None
        limits = {(tp.topic, tp.partition): (begins[tp], self._ends[tp]) for tp in data} if limited else None
        begins = {tp: self._resume(tp, begins[tp], first[tp]) for tp in places}
        self._lanes = _lanes(self._header, begins, self._resumed, limits)
        for tp, begin in begins.items():
            self._consumer.seek(tp, begin)

    async def _bounds(
        self,
        places: Sequence[TopicPartition],
        bound: Bound,
        default: Mapping[TopicPartition, int],
        ends: Mapping[TopicPartition, int],
    ) -> dict[TopicPartition, int]:
        """The offset that a bound means in each partition."""
        if bound is None or not places:
            return {tp: default[tp] for tp in places}
        if isinstance(bound, int):
            return {tp: min(max(bound, 0), ends[tp]) for tp in places}
        found = await self._consumer.offsets_for_times({tp: round(bound.timestamp() * 1000) for tp in places})
        return {tp: ends[tp] if found[tp] is None else min(found[tp].offset, ends[tp]) for tp in places}

    def _resume(self, tp: TopicPartition, begin: int, first: int) -> int:
        """Where to read on, rather than at `begin`, after what was read before."""
        if self._resumed is None:
            return begin
        done = self._resumed.positions.get(tp.topic, [])
        at = done[tp.partition] if tp.partition < len(done) else begin
        if at > self._ends[tp] and self._wanted.until is None:
            raise SourceError(
                f"{tp.topic} [{tp.partition}] ends at {self._ends[tp]} and the recording goes to {at}: the topic was "
                "made anew; record to another file"
            )
        self.lost += max(first - at, 0)
        return max(at, first)

    def _distinct(self) -> list[Lane]:
        return list({id(lane): lane for lane in self._lanes.values()}.values())


def _lanes(
    header: Header,
    begins: Mapping[TopicPartition, int],
    resumed: Positions | None,
    limits: Mapping[tuple[str, int], tuple[int, int]] | None,
) -> dict[TopicPartition, Lane]:
    """The lane of each partition of each topic: one for all inputs of a stage by whose cuts they are ordered."""
    lanes: dict[TopicPartition, Lane] = {}
    for stage in header.ordered_by:
        internal = header.topic_prefix + stage + INTERNAL
        topics = [header.topic_prefix + name for name in INPUTS[stage]] + [internal]
        cuts = resumed.cuts.get(stage, []) if resumed is not None else []
        for partition in range(header.topics[internal]):
            positions = {topic: begins[TopicPartition(topic, partition)] for topic in topics}
            next_cut = cuts[partition] if partition < len(cuts) else (0, 0)
            lane = Lane(partition, positions, stage, internal, next_cut, limits)
            lanes |= {TopicPartition(topic, partition): lane for topic in topics}
    for tp, begin in begins.items():
        if tp not in lanes:
            lanes[tp] = Lane(tp.partition, {tp.topic: begin})
    return lanes


def _record(record: ConsumerRecord) -> SourceRecord:
    timestamp = -1 if record.timestamp is None else record.timestamp
    return SourceRecord(
        record.topic, record.partition, record.offset, timestamp, record.key, record.value, record.headers
    )
