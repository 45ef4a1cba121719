"""The shell of topics of others: takes their events to `metrics`, each transaction with the offsets of what it took.

A partition has a transactional id of its own. Who gets the partition begins with that id, which fences the former owner
and ends its transaction; only then it asks how far the group has come. So each event is taken once, whoever owns what.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError
from faust.types import TP

from agents.inputs.events import STAGE, outputs_of
from agents.settings import Settings
from streams.clients import new_admin, new_consumer
from streams.lag import LagWarnings
from streams.outbox import Outbox, PlainOutbox, TransactionalOutbox
from streams.persistent import Persistent
from streams.records import Output
from streams.settings import EngineSettings
from streams.tally import Tally
from streams.topic_log import started

log = logging.getLogger(__name__)

#: Messages of one transaction, at most, but that all of one event are in the same: one event may hold 100,000.
MOST_MESSAGES = 10_000

#: Seconds that a transaction may take: enough for the largest event. A successor does not wait for it.
TRANSACTION_TIMEOUT = 60.0

#: Seconds between two looks for topics that are not there yet.
LOOK_AGAIN = 10.0

#: Seconds between two looks at how far behind it is.
_LOOK_AT_LAG = 1.0

_POLL_MS, _MOST_RECORDS = 200, 500


class InputBridge:
    """Reads the topics of `[[inputs]]`, exactly once where `delivery` says so. Part of workers that run the monitor."""

    def __init__(self, settings: Settings, engine: EngineSettings) -> None:
        inputs = settings.inputs if "monitor" in settings.agents else []
        self._layouts = {each.topic: each.layout for each in inputs}
        self._engine = replace(engine, transaction_timeout=max(engine.transaction_timeout, TRANSACTION_TIMEOUT))
        self._reading = Persistent(self._consume, "inputs are not read")
        self._taking: _Taking | None = None
        self._lag_warnings = LagWarnings(engine.lag_warning)
        self.tally = Tally()

    @property
    def topics(self) -> list[str]:
        """The topics that this worker is to read; none where it does not run the monitor."""
        return list(self._layouts)

    @property
    def partitions(self) -> list[TP]:
        """The partitions of these that this worker has, and that had records."""
        return [] if self._taking is None else self._taking.partitions

    def lag(self) -> dict[TP, int]:
        """How many offsets of each of its partitions are there to read."""
        return {} if self._taking is None else self._taking.lag()

    async def start(self) -> None:
        """Begin, if there is an input."""
        if self._layouts:
            self._reading.start()

    async def stop(self) -> None:
        """End; what was not committed is taken by the next worker."""
        await self._reading.stop()

    async def _consume(self) -> None:
        try:
            await self._read_what_is_there()
        except Exception:
            self.tally.failures += 1
            raise

    async def _read_what_is_there(self) -> None:
        if missing := await self._missing():
            log.warning("no topic %s: not read until it is there", ", ".join(missing))
        if there := [topic for topic in self._layouts if topic not in missing]:
            await self._read(there, missing)
        else:
            await asyncio.sleep(LOOK_AGAIN)

    async def _missing(self) -> list[str]:
        """Asking for a topic by its name might create it, so the broker is asked for all."""
        async with started(new_admin(self._engine.connection)) as admin:
            existing = set(await admin.list_topics())
        return [topic for topic in self._layouts if topic not in existing]

    async def _read(self, topics: list[str], missing: Sequence[str]) -> None:
        """Read until a topic that was missing is there. Raises what Kafka raises."""
        consumer = new_consumer(
            self._engine.connection,
            group_id=self._engine.group(STAGE),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=int(self._engine.session_timeout * 1000),
            heartbeat_interval_ms=int(self._engine.session_timeout * 1000 / 5),
        )
        self._taking = taking = _Taking(consumer, self._engine, self._layouts, self.tally)
        consumer.subscribe(topics, listener=taking)
        looked = warned = time.monotonic()
        try:
            async with started(consumer):
                while True:
                    await taking.take()
                    now = time.monotonic()
                    if now - warned > _LOOK_AT_LAG:
                        self._warn_of_lag(now)
                        warned = now
                    if missing and now - looked > LOOK_AGAIN:
                        if await self._missing() != missing:
                            return
                        looked = now
        finally:
            self._taking = None
            await taking.close()

    def _warn_of_lag(self, now: float) -> None:
        for line in self._lag_warnings.due(now, ((*tp, lag) for tp, lag in self.lag().items())):
            log.warning("%s", line)


@dataclass
class Owned:
    """A partition that this worker owns: where its outputs go, and the offset of the first record not yet taken."""

    outbox: Outbox
    position: int


class _Taking(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka has no types
    """One membership of the group."""

    def __init__(
        self, consumer: AIOKafkaConsumer, engine: EngineSettings, layouts: Mapping[str, str], tally: Tally
    ) -> None:
        self._consumer, self._engine, self._layouts, self._tally = consumer, engine, layouts, tally
        self._owned: dict[TopicPartition, Owned] = {}
        #: Held while a partition is taken over or published from, so that none is given up in the middle of it.
        self._busy = asyncio.Lock()

    @property
    def partitions(self) -> list[TP]:
        """Those that are owned."""
        return [TP(*place) for place in sorted(self._owned)]

    def lag(self) -> dict[TP, int]:
        """Of each of them, how many offsets are there to read; commit markers count too."""
        there = {place: self._owned[place].position for place in self._consumer.assignment() if place in self._owned}
        ends = ((place, self._consumer.last_stable_offset(place), at) for place, at in there.items())
        return {TP(*place): max(0, end - at) for place, end, at in ends if end is not None}

    async def take(self) -> None:
        """Take what is there, or wait for it a moment."""
        fetched = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=_MOST_RECORDS)
        for place, records in fetched.items():
            async with self._busy:
                if place not in self._consumer.assignment():
                    continue
                if place in self._owned:
                    await self._publish(place, self._owned[place], records)
                else:
                    # What was fetched before is fetched again, from where it is to begin.
                    self._owned[place] = await own(self._consumer, self._engine, place)

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Part of aiokafka's interface."""
        await self.close()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Part of aiokafka's interface: a partition is taken over when it has records."""

    async def close(self) -> None:
        """Give up all partitions."""
        async with self._busy:
            owned, self._owned = self._owned, {}
            await asyncio.gather(*(each.outbox.stop() for each in owned.values()))

    async def _publish(self, place: TopicPartition, owned: Owned, records: Sequence[ConsumerRecord]) -> None:
        outputs: list[Output] = []
        count = 0
        for record in records:
            outputs += outputs_of(record, self._layouts[place.topic])
            count += 1
            if len(outputs) >= MOST_MESSAGES or record is records[-1]:
                began = time.perf_counter()
                await publish(owned, place, outputs, record.offset + 1)
                took = time.perf_counter() - began
                self._tally.committed(count, outputs, took, took)
                self._tally.newest = max(self._tally.newest, record.timestamp)
                outputs, count = [], 0


