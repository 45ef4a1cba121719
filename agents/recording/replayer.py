"""A source into topics on Kafka, at the pace of its times or faster.

Records go out in batches that are filled here: measured in one run on a real Kafka, a second of processor time sends
420,000 to 600,000 records so, 110,000 by aiokafka's `send`, and 250,000 by librdkafka.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from time import time as wall_clock
from zlib import crc32

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata

from agents.recording.items import Item, SourceRecord
from agents.recording.retiming import key_of, shifted, shifted_headers, time_of
from streams.clients import new_producer
from streams.partitioner import partition_of
from streams.security import Cluster
from streams.topic_log import partition_counts, started

_BATCH_BYTES = 2**18

#: Batches that may be on their way.
_IN_FLIGHT = 64

#: In seconds: a record is sent so much before its time rather than waited for; batches that are not full are sent, and
#: it is told how far it is, so often.
_EARLY, _LINGER, _REPORT_EVERY = 0.01, 0.05, 0.5


@dataclass(frozen=True)
class Plan:
    """What is to be replayed where.

    `topics`: the topic that each topic of the source goes to; what is not named goes to `otherwise`, or stays out where
    that is None. `partitions`: how many each topic of the source had, where it is known. `speed`: how many times as
    fast as it was; None as fast as can be. `shift_to`: the time that the first record gets, in epoch seconds; the
    others, and the times in the messages, are moved by as much. The first `skip` records are left out.
    """

    servers: Cluster
    topics: Mapping[str, str]
    partitions: Mapping[str, int]
    otherwise: str | None = None
    speed: float | None = 1.0
    shift_to: float | None = None
    skip: int = 0


@dataclass
class Sent:
    """How far a replay has come.

    `records`, skipped ones among them: so many, from the first on, are on Kafka; `skip` of so many goes on there.
    `first` and `time`: the times of the first and of the last record, in epoch seconds, as recorded. `moved`: topics
    whose number of partitions differs from the recording's, so that keys decide. `finished`: the source has ended.
    """

    records: int = 0
    first: float | None = None
    time: float | None = None
    moved: set[str] = field(default_factory=set)
    finished: bool = False


Told = Callable[[Sent], None]


async def replay(items: Iterable[Item], plan: Plan, stop: asyncio.Event, tell: Told) -> Sent:
    """Publish the records of a source, each partition in its order, until the source ends or `stop` is set.

    Keys, headers and times are kept, and partitions where the topic has as many; else the key decides. Either way all
    that was taken from the source is on Kafka when it returns. `tell` is called now and then. Raises `TopicMissing`,
    Kafka's errors, and what reading raises; `tell` was then told how far it came.
    """
    wanted = {*plan.topics.values(), *([] if plan.otherwise is None else [plan.otherwise])}
    counts = await partition_counts(plan.servers, wanted)
    producer = new_producer(plan.servers, acks="all", enable_idempotence=True, max_batch_size=_BATCH_BYTES)
    async with started(producer):
        for topic in counts:
            await producer.partitions_for(topic)
        sending = _Sending(producer, plan, counts, stop, tell)
        try:
            finished = await sending.all(items)
            await sending.settle()
            sending.sent.finished = finished
        finally:
            sending.report()
        return sending.sent


class _Sending:
    """One replay under way."""

    def __init__(
        self, producer: AIOKafkaProducer, plan: Plan, counts: Mapping[str, int], stop: asyncio.Event, tell: Told
    ) -> None:
        self._producer, self._plan, self._counts, self._stop, self._tell = producer, plan, counts, stop, tell
        self._batches: dict[tuple[str, int], tuple[int, BatchBuilder]] = {}
        self._on_their_way: dict[asyncio.Future[RecordMetadata], int] = {}
        self._clock = asyncio.get_running_loop().time
        self._began = self._flushed = self._reported = self._clock()
        self._taken, self._shift, self._now = 0, 0.0, wall_clock()
        self.sent = Sent()
        self.sent.moved = {to for of, to in plan.topics.items() if plan.partitions.get(of, counts[to]) != counts[to]}

    async def all(self, items: Iterable[Item]) -> bool:
        """Send everything; False if it was stopped before."""
        for item in items:
            if not isinstance(item, SourceRecord) or (topic := self._topic(item)) is None:
                continue
            if self._taken < self._plan.skip:
                self._taken += 1
                continue
            if not await self._wait_for(item):
                return False
            await self._send(topic, item)
        return True

    def _topic(self, record: SourceRecord) -> str | None:
        return self._plan.topics.get(record.topic, self._plan.otherwise)

    async def settle(self) -> None:
        """Wait until all that was taken is on Kafka."""
        await self._flush()
        await self._await_room(0)

    def report(self) -> None:
        """Tell how far it came: to the first record that is not known to be on Kafka."""
        waiting = [*self._on_their_way.values(), *(first for first, _ in self._batches.values())]
        self.sent.records = min(waiting, default=self._taken)
        self._reported = self._clock()
        self._tell(self.sent)

    async def _wait_for(self, record: SourceRecord) -> bool:
        """Wait until a record's time has come; False if it was stopped."""
        time = time_of(record)
        if time is not None:
            if self.sent.first is None:
                self.sent.first, self._began = time, self._clock()
                self._shift = 0.0 if self._plan.shift_to is None else self._plan.shift_to - time
            self.sent.time = max(time, self.sent.time or time)
        if self._plan.speed is not None and self.sent.first is not None and self.sent.time is not None:
            due = self._began + (self.sent.time - self.sent.first) / self._plan.speed
            while (early := due - self._clock()) > _EARLY and not self._stop.is_set():
                await self._flush()
                await self._sleep(min(early, _REPORT_EVERY))
        if self._clock() - self._flushed > _LINGER:
            await self._flush()
            await self._sleep(0)
        return not self._stop.is_set()

    async def _sleep(self, seconds: float) -> None:
        """Let the others work, and tell how far it is."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)
        if self._clock() - self._reported > _REPORT_EVERY:
            await self._await_room(_IN_FLIGHT)
            self.report()

    async def _send(self, topic: str, record: SourceRecord) -> None:
        key = key_of(record)
        place = (topic, self._partition(topic, record, key))
        first, batch = self._batches.setdefault(place, (self._taken, self._producer.create_batch()))
        if not self._append(batch, key, record):
            del self._batches[place]
            await self._send_batch(place, first, batch)
            self._batches[place] = (self._taken, batch := self._producer.create_batch())
            self._append(batch, key, record)  # the first record always has room
        self._taken += 1

    def _append(self, batch: BatchBuilder, key: bytes | None, record: SourceRecord) -> bool:
        time = record.timestamp if record.timestamp > 0 else round(1000 * (time_of(record) or 0))
        value, headers = record.value, record.headers
        if self._shift:
            value, headers = shifted(value, self._shift), shifted_headers(headers, self._shift)
        # Brokers refuse records from the future, where a fast replay of moved times would get to.
        written = min(time / 1000 + self._shift, self._now) if time else self._now
        appended = batch.append(timestamp=round(1000 * written), key=key, value=value, headers=list(headers))
        return appended is not None

    def _partition(self, topic: str, record: SourceRecord, key: bytes | None) -> int:
        count = self._counts[topic]
        if self._plan.partitions.get(record.topic) == count:
            return record.partition
        try:
            return self._taken % count if key is None else partition_of(key.decode(), count)
        except UnicodeDecodeError:
            return int(crc32(key or b"")) % count

    async def _flush(self) -> None:
        batches, self._batches = self._batches, {}
        for place, (first, batch) in batches.items():
            await self._send_batch(place, first, batch)
        self._flushed, self._now = self._clock(), wall_clock()

    async def _send_batch(self, place: tuple[str, int], first: int, batch: BatchBuilder) -> None:
        topic, partition = place
        sent = await self._producer.send_batch(batch, topic, partition=partition)
        sent.add_done_callback(_looked_at)
        self._on_their_way[sent] = first
        await self._await_room(_IN_FLIGHT)

    async def _await_room(self, most: int) -> None:
        """Wait until at most so many batches are on their way. Raises what became of those that did not arrive."""
        for future in [each for each in self._on_their_way if each.done()]:
            future.result()
            del self._on_their_way[future]
        while len(self._on_their_way) > most:
            done, _ = await asyncio.wait(self._on_their_way, return_when=asyncio.FIRST_COMPLETED)
            for future in done:
                future.result()
                del self._on_their_way[future]
            if self._clock() - self._reported > _REPORT_EVERY:
                self.report()


def _looked_at(future: asyncio.Future[RecordMetadata]) -> None:
    """The first failure ends the replay; those after it are not worth a complaint."""
    if not future.cancelled():
        future.exception()
