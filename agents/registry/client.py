"""The registry's shell: a local view of `models` that follows the topic, and the way to change it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaProducer, ConsumerRecord

from agents.registry import actions
from agents.registry.actions import By, Change
from agents.registry.artifacts import ArtifactStore, load_artifact
from agents.registry.view import RegistryView
from schemas.cloudevents import headers_of
from schemas.message import InvalidMessage, Message
from schemas.models import CHAMPION, ModelAlias, ModelVersion
from schemas.topics import TOPICS
from streams.clients import new_producer
from streams.security import Cluster
from streams.topic_log import TopicFollower, ToSend, send, started

log = logging.getLogger(__name__)

Subscriber = Callable[[str, Message | None], None]
"""Told of each record of the registry, by its key: a version, an alias, or None where one was removed."""


class ModelRegistry:
    """The registry on a Kafka. Use as an async context manager: once entered, `view` holds all that is registered.

    Every change is on the topic, and in this view, when its method returns. Raises `streams.topic_log.TopicMissing`
    where the topic is not there, `NotFound` and `ActionRefused` as `agents.registry.actions` says, and Kafka's errors.

        async with ModelRegistry("localhost:9092") as registry:
            champion = registry.view.champion("digits")
            model = await registry.load(champion)
    """

    def __init__(
        self, bootstrap_servers: Cluster, *, topic_prefix: str = "visutility.", artifacts: ArtifactStore | None = None
    ) -> None:
        self.view = RegistryView()
        self._servers, self._topic, self._artifacts = bootstrap_servers, f"{topic_prefix}models", artifacts
        self._parse = TOPICS["models"].parser()
        self._subscribers: list[Subscriber] = []
        self._open = AsyncExitStack()
        self._follower: TopicFollower | None = None
        self._producer: AIOKafkaProducer | None = None

    async def __aenter__(self) -> Self:
        self._follower = await self._open.enter_async_context(TopicFollower(self._servers, self._topic, self._take))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Be told of each record from now on, after the view has it. Returns how to stop that.

        It is called on the event loop and must not block; what it raises is logged.
        """
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    async def register(self, name: str, version: str, artifact: bytes, by: By) -> ModelVersion:
        """Store an artifact and register it as a version. Raises `ArtifactError` if it cannot be stored."""
        if self._artifacts is None:
            raise ValueError("this registry was made without artifacts=ArtifactStore(…)")
        stored = await asyncio.to_thread(self._artifacts.save, name, artifact)
        await self.write([actions.register(self.view, name, version, (stored.url, stored.sha256), by)])
        return self.view.version(name, version)

    async def promote(self, name: str, version: str, by: By, alias: str = CHAMPION) -> ModelAlias:
        """Point an alias at a version."""
        await self.write(actions.promote(self.view, name, version, by, alias))
        return self.view.alias(name, alias)

    async def rollback(self, name: str, by: By, alias: str = CHAMPION) -> ModelAlias:
        """Point an alias at the version it pointed at before."""
        await self.write(actions.rollback(self.view, name, by, alias))
        return self.view.alias(name, alias)

    async def retire(self, name: str, by: By) -> None:
        """Take every alias from a model. Its stages are told by their internal topics: `visutility models retire`."""
        await self.write(actions.retire(self.view, name, by))

    async def load(self, version: ModelVersion) -> bytes:
        """A version's artifact, verified. Raises `ArtifactError`."""
        return await asyncio.to_thread(load_artifact, version.artifact, version.sha256)

    async def write(self, changes: Iterable[Change]) -> None:
        """Append changes in their order, and wait until this view has them."""
        if self._follower is None:
            raise RuntimeError("use the registry as an async context manager")
        if self._producer is None:
            producer = new_producer(self._servers, acks="all", enable_idempotence=True)
            self._producer = await self._open.enter_async_context(started(producer))
        for change in changes:
            place, offset = await send(self._producer, record_of(change, self._topic), self._follower.partitions)
            await self._follower.passed(place, offset)

    def _take(self, record: ConsumerRecord) -> None:
        try:
            key = (record.key or b"").decode()
            message = None if record.value is None else self._parse(record.value, record.headers)
        except (InvalidMessage, UnicodeDecodeError) as problem:
            log.warning("%s/%d@%d is left out: %s", record.topic, record.partition, record.offset, problem)
            return
        if not self.view.apply(key, message):
            log.warning("%s/%d@%d is left out: %r is not its key", record.topic, record.partition, record.offset, key)
            return
        for subscriber in list(self._subscribers):
            try:
                subscriber(key, message)
            except Exception:
                log.exception("a subscriber of the registry failed")


def record_of(change: Change, topic: str) -> ToSend:
    """The record of a change, for the topic of this name on Kafka."""
    value = None if change.message is None else change.message.to_json()
    headers = [] if change.message is None else headers_of(change.message)
    return ToSend(topic, change.key.encode(), value, headers, placed_by=change.model_name.encode())
