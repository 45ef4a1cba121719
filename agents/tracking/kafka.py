"""Runs on the topic `experiments`: all programs see all runs, as they happen."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Self, cast

from aiokafka import AIOKafkaProducer, ConsumerRecord
from aiokafka.errors import KafkaError

from agents.tracking.runs import Record, Run, Runs, StoreError
from agents.tracking.subscribers import Subscriber, Subscribers
from schemas.cloudevents import headers_of
from schemas.message import InvalidMessage
from schemas.topics import TOPICS
from streams.clients import new_producer
from streams.security import Cluster
from streams.topic_log import TopicFollower, ToSend, send, started

log = logging.getLogger(__name__)


class KafkaStore:
    """Implements `RunStore` over the topic, whose whole content it holds as a view that follows.

    Make one with `await KafkaStore.open(…)`. Where two programs add to one run at the same moment, the order on the
    topic decides, in which a run's messages are: they are keyed by the model.
    """

    def __init__(self, bootstrap_servers: Cluster, topic_prefix: str) -> None:
        """Use `open`."""
        self._servers, self._topic = bootstrap_servers, f"{topic_prefix}experiments"
        self._parse = TOPICS["experiments"].parser()
        self._runs, self._subscribers = Runs(), Subscribers()
        self._open = AsyncExitStack()
        self._follower = TopicFollower(self._servers, self._topic, self._take)
        self._producer: AIOKafkaProducer | None = None

    @classmethod
    async def open(cls, bootstrap_servers: Cluster, topic_prefix: str = "visutility.") -> Self:
        """Read the topic to its end, and follow it from there. Raises `TopicMissing` and Kafka's errors."""
        store = cls(bootstrap_servers, topic_prefix)
        await store._open.enter_async_context(store._follower)
        return store

    async def append(self, message: Record) -> None:
        self._runs.check(message)
        record = ToSend(self._topic, message.model_name.encode(), message.to_json(), headers_of(message))
        try:
            if self._producer is None:
                producer = new_producer(self._servers, acks="all", enable_idempotence=True)
                self._producer = await self._open.enter_async_context(started(producer))
            place, offset = await send(self._producer, record, self._follower.partitions)
            await self._follower.passed(place, offset)
        except (KafkaError, TimeoutError) as problem:
            raise StoreError(f"Kafka at {self._servers}: {type(problem).__name__}: {problem}") from problem

    async def get(self, run_id: str) -> Run:
        return self._runs.get(run_id)

    async def runs(self) -> list[Run]:
        return self._runs.all()

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        return self._subscribers.add(subscriber)

    async def close(self) -> None:
        await self._open.aclose()

    def _take(self, record: ConsumerRecord) -> None:
        try:
            message = cast(Record, self._parse(record.value, record.headers))
        except InvalidMessage as problem:
            log.warning("%s/%d@%d is left out: %s", record.topic, record.partition, record.offset, problem)
            return
        if self._runs.apply(message):
            self._subscribers.tell(message)
