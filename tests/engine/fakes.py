"""Fakes of the engine's ports: the broker's side of a partition, and the consumer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from aiokafka import ConsumerRecord
from aiokafka.errors import IllegalStateError
from faust.types import TP

from streams.batch import Batch
from streams.changed import Changes
from streams.cuts import CUT_HEADER
from streams.identity import TOPICS_KEY, TopicOnBroker, remember
from streams.outbox import CommitOffsets
from streams.records import FetchedRecords, Forward, Output
from streams.store import OverlayStore
from tests.engine.counting import score_bytes

METRICS, INTERNAL = TP("p.metrics", 0), TP("p.summing-internal", 0)


def apart(outputs: Sequence[Output | Forward]) -> tuple[list[Output | Forward], list[Forward]]:
    """What a stage made, and the cuts."""
    cuts = [each for each in outputs if isinstance(each, Forward) and CUT_HEADER in each.headers]
    return [each for each in outputs if each not in cuts], cuts


class FakeKafka:
    """What is committed, whoever did it; an outbox that another one followed is fenced."""

    def __init__(self) -> None:
        self.changelog: list[tuple[bytes, bytes | None]] = []
        self.outputs: list[Output | Forward] = []
        self.cuts: list[Forward] = []
        self.offsets: dict[TP, int] = {}
        self.starts = {METRICS: 0, INTERNAL: 0}
        self.ends = {METRICS: 1_000, INTERNAL: 1_000}
        self.outboxes: list[FakeOutbox] = []
        names = (METRICS.topic, INTERNAL.topic, "p.summing-changelog")
        self.topics = {name: TopicOnBroker(f"id of {name}", 1) for name in names}

    def has_begun(self, offsets: Mapping[TP, int]) -> None:
        """As if a worker had been there: offsets, and a state that remembers its topics."""
        self.offsets = dict(offsets)
        self.changelog = [(TOPICS_KEY, remember(self.topics))]


class FakeOutbox:
    """Fails with `problem`; `gate` holds a transaction up before it commits; a `stubborn` one cannot be cancelled."""

    def __init__(self, kafka: FakeKafka) -> None:
        self.kafka, self.stubborn = kafka, False
        self.problem: Exception | None = None
        self.running = self.stopped = False
        self.gate, self.start_gate = asyncio.Event(), asyncio.Event()
        self.gate.set()
        self.start_gate.set()
        kafka.outboxes.append(self)

    async def start(self) -> None:
        await self.start_gate.wait()
        self.running = True

    async def publish(
        self, changes: Changes, outputs: Sequence[Output | Forward], offsets: Mapping[TP, int]
    ) -> int | None:
        while not self.gate.is_set():
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                if not self.stubborn:
                    raise
        if self.problem is not None:
            raise self.problem
        self.kafka.changelog += changes.items()
        others, cuts = apart(outputs)
        self.kafka.outputs += others
        self.kafka.cuts += cuts
        self.kafka.offsets |= offsets
        return len(self.kafka.changelog) if changes else None

    async def stop(self) -> None:
        self.running, self.stopped = False, True


class FakeConsumer:
    """Remembers where it was told to read."""

    def __init__(self, kafka: FakeKafka) -> None:
        self.kafka = kafka
        self.sought: list[tuple[TP, int]] = []
        self.assigned = True

    async def seek_to(self, tp: TP, offset: int) -> None:
        if not self.assigned:
            raise IllegalStateError(f"{tp} is not assigned")
        self.sought.append((tp, offset))

    async def committed(self, tp: TP) -> int | None:
        return self.kafka.offsets.get(tp)

    async def earliest_offsets(self, *partitions: TP) -> dict[TP, int]:
        return {tp: self.kafka.starts[tp] for tp in partitions}

    async def highwaters(self, *partitions: TP) -> dict[TP, int]:
        return {tp: self.kafka.ends[tp] for tp in partitions}

    def end_position(self, tp: TP) -> int | None:
        return self.kafka.ends[tp]

    async def describe_topics(self, names: Sequence[str]) -> dict[str, TopicOnBroker]:
        return {name: self.kafka.topics[name] for name in names if name in self.kafka.topics}

    @property
    def commit_offsets(self) -> CommitOffsets:
        raise NotImplementedError("for delivery without transactions")


def batch(begin: int, end: int, scores: Mapping[int, float] | None = None, model: str = "a") -> Batch:
    """Records at the given offsets; by default one of 1.0 at each offset of the range."""
    values = dict.fromkeys(range(begin, end), 1.0) if scores is None else scores
    records = [
        ConsumerRecord("p.metrics", 0, offset, 1, 0, b"a", score_bytes(model, value), None, 1, 1, ())
        for offset, value in values.items()
    ]
    return Batch("p.metrics", 0, begin, end, FetchedRecords("p.metrics", 0, records))


def internal_batch(begin: int, end: int) -> Batch:
    """A score of 1.0 at each offset of the internal topic."""
    scores = batch(begin, end)
    return Batch(INTERNAL.topic, 0, begin, end, FetchedRecords(INTERNAL.topic, 0, scores.records.parsed))


async def fake_restore(kafka: FakeKafka, store: OverlayStore, partition: int) -> int:
    """The changelog from the position on disk on."""
    position, end = store.position(partition), len(kafka.changelog)
    if end > position:
        store.write_committed(partition, kafka.changelog[position:], end)
    return end - position
