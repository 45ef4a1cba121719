"""What comes in and how the stages keep up, from offsets alone: asked of Kafka every two seconds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack, suppress
from typing import Final

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from agents.dashboard.documents import Flow, StageFlow
from streams.clients import new_admin, new_consumer
from streams.security import Cluster
from streams.topic_log import TopicMissing, partition_counts, started

log = logging.getLogger(__name__)

PERIOD: Final = 2.0

INPUTS: Final[Mapping[str, tuple[str, ...]]] = {
    "monitor": ("metrics",),
    "retrain": ("drift",),
    "tuner": ("retrain", "models"),
}
"""What each stage's consumer group reads, beside its internal topic."""

Offsets = dict[TopicPartition, int]


class FlowMeter:
    """Measures in the background. Start it once."""

    def __init__(self, servers: Cluster, prefix: str) -> None:
        self._servers, self._prefix = servers, prefix
        self._task: asyncio.Task[None] | None = None
        self._measured: tuple[float, Offsets, dict[str, Offsets]] | None = None
        self._former: tuple[float, Offsets, dict[str, Offsets]] | None = None

    async def start(self) -> None:
        """Begin to measure."""
        self._task = asyncio.create_task(self._run(), name="dashboard flow")

    async def stop(self) -> None:
        """Measure no more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    @property
    def age(self) -> float | None:
        """Seconds since Kafka last answered; None if it never has."""
        return None if self._measured is None else asyncio.get_running_loop().time() - self._measured[0]

    def flow(self) -> Flow:
        """What was measured last."""
        if self._measured is None:
            return Flow(records_per_second=None, stages=_unknown(), seconds_ago=None)
        _, ends, _ = self._measured
        incoming = [place for place in ends if place.topic == f"{self._prefix}metrics"]
        return Flow(
            records_per_second=self._rate(lambda offsets, _: _sum(offsets, incoming)),
            stages=[self._stage(stage) for stage in INPUTS],
            seconds_ago=self.age,
        )

    def _stage(self, stage: str) -> StageFlow:
        assert self._measured is not None, "asked only after a measurement"
        _, ends, committed = self._measured
        mine = committed.get(stage)
        if not mine:
            return StageFlow(stage=stage, records_per_second=None, lag=None)
        lag = sum(max(0, ends[place] - at) for place, at in mine.items() if place in ends)
        rate = self._rate(lambda _, groups: _sum(groups.get(stage, {}), mine))
        return StageFlow(stage=stage, records_per_second=rate, lag=lag)

    def _rate(self, total: Callable[[Offsets, dict[str, Offsets]], int]) -> float | None:
        if self._former is None or self._measured is None:
            return None
        seconds = self._measured[0] - self._former[0]
        counted = total(*self._measured[1:]) - total(*self._former[1:])
        return max(0.0, counted / seconds) if seconds > 0 else None

    async def _run(self) -> None:
        while True:
            try:
                await self._measure_on()
            except (KafkaError, TimeoutError, TopicMissing, OSError) as problem:
                log.debug("flow is not measured: %s", problem)
            except Exception:
                log.exception("flow is not measured")
            await asyncio.sleep(PERIOD)

    async def _measure_on(self) -> None:
        topics = {f"{self._prefix}{topic}" for inputs in INPUTS.values() for topic in inputs}
        counts = await partition_counts(self._servers, topics)
        places = [TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)]
        async with AsyncExitStack() as clients:
            admin = await clients.enter_async_context(started(new_admin(self._servers)))
            consumer = new_consumer(self._servers, enable_auto_commit=False)
            await clients.enter_async_context(started(consumer))
            while True:
                async with asyncio.timeout(10.0):
                    ends = await consumer.end_offsets(places)
                    committed = {stage: await self._committed(admin, stage) for stage in INPUTS}
                self._former, self._measured = self._measured, (asyncio.get_running_loop().time(), ends, committed)
                await asyncio.sleep(PERIOD)

    async def _committed(self, admin: AIOKafkaAdminClient, stage: str) -> Offsets:
        topics = {f"{self._prefix}{topic}" for topic in INPUTS[stage]}
        try:
            found = await admin.list_consumer_group_offsets(f"{self._prefix}{stage}")
        except KafkaError:
            return {}
        return {place: at.offset for place, at in found.items() if place.topic in topics and at.offset >= 0}


def _sum(offsets: Mapping[TopicPartition, int], places: Iterable[TopicPartition]) -> int:
    return sum(offsets.get(place, 0) for place in places)


def _unknown() -> list[StageFlow]:
    return [StageFlow(stage=stage, records_per_second=None, lag=None) for stage in INPUTS]
