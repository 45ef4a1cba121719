"""The newest values of the models that somebody looks at, from the `metrics` topic.

`metrics` may carry a hundred thousand records a second; only its tail is read, and only while a page asks: of each
partition some thousand records of the past once (`DEPTHS`), then what comes. Of more than `BEHIND` records of a
partition a look, some are left out, and the answer says so. So the cost is bounded whatever the fleets send.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from agents.dashboard.points import Series
from schemas.message import InvalidMessage, Message
from schemas.topics import TOPICS
from streams.clients import new_consumer
from streams.security import Cluster
from streams.topic_log import PATIENCE, partition_counts, started

log = logging.getLogger(__name__)

DEPTHS: Final = (2_000, 8_000, 20_000)
"""How many records of a partition's past are read, each for want of values among the last so many."""

ENOUGH: Final = 500
"""Messages of a model after which no more of the past is read."""

BEHIND, AT_ONCE = 5_000, 1_000
"""Records of a partition that reading may lie behind, that are taken at once."""

LOOK_SECONDS: Final = 0.5

WATCHED_FOR, MOST_WATCHED = 30.0, 8
"""Seconds after which a model that nobody asked for is not watched any more; models watched at once."""


_Ends = dict[TopicPartition, int]


class _Past(NamedTuple):
    """A message of the past, and where and when it was written."""

    time: int
    offset: int
    place: TopicPartition
    message: Message


@dataclass(slots=True)
class _Watch:
    """One model: where the live records begin that belong to it, and what came before the past was read."""

    begins: dict[TopicPartition, int]
    asked_at: float
    series: Series = field(default_factory=Series)
    waiting: list[Message] | None = field(default_factory=list)
    past: asyncio.Task[None] | None = None


