"""A topic as a log, for programs that are no stage: read it from its beginning, follow it, append to it.

Reading is read-committed and ends by position, for commit markers use up offsets. Appending places keys as Java's
clients do. Errors of Kafka come as they are (`aiokafka.errors.KafkaError`), silence as `TimeoutError`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from streams.clients import new_admin, new_consumer, new_producer
from streams.metadata import describe_topics
from streams.partitioner import partition_of
from streams.security import Cluster

#: Seconds without an answer after which reading or appending is given up.
PATIENCE = 20.0

_POLL_MS = 200


class TopicMissing(LookupError):
    """The topic is not there. Asking a broker for it by name might create it, so it is not asked."""

    def __init__(self, topic: str) -> None:
        super().__init__(f"no topic {topic}")
        self.topic = topic


@dataclass(frozen=True)
class ToSend:
    """A record to publish, `topic` being the name on Kafka. `placed_by`, where given, decides the partition."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    placed_by: bytes | None = None


async def publish(servers: Cluster, records: Iterable[ToSend]) -> list[tuple[TopicPartition, int]]:
    """Publish records one after the other; returns where each was written. Raises `TopicMissing`."""
    to_send = list(records)
    partitions = await partition_counts(servers, {record.topic for record in to_send})
    async with started(new_producer(servers, acks="all", enable_idempotence=True)) as producer:
        return [await send(producer, record, partitions[record.topic]) for record in to_send]


async def send(producer: AIOKafkaProducer, record: ToSend, partitions: int) -> tuple[TopicPartition, int]:
    """Append one record to a topic of so many partitions; returns where it was written."""
    async with asyncio.timeout(PATIENCE):
        written = await producer.send_and_wait(
            record.topic,
            record.value,
            key=record.key,
            partition=_place(record.placed_by or record.key, partitions),
            headers=list(record.headers),
        )
    return TopicPartition(written.topic, written.partition), written.offset


def _place(key: bytes | None, partitions: int) -> int | None:
    """A key that is text is placed as text; None leaves the choice to the client, which hashes bytes the same way."""
    try:
        return None if key is None else partition_of(key.decode(), partitions)
    except UnicodeDecodeError:
        return None


async def read_to_end(servers: Cluster, topic: str) -> AsyncIterator[ConsumerRecord]:
    """Every committed record of a topic, up to the end as it is now. Raises `TopicMissing`."""
    count = (await partition_counts(servers, {topic}))[topic]
    async with started(_consumer(servers)) as consumer:
        ends = await _ends(consumer, topic, count)
        async for record in _read(consumer, ends):
            if record.offset < ends[TopicPartition(topic, record.partition)]:
                yield record


async def newest(servers: Cluster, topic: str, count: int) -> AsyncIterator[ConsumerRecord]:
    """The newest committed records of a topic as it is now: of each partition those within its last `count` offsets.

    Raises `TopicMissing`.
    """
    partitions = (await partition_counts(servers, {topic}))[topic]
    async with started(_consumer(servers)) as consumer:
        ends = await _ends(consumer, topic, partitions)
        begins = await consumer.beginning_offsets(list(ends))
        for place, end in ends.items():
            consumer.seek(place, max(begins[place], end - count))
        async for record in _read(consumer, ends):
            if record.offset < ends[TopicPartition(topic, record.partition)]:
                yield record


async def group_lag(servers: Cluster, group: str, topics: Sequence[str]) -> int | None:
    """How many offsets of these topics a consumer group has not committed yet; None if it has committed none.

    Raises `TopicMissing`.
    """
    counts = await partition_counts(servers, set(topics))
    async with started(new_admin(servers)) as admin:
        committed = await admin.list_consumer_group_offsets(group)
    async with started(_consumer(servers)) as consumer:
        places = [TopicPartition(topic, number) for topic in topics for number in range(counts[topic])]
        ends, begins = await consumer.end_offsets(places), await consumer.beginning_offsets(places)
    known = {place: committed[place].offset for place in places if place in committed and committed[place].offset >= 0}
    return sum(ends[place] - known.get(place, begins[place]) for place in places) if known else None


