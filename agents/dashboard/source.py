"""Where the API gets what it says, and puts what people want: a port, and its one implementation, on Kafka."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final, Protocol

from aiokafka.errors import KafkaError

from agents.dashboard.changes import Changes
from agents.dashboard.documents import Flow
from agents.dashboard.feed import Feed
from agents.dashboard.flow import FlowMeter
from agents.dashboard.points import Series
from agents.dashboard.publisher import Publisher
from agents.dashboard.tail import Tail
from agents.dashboard.view import DashboardView, Letter
from agents.settings import Settings
from agents.worker import engine_settings
from schemas.dead_letter import DeadLetter
from streams.topic_log import TopicMissing, ToSend
from streams.topics import TopicsUnfit, create_topics, wanted_topics

log = logging.getLogger(__name__)

SILENT_AFTER: Final = 15.0
"""Seconds without an answer of Kafka after which the dashboard is not ready."""


class Unavailable(RuntimeError):
    """Kafka did not give, or take, what was asked for. The text is one line."""


class Source(Protocol):
    """What the API stands on."""

    changes: Changes

    @property
    def view(self) -> DashboardView:
        """What is known now."""
        ...

    def troubles(self) -> list[str]:
        """Why what is known may not be all there is; empty if all is well."""
        ...

    def flow(self) -> Flow:
        """How the stages keep up."""
        ...

    async def series(self, model: str) -> Series:
        """The newest values of a model's metrics. Raises `Unavailable`."""
        ...

    async def dead_letter(self, letter: Letter) -> DeadLetter | None:
        """A dead letter with its value, None if it has gone. Raises `Unavailable`."""
        ...

    async def publish(self, records: Sequence[ToSend]) -> None:
        """Write records, all or none. Raises `Unavailable`."""
        ...


class KafkaSource:
    """Implements `Source` from the topics of one prefix."""

    def __init__(self, settings: Settings) -> None:
        engine = engine_settings(settings)
        servers, prefix = engine.connection, engine.topic_prefix
        self.changes = Changes()
        self._settings, self._engine = settings, engine
        self._feed = Feed(servers, prefix, settings.dashboard.history, self.changes)
        self._tail = Tail(servers, f"{prefix}metrics", lambda model: self.changes.tell("metrics", model))
        self._flow = FlowMeter(servers, prefix)
        self._publisher = Publisher(servers, prefix, transactional=settings.delivery == "exactly_once")
        self._preparing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to read. Kafka need not be there yet: what keeps it from reading is told by `troubles`."""
        self._preparing = asyncio.create_task(self._create_own_topics(), name="dashboard topics")
        await self._feed.start()
        await self._flow.start()

    async def stop(self) -> None:
        """End every listener and all reading."""
        self.changes.close()
        if self._preparing is not None:
            self._preparing.cancel()
        await asyncio.gather(self._feed.stop(), self._flow.stop(), self._tail.stop(), self._publisher.close())

    @property
    def view(self) -> DashboardView:
        return self._feed.view

    def troubles(self) -> list[str]:
        if self._feed.trouble is not None:
            return [self._feed.trouble]
        age = self._flow.age
        if age is not None and age > SILENT_AFTER:
            return [f"Kafka at {self._engine.connection} has not answered for {age:.0f} s"]
        return []

    def flow(self) -> Flow:
        return self._flow.flow()

    async def series(self, model: str) -> Series:
        try:
            return await self._tail.series(model)
        except (KafkaError, TimeoutError, TopicMissing, OSError) as problem:
            raise Unavailable(_told(problem)) from None

    async def dead_letter(self, letter: Letter) -> DeadLetter | None:
        try:
            return await self._feed.dead_letter(letter)
        except (KafkaError, TimeoutError, TopicMissing, OSError) as problem:
            raise Unavailable(_told(problem)) from None

    async def publish(self, records: Sequence[ToSend]) -> None:
        try:
            await self._publisher.publish(records)
        except (KafkaError, TimeoutError, TopicMissing, OSError) as problem:
            raise Unavailable(_told(problem)) from None

    async def _create_own_topics(self) -> None:
        """Workers of a former release have not made them."""
        own = {self._engine.topic(name) for name in ("audit", "alert-handling")}
        wanted = [topic for topic in wanted_topics(self._engine, ()) if topic.name in own]
        try:
            replicas = self._settings.replication_factor
            await create_topics(self._engine.connection, wanted, replication_factor=replicas)
        except (KafkaError, TimeoutError, TopicsUnfit, OSError) as problem:
            log.warning("the topics of what people do are not made: %s", _told(problem))


def _told(problem: Exception) -> str:
    if isinstance(problem, TopicMissing):
        return f"{problem}; visutility topics create makes it"
    if isinstance(problem, TimeoutError):
        return "Kafka did not answer in time"
    return f"Kafka: {type(problem).__name__}"