class Tail:
    """Watches models of one `metrics` topic. `tell` is called with a model's name when a value of it has come."""

    def __init__(self, servers: Cluster, topic: str, tell: Callable[[str], None]) -> None:
        self._servers, self._topic, self._tell = servers, topic, tell
        self._parse = TOPICS["metrics"].parser()
        self._watches: dict[str, _Watch] = {}
        self._next: dict[TopicPartition, int] = {}
        self._task: asyncio.Task[None] | None = None
        self._begun = asyncio.Event()
        self._starting = asyncio.Lock()

    async def series(self, model: str) -> Series:
        """The newest values of a model, which is watched for half a minute from now on.

        Raises what Kafka raises, `TopicMissing` and `TimeoutError`.
        """
        await self._ensure_following()
        now = asyncio.get_running_loop().time()
        watch = self._watches.get(model)
        if watch is None:
            watch = _Watch(dict(self._next), now)
            self._watches[model] = watch
            watch.past = asyncio.create_task(self._read_past(model, watch))
            self._forget(now)
        watch.asked_at = now
        if watch.past is not None:
            try:
                await asyncio.shield(watch.past)
            except BaseException:
                self._watches.pop(model, None)
                raise
        return watch.series

    async def stop(self) -> None:
        """Read no more."""
        tasks = [self._task, *(watch.past for watch in self._watches.values())]
        for task in tasks:
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await task

    async def _ensure_following(self) -> None:
        async with self._starting:
            if self._task is None or self._task.done():
                self._watches.clear()
                self._begun.clear()
                self._task = asyncio.create_task(self._follow(), name="dashboard tail")
                begun = asyncio.create_task(self._begun.wait())
                await asyncio.wait({begun, self._task}, return_when=asyncio.FIRST_COMPLETED)
                begun.cancel()
                if self._task.done():
                    self._task.result()

    async def _follow(self) -> None:
        """Read what comes, until nobody watches."""
        count = (await partition_counts(self._servers, {self._topic}))[self._topic]
        places = [TopicPartition(self._topic, number) for number in range(count)]
        async with started(self._consumer()) as consumer:
            consumer.assign(places)
            ends = await consumer.end_offsets(places)
            for place, end in ends.items():
                consumer.seek(place, end)
            self._next = dict(ends)
            self._begun.set()
            idle_since = asyncio.get_running_loop().time()
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                now = asyncio.get_running_loop().time()
                self._forget(now)
                if self._watches:
                    idle_since = now
                elif now - idle_since > WATCHED_FOR:
                    return
                await self._look(consumer, places)

    async def _look(self, consumer: AIOKafkaConsumer, places: Iterable[TopicPartition]) -> None:
        for place in places:
            end = consumer.highwater(place)
            if end is not None and end - self._next[place] > BEHIND:
                consumer.seek(place, end - AT_ONCE)
                self._next[place] = end - AT_ONCE
                for watch in self._watches.values():
                    watch.series.complete = False
        news = set()
        while batches := await consumer.getmany(timeout_ms=0, max_records=AT_ONCE):
            for place, batch in batches.items():
                news |= self._take(place, batch)
            await asyncio.sleep(0)
        for model in news:
            self._tell(model)

    def _take(self, place: TopicPartition, batch: list[ConsumerRecord]) -> set[str]:
        news = set()
        for record in batch:
            self._next[place] = record.offset + 1
            for name in self._named(record, self._watches):
                watch = self._watches[name]
                message = self._message(record, name) if record.offset >= watch.begins[place] else None
                if message is None:
                    continue
                if watch.waiting is not None:
                    watch.waiting.append(message)
                elif watch.series.take(message):
                    news.add(name)
        return news

    async def _read_past(self, model: str, watch: _Watch) -> None:
        """Put what came before the watch began in front of what has come since.

        The newest records of all partitions first, then older ones of those where the model is, until there are enough
        values: a model's records are in few partitions, and most of a busy topic is about others.
        """
        found: list[_Past] = []
        async with started(self._consumer()) as consumer, asyncio.timeout(PATIENCE):
            consumer.assign(list(watch.begins))
            begins = await consumer.beginning_offsets(list(watch.begins))
            ends = dict(watch.begins)
            for depth in DEPTHS:
                since = {place: max(begins[place], watch.begins[place] - depth) for place in ends}
                found += await self._read_between(consumer, model, since, ends)
                places = {each.place for each in found} or set(ends)
                ends = {place: since[place] for place in places & ends.keys() if begins[place] < since[place]}
                if len(found) >= ENOUGH or not ends:
                    break
        found.sort(key=lambda each: (each.time, each.offset))
        for message in (*(each.message for each in found), *(watch.waiting or ())):
            watch.series.take(message)
        watch.waiting = watch.past = None

    async def _read_between(
        self,
        consumer: AIOKafkaConsumer,
        model: str,
        since: Mapping[TopicPartition, int],
        ends: dict[TopicPartition, int],
    ) -> list[_Past]:
        """What is about a model at offsets [since, end) of some partitions."""
        found: list[_Past] = []
        for place, begin in since.items():
            consumer.seek(place, begin)
        unread = {place for place, end in ends.items() if since[place] < end}
        consumer.pause(*(consumer.assignment() - unread))
        consumer.resume(*unread)
        while unread:
            batches = await consumer.getmany(*unread, timeout_ms=200, max_records=AT_ONCE)
            for place, batch in batches.items():
                found += self._past_of(model, place, ends[place], batch)
            unread = {place for place in unread if await consumer.position(place) < ends[place]}
            await asyncio.sleep(0)
        return found

    def _past_of(self, model: str, place: TopicPartition, end: int, batch: list[ConsumerRecord]) -> Iterable[_Past]:
        for record in batch:
            if record.offset < end and any(self._named(record, (model,))):
                message = self._message(record, model)
                if message is not None:
                    yield _Past(record.timestamp, record.offset, place, message)

    @staticmethod
    def _named(record: ConsumerRecord, names: Iterable[str]) -> list[str]:
        """Which of these models a record may be about: by its key, or where it has none by a look at its value."""
        text = record.key if record.key is not None else record.value or b""
        return [name for name in names if (text == name.encode() if record.key is not None else name.encode() in text)]

    def _message(self, record: ConsumerRecord, model: str) -> Message | None:
        try:
            message = self._parse(record.value, record.headers)
        except InvalidMessage:
            return None  # the monitor makes a dead letter of it
        return message if message.model_name == model else None

    def _forget(self, now: float) -> None:
        by_age = sorted(self._watches.items(), key=lambda pair: pair[1].asked_at, reverse=True)
        for rank, (name, watch) in enumerate(by_age):
            if watch.past is None and (rank >= MOST_WATCHED or now - watch.asked_at > WATCHED_FOR):
                del self._watches[name]

    def _consumer(self) -> AIOKafkaConsumer:
        return new_consumer(
            self._servers,
            auto_offset_reset="latest",
            enable_auto_commit=False,
            isolation_level="read_committed",
            fetch_max_wait_ms=500,  # without news; what comes is told at once
            client_id="visutility-dashboard-tail",
        )
