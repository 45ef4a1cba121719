"""The shell of topics of others: takes their events to `metrics`, each transaction with the offsets of what it took.

A partition has a transactional id of its own. Who gets the partition begins with that id, which fences the former owner
and ends its transaction; only then it asks how far the group has come, and reads what was taken (`ownership.py`). So
each event is taken once, whoever owns what.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from faust.types import TP

from agents.inputs.events import STAGE, outputs_of
from agents.inputs.ownership import Owned, fence, own, publish
from agents.inputs.positions import Place
from agents.settings import Settings
from streams.clients import new_admin, new_consumer
from streams.lag import LagWarnings
from streams.outbox import Outbox
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
        """The partitions of these that this worker has."""
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


class _Taking(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka has no types
    """One membership of the group."""

    def __init__(
        self, consumer: AIOKafkaConsumer, engine: EngineSettings, layouts: Mapping[str, str], tally: Tally
    ) -> None:
        self._consumer, self._engine, self._layouts, self._tally = consumer, engine, layouts, tally
        self._owned: dict[Place, Owned] = {}
        #: Those whose former owners are fenced, and of which it is not known yet where to begin.
        self._fenced: dict[Place, Outbox] = {}
        #: Held while a partition is fenced or published from, so that none is given up in the middle of it.
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
        await self._take_over()
        fetched = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=_MOST_RECORDS)
        for place, records in fetched.items():
            async with self._busy:
                # Of one that came meanwhile, what was fetched is fetched again, from where it is to begin.
                if place in self._consumer.assignment() and place in self._owned:
                    await self._publish(self._owned[place], records)

    async def _take_over(self) -> None:
        """Own what is assigned: first all are fenced, for what their former owners had open keeps positions unread."""
        async with self._busy:
            if not (new := self._consumer.assignment() - self._owned.keys()):
                return
            self._fenced = await fence(self._consumer, self._engine, new)
        # May take as long as others' transactions, and holds up no rebalance: that takes all of them away again.
        owned = await own(self._consumer, self._engine, dict(self._fenced))
        async with self._busy:
            for each in owned:
                if each.place in self._fenced:
                    self._consumer.seek(TopicPartition(*each.place), each.position)
                    self._owned[each.place] = each
                    del self._fenced[each.place]

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Part of aiokafka's interface."""
        await self.close()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Part of aiokafka's interface: what is assigned is taken over before anything is read."""

    async def close(self) -> None:
        """Give up all partitions."""
        async with self._busy:
            outboxes = [*(each.outbox for each in self._owned.values()), *self._fenced.values()]
            self._owned, self._fenced = {}, {}
            await asyncio.gather(*(outbox.stop() for outbox in outboxes))

    async def _publish(self, owned: Owned, records: Sequence[ConsumerRecord]) -> None:
        outputs: list[Output] = []
        count = 0
        for record in records:
            outputs += outputs_of(record, self._layouts[record.topic])
            count += 1
            if len(outputs) >= MOST_MESSAGES or record is records[-1]:
                began = time.perf_counter()
                await publish(owned, outputs, record.offset + 1)
                took = time.perf_counter() - began
                self._tally.committed(count, outputs, took, took)
                self._tally.newest = max(self._tally.newest, record.timestamp)
                outputs, count = [], 0
