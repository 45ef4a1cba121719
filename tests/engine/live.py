"""A stage on a real broker, in this process: what a fleet sends, what is committed, and a worker to watch."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, RecordsToDelete
from aiokafka.errors import GroupCoordinatorNotAvailableError

from streams.engine import Engine
from streams.identity import StateMismatch
from streams.settings import EngineSettings
from streams.stage import Stage
from streams.topics import create_topics, wanted_topics
from streams.worker import StreamWorker
from tests.engine.counting import Sum, SummingStage, score_bytes

T = TypeVar("T")
Json = dict[str, Any]


@dataclass
class Live:
    """One topic prefix on a broker."""

    settings: EngineSettings

    @classmethod
    async def on(cls, servers: str, prefix: str, folder: Path, partitions: int = 1, **options: Any) -> Live:
        """Make the topics of the summing stage. Options are those of `EngineSettings`."""
        settings = EngineSettings(
            servers, topic_prefix=prefix, partitions=partitions, data_dir=folder, session_timeout=6.0, **options
        )
        await create_topics(servers, wanted_topics(settings, ["summing"]))
        return cls(settings)

    @asynccontextmanager
    async def worker(self, stage: Stage[Sum] | None = None, data: str = "one") -> AsyncIterator[StreamWorker]:
        """A worker on a data folder of its own, restored and reading; stopped at the end."""
        worker = self.new_worker(stage, data)
        try:
            await worker.start()
            await until(lambda: worker.ready)
            yield worker
        finally:
            await worker.stop()

    async def refusal(self) -> str:
        """What a new worker says that does not start."""
        worker = self.new_worker()

        async def run() -> None:
            await worker.start()
            await worker.wait()

        try:
            await asyncio.wait_for(run(), 30)
        except StateMismatch as problem:
            return str(problem)
        finally:
            await asyncio.wait_for(worker.stop(), 10)
        return "it started"

    def new_worker(self, stage: Stage[Sum] | None = None, data: str = "one") -> StreamWorker:
        """A worker that is not started."""
        settings = replace(self.settings, data_dir=self.settings.data_dir / data)
        return StreamWorker([stage or SummingStage()], settings)

    @asynccontextmanager
    async def producer(self, **options: Any) -> AsyncIterator[AIOKafkaProducer]:
        producer = AIOKafkaProducer(bootstrap_servers=self.settings.bootstrap_servers, **options)
        await producer.start()
        try:
            yield producer
        finally:
            await producer.stop()

    async def send(self, values: Iterable[float], model: str = "a", partition: int = 0) -> None:
        """Scores of one model into a partition of the metrics topic."""
        topic = self.settings.topic("metrics")
        async with self.producer() as producer:
            sent = [await producer.send(topic, score_bytes(model, v), partition=partition) for v in values]
            await asyncio.gather(*sent)

    async def read(self, topic: str) -> list[ConsumerRecord]:
        """All committed records of a topic; its name is without the prefix."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.settings.bootstrap_servers,
            isolation_level="read_committed",
            enable_auto_commit=False,
        )
        await consumer.start()
        try:
            tps = [TopicPartition(self.settings.topic(topic), p) for p in range(self.settings.partitions)]
            consumer.assign(tps)
            await consumer.seek_to_beginning(*tps)
            ends, found = await consumer.end_offsets(tps), []
            while any([await consumer.position(tp) < ends[tp] for tp in tps]):
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    found += records
            return found
        finally:
            await consumer.stop()

    async def alerts(self) -> list[str]:
        """What the stage told, message by message."""
        return [json.loads(record.value)["message"] for record in await self.read("alerts")]

    async def counts(self) -> dict[str, int]:
        """How many scores each model has, by the changelog."""
        state = {record.key.decode(): record.value for record in await self.read("summing-changelog")}
        return {key: int(value.split()[0]) for key, value in state.items() if not key.startswith("\0")}

    async def committed(self, partition: int = 0, topic: str = "metrics") -> int | None:
        """The stage's committed offset."""
        async with asyncio.timeout(60), self._admin() as admin:
            while True:
                with suppress(GroupCoordinatorNotAvailableError):  # a new broker still makes the topic for offsets
                    offsets = await admin.list_consumer_group_offsets(self.settings.group("summing"))
                    break
                await asyncio.sleep(0.1)
        found = offsets.get(TopicPartition(self.settings.topic(topic), partition))
        return None if found is None else int(found.offset)

    async def recreate(self, topic: str) -> None:
        """Delete a topic (its name is without the prefix) and make it again."""
        name = self.settings.topic(topic)
        async with self._admin() as admin:
            await admin.delete_topics([name])
            while name in await admin.list_topics():  # noqa: ASYNC110 - the broker tells nobody
                await asyncio.sleep(0.05)
        await create_topics(self.settings.bootstrap_servers, wanted_topics(self.settings, ["summing"]))

    async def add_partition(self, topic: str) -> None:
        """One partition more than the settings say."""
        more = NewPartitions(self.settings.partitions + 1)
        async with self._admin() as admin:
            await admin.create_partitions({self.settings.topic(topic): more})

    async def cut(self, topic: str, before: int) -> None:
        """Let the first records of a topic's partition 0 go, as retention would."""
        async with self._admin() as admin:
            await admin.delete_records({TopicPartition(self.settings.topic(topic), 0): RecordsToDelete(before)})

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.settings.bootstrap_servers)
        await admin.start()
        try:
            yield admin
        finally:
            await admin.close()


def engine_of(worker: StreamWorker) -> Engine[Sum]:
    return worker.app("summing").engine


def count_in(worker: StreamWorker, model: str = "a", partition: int = 0) -> int:
    """How many scores the worker has in memory or on disk; 0 while it does not have the partition."""
    owner = engine_of(worker).owner(partition)
    return 0 if owner is None else owner.processor.state(model).count


async def until(met: Callable[[], bool], seconds: float = 100.0) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(seconds):
        while not met():  # noqa: ASYNC110 - it is another service's doing, of which no event tells
            await asyncio.sleep(0.02)


async def eventually(found: Callable[[], Awaitable[T]], wanted: T, seconds: float = 100.0) -> None:
    """Wait until asking gives what is wanted."""
    async with asyncio.timeout(seconds):
        while await found() != wanted:  # noqa: ASYNC110 - the same
            await asyncio.sleep(0.1)


async def quiet(work: asyncio.Future[Any]) -> None:
    """Cancel and forget."""
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work