async def partition_counts(servers: Cluster, topics: set[str]) -> dict[str, int]:
    """How many partitions each topic has. Raises `TopicMissing`."""
    async with started(new_admin(servers)) as admin:
        existing = set(await admin.list_topics())
        if missing := sorted(topics - existing):
            await describe_topics(admin._client, missing[:1])  # raises if it is hidden from us rather than missing
            raise TopicMissing(missing[0])
        described = await admin.describe_topics(sorted(topics)) if topics else []
    return {each["topic"]: len(each["partitions"]) for each in described}


class TopicFollower:
    """Reads a topic from its beginning, then what is written to it; `apply` gets each record, in a partition's order.

    `from_end` leaves out what was there already.

    Use as an async context manager: once entered, everything that was there has been applied. If `apply` raises, or
    Kafka fails for good, reading ends and whoever waits gets that error.
    """

    def __init__(
        self, servers: Cluster, topic: str, apply: Callable[[ConsumerRecord], None], *, from_end: bool = False
    ) -> None:
        self._servers, self._topic, self._apply = servers, topic, apply
        self._consumer, self._from_end = _consumer(servers), from_end
        self._next: dict[TopicPartition, int] = {}
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.partitions = 0

    async def __aenter__(self) -> Self:
        try:
            self.partitions = (await partition_counts(self._servers, {self._topic}))[self._topic]
            async with asyncio.timeout(PATIENCE):
                await self._consumer.start()
            ends = await _ends(self._consumer, self._topic, self.partitions)
            if self._from_end:
                for place, end in ends.items():
                    self._consumer.seek(place, end)
            async for record in _read(self._consumer, ends):
                self._take(record)
        except BaseException:
            await self._consumer.stop()
            raise
        self._task = asyncio.create_task(self._follow(), name=f"follow {self._topic}")
        self._task.add_done_callback(lambda _: self._tell())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await self._task
        await self._consumer.stop()

    async def passed(self, place: TopicPartition, offset: int) -> None:
        """Wait until the record at an offset has been applied. Raises what ended reading, or `TimeoutError`."""
        async with asyncio.timeout(PATIENCE):
            while self._next.get(place, 0) <= offset:
                if self._task is None or self._task.cancelled():
                    raise RuntimeError(f"{self._topic} is not being followed (any more)")
                if self._task.done():
                    self._task.result()
                await self._news.wait()

    def check(self) -> None:
        """Raise what ended reading, if it has ended."""
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()

    async def _follow(self) -> None:
        while True:
            for batch in (await self._consumer.getmany(timeout_ms=1_000)).values():
                for record in batch:
                    self._take(record)
            self._tell()

    def _take(self, record: ConsumerRecord) -> None:
        self._apply(record)
        self._next[TopicPartition(record.topic, record.partition)] = record.offset + 1

    def _tell(self) -> None:
        """Wake whoever waits; the next ones wait for the next news."""
        self._news.set()
        self._news = asyncio.Event()


def _consumer(servers: Cluster) -> AIOKafkaConsumer:
    return new_consumer(
        servers,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
        fetch_max_wait_ms=_POLL_MS,
    )


async def _ends(consumer: AIOKafkaConsumer, topic: str, count: int) -> dict[TopicPartition, int]:
    """Assign all partitions, from their beginning; returns where each ends now."""
    places = [TopicPartition(topic, number) for number in range(count)]
    consumer.assign(places)
    await consumer.seek_to_beginning(*places)
    ends: dict[TopicPartition, int] = await consumer.end_offsets(places)
    return ends


async def _read(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> AsyncIterator[ConsumerRecord]:
    """Every record up to the ends, and perhaps some beyond: what has been fetched is not fetched again."""
    while unread := [place for place, end in ends.items() if await consumer.position(place) < end]:
        async with asyncio.timeout(PATIENCE):
            batches = await consumer.getmany(*unread, timeout_ms=500)
        for batch in batches.values():
            for record in batch:
                yield record


C = TypeVar("C", AIOKafkaProducer, AIOKafkaConsumer, AIOKafkaAdminClient)


@asynccontextmanager
async def started(client: C) -> AsyncIterator[C]:
    """A client, started within `PATIENCE`, and closed whatever happens."""
    try:
        async with asyncio.timeout(PATIENCE):
            await client.start()
        yield client
    finally:
        await (client.close() if isinstance(client, AIOKafkaAdminClient) else client.stop())
