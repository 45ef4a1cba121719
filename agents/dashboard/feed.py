"""Keeps a view of the topics: reads them from their beginning or recent past, then what is written to them.

What fails for good (a topic that went, a broker that refuses) ends the reading; it begins anew after a moment, with a
new view, while the former one goes on answering.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from agents.dashboard.changes import Changes
from agents.dashboard.view import LOGS, TABLES, DashboardView, Letter, Record, model_of, step
from schemas.dead_letter import DeadLetter
from schemas.handling import LONGEST_ACKNOWLEDGEMENT
from schemas.message import InvalidMessage
from schemas.parse import Parser
from schemas.topics import TOPICS
from streams.clients import new_consumer
from streams.diagnosis import told
from streams.security import Cluster
from streams.topic_log import PATIENCE, TopicMissing, partition_counts, started

log = logging.getLogger(__name__)

MOST_RECORDS: Final = 20_000
"""Of each partition of a topic that is no table, at most so many records of the past are read."""

RETRY_DELAY, POLL_MS, AT_ONCE = 2.0, 200, 500


class Feed:
    """Reads into `view`, and tells `changes`. Start it once; `trouble` says why it does not read, if it does not."""

    def __init__(self, servers: Cluster, prefix: str, history: timedelta, changes: Changes) -> None:
        self.view = DashboardView()
        self.changes = changes
        self.trouble: str | None = "the topics have not been read yet"
        self._servers, self._prefix, self._history = servers, prefix, history
        self._parsers: dict[str, Parser] = {name: TOPICS[name].parser() for name in (*TABLES, *LOGS)}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to read, in the background."""
        self._task = asyncio.create_task(self._run(), name="dashboard feed")

    async def stop(self) -> None:
        """Read no more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def dead_letter(self, letter: Letter) -> DeadLetter | None:
        """A dead letter with its value, read again from its topic; None if retention has taken it meanwhile."""
        place = TopicPartition(f"{self._prefix}dead-letter", letter.partition)
        async with started(_consumer(self._servers)) as consumer:
            consumer.assign([place])
            consumer.seek(place, letter.offset)
            async with asyncio.timeout(PATIENCE):
                record = await consumer.getone()
        found = self._record(record)
        message = None if found is None else found.message
        same = isinstance(message, DeadLetter) and message.event_id == letter.message.event_id
        return message if isinstance(message, DeadLetter) and same else None

    async def _run(self) -> None:
        while True:
            try:
                await self._follow()
            except TopicMissing as problem:
                self._ail(f"{problem}; visutility topics create makes it")
            except (KafkaError, TimeoutError, OSError) as problem:
                self._ail(told(problem, self._servers))
            except Exception:
                log.exception("the dashboard's view could not be made")
                self._ail("the view could not be made; the log says why")
            await asyncio.sleep(RETRY_DELAY)

    def _ail(self, trouble: str) -> None:
        if self.trouble != trouble:
            log.warning("%s; trying again every %.0f s", trouble, RETRY_DELAY)
        self.trouble = trouble

    async def _follow(self) -> None:
        """Read all there is into a new view, show that, and go on."""
        counts = await partition_counts(self._servers, {self._prefix + name for name in (*TABLES, *LOGS)})
        async with started(_consumer(self._servers)) as consumer:
            ends = await self._seek(consumer, counts)
            view = DashboardView()
            while any([await consumer.position(place) < end for place, end in ends.items()]):
                for record in await self._next(consumer):
                    step(view, record)
            self.view, self.trouble = view, None
            self.changes.tell_everything()
            log.info("read the topics: %d models", len(view.models))
            while True:
                self._take(await self._next(consumer))

    async def _seek(self, consumer: AIOKafkaConsumer, counts: Mapping[str, int]) -> dict[TopicPartition, int]:
        """Go to where reading begins; returns where each partition ends now."""
        places = [TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)]
        consumer.assign(places)
        async with asyncio.timeout(PATIENCE):
            begins = await consumer.beginning_offsets(places)
            ends: dict[TopicPartition, int] = await consumer.end_offsets(places)
            logs = [place for place in places if place.topic.removeprefix(self._prefix) in LOGS]
            recent = await self._recent(consumer, {place: self._since(place) for place in logs}, ends)
        for place in places:
            least = max(recent[place], ends[place] - MOST_RECORDS) if place in recent else 0
            consumer.seek(place, max(begins[place], min(least, ends[place])))
        return ends

    def _since(self, place: TopicPartition) -> int:
        """When the recent past of a topic begins, in milliseconds since 1970; that of alerts, when any may be open."""
        longer = place.topic == f"{self._prefix}alerts"
        history = max(self._history, LONGEST_ACKNOWLEDGEMENT) if longer else self._history
        return int((time.time() - history.total_seconds()) * 1000)

    async def _recent(
        self, consumer: AIOKafkaConsumer, since: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        """Where the recent past begins: its end where nothing is so new. A broker that cannot tell has all read."""
        try:
            found = await consumer.offsets_for_times(since)
        except KafkaError:
            return dict.fromkeys(since, 0)
        return {place: at.offset if (at := found.get(place)) is not None else ends[place] for place in since}

    async def _next(self, consumer: AIOKafkaConsumer) -> list[Record]:
        batches = await consumer.getmany(timeout_ms=POLL_MS, max_records=AT_ONCE)
        records = [found for batch in batches.values() for each in batch if (found := self._record(each)) is not None]
        await asyncio.sleep(0)  # whoever asks the API meanwhile is answered between two batches
        return records

    def _take(self, records: list[Record]) -> None:
        for record in records:
            before = self.view.revision
            step(self.view, record)
            if self.view.revision != before:
                self.changes.tell(record.topic, model_of(record) or "")

    def _record(self, record: ConsumerRecord) -> Record | None:
        topic = record.topic.removeprefix(self._prefix)
        try:
            key = (record.key or b"").decode()
            message = None if record.value is None else self._parsers[topic](record.value, record.headers)
        except (InvalidMessage, UnicodeDecodeError) as problem:
            log.warning("%s/%d@%d is left out: %s", record.topic, record.partition, record.offset, problem)
            return None
        return Record(topic, record.partition, record.offset, key, message, record.timestamp)


def _consumer(servers: Cluster) -> AIOKafkaConsumer:
    return new_consumer(
        servers,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
        fetch_max_wait_ms=500,  # without news; what comes is told at once
    )