async def publish(owned: Owned, place: TopicPartition, outputs: Sequence[Output], position: int) -> None:
    """Publish what was made of the records before `position`, and that they were taken. Raises what Kafka raises."""
    await owned.outbox.publish({}, outputs, {TP(place.topic, place.partition): position})
    owned.position = position


async def own(consumer: AIOKafkaConsumer, engine: EngineSettings, place: TopicPartition) -> Owned:
    """Take a partition over from whoever had it, and let the consumer go on where the group's offsets are."""
    outbox = _outbox(consumer, engine, place)
    try:
        await outbox.start()  # before the next line: until then another may commit, or a transaction may be open
        position = await _position(consumer, place)
        consumer.seek(place, position)
    except BaseException:
        await outbox.stop()
        raise
    return Owned(outbox, position)


async def _position(consumer: AIOKafkaConsumer, place: TopicPartition) -> int:
    """What the group committed; the beginning where it committed nothing, or what is not there any more."""
    committed: int | None = await consumer.committed(place)
    begin: int = (await consumer.beginning_offsets([place]))[place]
    if committed is not None and committed < begin:
        lost, where = begin - committed, f"{place.topic} [{place.partition}]"
        log.error("%s at %d was next, and %d records went by retention; read on from %d", where, committed, lost, begin)
    return begin if committed is None else max(committed, begin)


def _outbox(consumer: AIOKafkaConsumer, engine: EngineSettings, place: TopicPartition) -> Outbox:
    if engine.delivery == "exactly_once":
        return TransactionalOutbox(engine, STAGE, place.partition, of_topic=place.topic)

    async def commit(offsets: Mapping[TP, int]) -> bool:
        try:
            await consumer.commit({TopicPartition(*tp): offset for tp, offset in offsets.items()})
        except (CommitFailedError, IllegalStateError):
            return False
        return True

    return PlainOutbox(engine, STAGE, place.partition, commit)
