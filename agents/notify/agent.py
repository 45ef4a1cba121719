"""The shell of alerts out: reads topics in a group of its own, sends what the core says, and commits what was sent."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError
from yarl import URL

from agents.notify.core import Event, Notice, NotifyState, Place, Told, forget, step, unsent
from agents.notify.kinds import alert_of, topics_for
from agents.notify.targets import BACK_OFF, TIMEOUT, Sender, SendingFailed, address_of
from agents.notify.texts import one_line, payload
from agents.settings import NotifyRule, Settings
from schemas.cloudevents import headers_of
from schemas.dead_letter import DeadLetter, dead_letter_of
from schemas.ids import dead_letter_id
from schemas.message import InvalidMessage
from schemas.topics import TOPICS
from streams.clients import new_consumer
from streams.persistent import Persistent
from streams.settings import EngineSettings
from streams.topic_log import ToSend, publish

log = logging.getLogger(__name__)

GROUP = "notify"

RULE_HEADER = "visutility-notify-rule"
"""On an alert that is sent again (`visutility dlq retry`): the one rule that could not send it."""

#: Notices of one rule that may wait; then nothing more is read until its address is quicker.
MOST_WAITING = 1_000

_POLL_MS, _TICK = 200, 0.2


class Notifier:
    """Tells people what happens, by the `[[notify]]` rules, at least once.

    It is part of the workers that run the monitor. After a crash what was not sent is read again, and cooldowns begin
    anew, so something may be told twice.
    """

    def __init__(
        self,
        settings: Settings,
        engine: EngineSettings,
        back_off: Sequence[float] = BACK_OFF,
        timeout: float = TIMEOUT,
    ) -> None:
        """Raises `AddressMissing` if a rule's environment variable is not set."""
        self._rules, self._engine = settings.notify if "monitor" in settings.agents else [], engine
        self._senders: dict[str, Sender] = {
            rule.name: Sender(URL() if rule.dry_run else address_of(rule), back_off, timeout) for rule in self._rules
        }
        self.joined = asyncio.Event()
        self._reading = Persistent(self._consume, "alerts are not sent")

    async def start(self) -> None:
        """Begin, if there is a rule."""
        if self._rules:
            self._reading.start()

    async def stop(self) -> None:
        """End; what was not sent is sent by the next worker."""
        await self._reading.stop()

    async def _consume(self) -> None:
        names = {self._engine.topic(name): name for name in topics_for(self._rules)}
        consumer = new_consumer(
            self._engine.connection,
            group_id=self._engine.group(GROUP),
            isolation_level="read_committed",
            enable_auto_commit=False,
            # A rule that is new does not tell of the past.
            auto_offset_reset="latest",
            # What is about one model comes to one worker, whichever topic it is on.
            partition_assignment_strategy=[RangePartitionAssignor],
        )
        consumer.subscribe(list(names))
        reading = _Reading(consumer, self._engine, self._rules, self._senders, names)
        try:
            await consumer.start()
            await reading.run(self.joined)
        finally:
            await reading.close()
            await consumer.stop()


class _Reading:
    """One membership of the group: the core's state, what is being sent, and how far everything was sent."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        engine: EngineSettings,
        rules: list[NotifyRule],
        senders: Mapping[str, Sender],
        names: Mapping[str, str],
    ) -> None:
        self._consumer, self._engine, self._rules, self._senders = consumer, engine, rules, senders
        self._parsers = {topic: TOPICS[name].parser() for topic, name in names.items()}
        self._state = NotifyState()
        self._queues: dict[str, asyncio.Queue[Notice]] = {rule.name: asyncio.Queue(MOST_WAITING) for rule in rules}
        self._unsent: list[Notice] = []
        self._committed: dict[TopicPartition, int] = {}
        self._tasks = [asyncio.create_task(self._send_all(rule), name=f"notify {rule.name}") for rule in rules]

    async def run(self, joined: asyncio.Event) -> None:
        """Read for ever. Raises what Kafka raises, and what ended a task."""
        ticked = 0.0
        while True:
            fetched = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=500)
            for record in (record for batch in fetched.values() for record in batch):
                if (event := self._event_in(record)) is not None:
                    await self._queue(step(self._state, self._rules, event, time.monotonic())[1])
            if (now := time.monotonic()) - ticked >= _TICK:
                ticked = now
                await self._queue(step(self._state, self._rules, None, now)[1])
                await self._commit()
                if self._consumer.assignment():
                    joined.set()
            self._check_tasks()

    async def close(self) -> None:
        """End what is being sent; it is sent again later."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _event_in(self, record: ConsumerRecord) -> Event | None:
        if record.value is None:
            return None
        try:
            alert = alert_of(self._parsers[record.topic](record.value, record.headers))
        except InvalidMessage as problem:
            log.warning("%s [%d] at %d is no message: %s", record.topic, record.partition, record.offset, problem)
            return None
        place = (record.topic, record.partition, record.offset)
        only = dict(record.headers).get(RULE_HEADER)
        return None if alert is None else Event(alert, place, None if only is None else only.decode(errors="replace"))

    async def _queue(self, notices: Iterable[Notice]) -> None:
        for notice in notices:
            self._unsent.append(notice)
            while self._queues[notice.rule.name].full():
                self._check_tasks()
                await asyncio.sleep(_TICK)
            self._queues[notice.rule.name].put_nowait(notice)

    def _check_tasks(self) -> None:
        for task in self._tasks:
            if task.done():
                task.result()

    async def _send_all(self, rule: NotifyRule) -> None:
        """Send a rule's notices one after the other: an address that is away holds up no other rule."""
        while True:
            notice = await self._queues[rule.name].get()
            await self._send(notice)
            self._unsent.remove(notice)

    async def _send(self, notice: Notice) -> None:
        body = payload(notice, datetime.now(UTC))
        if notice.rule.dry_run:
            log.info("would be sent to %s", one_line(notice, body))
            return
        try:
            await self._senders[notice.rule.name].send(body, f"{notice.rule.name}-{notice.alerts[0].alert.event_id}")
        except SendingFailed as problem:
            log.error("notify rule %s: %d alerts not sent: %s", notice.rule.name, len(notice.alerts), problem)
            forget(self._state, notice)
            await self._set_aside(notice, str(problem))

    async def _set_aside(self, notice: Notice, reason: str) -> None:
        letters = [self._letter(notice.rule, told, reason) for told in notice.alerts]
        topic = self._engine.topic("dead-letter")
        await publish(
            self._engine.connection,
            [
                ToSend(topic, each.model_name.encode() or None, each.to_json(), list(headers_of(each)))
                for each in letters
            ],
        )

    def _letter(self, rule: NotifyRule, told: Told, reason: str) -> DeadLetter:
        """An alert that goes back to `alerts` when it is retried, whatever topic it came from, for this rule alone."""
        topic, partition, offset = told.place
        letter = dead_letter_of(
            reason=f"notify rule {rule.name}: {reason}",
            stage=GROUP,
            topic=self._engine.topic("alerts"),
            partition=partition,
            offset=offset,
            timestamp=int(time.time() * 1000),
            key=told.alert.model_name.encode(),
            value=told.alert.to_json(),
            headers=[(RULE_HEADER, rule.name.encode())],
        )
        return letter.model_copy(update={"event_id": dead_letter_id(f"{topic} for {rule.name}", partition, offset)})

    async def _commit(self) -> None:
        """Commit up to the first record of which something is still to be sent."""
        ends: dict[TopicPartition, int] = {}
        for tp in self._consumer.assignment():
            with suppress(asyncio.TimeoutError):
                ends[tp] = await asyncio.wait_for(self._consumer.position(tp), 5.0)
        for topic, partition, offset in self._open_places():
            tp = TopicPartition(topic, partition)
            if tp in ends:
                ends[tp] = min(ends[tp], offset)
        if news := {tp: end for tp, end in ends.items() if self._committed.get(tp) != end}:
            try:
                await self._consumer.commit(news)
                self._committed |= news
            except (CommitFailedError, IllegalStateError) as problem:
                log.debug("partitions are being given out anew, nothing committed: %s", problem)

    def _open_places(self) -> Iterable[Place]:
        yield from unsent(self._state)
        for notice in self._unsent:
            yield from (told.place for told in notice.alerts)
