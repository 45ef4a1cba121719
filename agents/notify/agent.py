"""The shell of alerts out: reads topics in a group of its own, sends what the core says, and commits what was sent.

What was told is kept on `notify-changelog`, which every worker follows whole, so that who gets a partition knows its
cooldowns. It is written once what it tells of has been sent, and before offsets are committed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError
from yarl import URL

from agents.notify.core import (
    Event,
    Notice,
    NotifyState,
    Place,
    Told,
    forget,
    remember,
    step,
    take_unsaved,
    unsaved_places,
)
from agents.notify.kinds import alert_of, rule_of, topics_for
from agents.notify.saving import condition_bytes, key_bytes, saved
from agents.notify.targets import BACK_OFF, TIMEOUT, Sender, SendingFailed, address_of
from agents.notify.texts import one_line, payload
from agents.settings import NotifyRule, Settings
from schemas.cloudevents import headers_of
from schemas.dead_letter import DeadLetter, dead_letter_of
from schemas.ids import dead_letter_id
from schemas.message import InvalidMessage
from schemas.topics import TOPICS
from streams.clients import new_consumer, new_producer
from streams.persistent import Persistent
from streams.settings import EngineSettings
from streams.topic_log import TopicFollower, ToSend, publish, send, started

log = logging.getLogger(__name__)

GROUP = "notify"

RULE_HEADER = "visutility-notify-rule"
"""On an alert that is sent again (`visutility dlq retry`): the one rule that could not send it."""

#: Notices of one rule that may wait; then nothing more is read until its address is quicker.
MOST_WAITING = 1_000

_POLL_MS, _TICK = 200, 0.2


class Notifier:
    """Tells people what happens, by the `[[notify]]` rules, at least once.

    It is part of the workers that run the monitor. After a crash what was not sent is read again, so something may be
    told twice; cooldowns, mutes and acknowledgements hold.
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
        servers = self._engine.connection
        reading = _Reading(consumer, self._engine, self._rules, self._senders, names)
        handling = TopicFollower(servers, self._engine.topic("alert-handling"), reading.take_handling)
        conditions = TopicFollower(servers, self._engine.changelog(GROUP), reading.take_condition)
        try:
            writing = new_producer(servers, acks="all", enable_idempotence=True)
            async with handling, conditions, started(writing) as producer, started(consumer):
                saving = _Saving(producer, self._engine, conditions.partitions, handling.partitions)
                await reading.run(self.joined, saving, (handling, conditions))
        finally:
            await reading.close()


class _Saving:
    """Writes what the core wants to be kept."""

    def __init__(self, producer: AIOKafkaProducer, engine: EngineSettings, conditions: int, handling: int) -> None:
        self._producer, self._conditions, self._handling = producer, conditions, handling
        self._changelog, self._topic = engine.changelog(GROUP), engine.topic("alert-handling")

    async def save(self, state: NotifyState, sending: Iterable[Notice]) -> None:
        """Write conditions that changed and are told, and take acknowledgements back of what has ended."""
        changed = take_unsaved(state, [key for notice in sending for key in notice.keys])
        resolved, state.resolved = state.resolved, set()
        await asyncio.gather(
            *(
                send(self._producer, ToSend(self._changelog, key_bytes(key), condition_bytes(each)), self._conditions)
                for key, each in changed.items()
            ),
            *(send(self._producer, ToSend(self._topic, key.encode(), None), self._handling) for key in resolved),
        )


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
        self._now = 0.0
        self._parse_handling = TOPICS["alert-handling"].parser()
        self._tasks = [asyncio.create_task(self._send_all(rule), name=f"notify {rule.name}") for rule in rules]

    async def run(self, joined: asyncio.Event, saving: _Saving, tables: Sequence[TopicFollower]) -> None:
        """Read for ever. Raises what Kafka raises, and what ended a task."""
        ticked = 0.0
        while True:
            fetched = await self._consumer.getmany(timeout_ms=_POLL_MS, max_records=500)
            for record in (record for batch in fetched.values() for record in batch):
                if (event := self._event_in(record)) is not None:
                    await self._queue(step(self._state, self._rules, event, self._clock())[1])
            if (now := time.monotonic()) - ticked >= _TICK:
                ticked = now
                await self._queue(step(self._state, self._rules, None, self._clock(), self._owned())[1])
                await saving.save(self._state, self._unsent)
                await self._commit()
                if self._consumer.assignment():
                    joined.set()
            self._check_tasks()
            for table in tables:
                table.check()

    def take_handling(self, record: ConsumerRecord) -> None:
        """A record of `alert-handling`: a mute, an acknowledgement, or the end of one."""
        try:
            message = None if record.value is None else self._parse_handling(record.value, record.headers)
        except InvalidMessage as problem:
            log.warning("%s [%d] at %d is no message: %s", record.topic, record.partition, record.offset, problem)
            return
        self._state.handling.apply((record.key or b"").decode(errors="replace"), message)

    def take_condition(self, record: ConsumerRecord) -> None:
        """A record of `notify-changelog`: what some worker has told."""
        if (found := saved(record.key, record.value)) is not None:
            remember(self._state, *found, self._owned())

    def _clock(self) -> float:
        """Seconds since 1970, for people say in these until when something is muted; never less than before."""
        self._now = max(self._now, time.time())
        return self._now

    def _owned(self) -> Callable[[Place], bool]:
        assigned = self._consumer.assignment()
        return lambda place: TopicPartition(place[0], place[1]) in assigned

    async def close(self) -> None:
        """End what is being sent; it is sent again later."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _event_in(self, record: ConsumerRecord) -> Event | None:
        if record.value is None:
            return None
        try:
            message = self._parsers[record.topic](record.value, record.headers)
        except InvalidMessage as problem:
            log.warning("%s [%d] at %d is no message: %s", record.topic, record.partition, record.offset, problem)
            return None
        place = (record.topic, record.partition, record.offset)
        only = dict(record.headers).get(RULE_HEADER)
        if (alert := alert_of(message)) is None:
            return None
        return Event(alert, place, None if only is None else only.decode(errors="replace"), rule_of(message))

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
        """Commit up to the first record of which something is still to be sent, or saved."""
        ends: dict[TopicPartition, int] = {}
        for tp in self._consumer.assignment():
            with suppress(TimeoutError):
                async with asyncio.timeout(5.0):
                    ends[tp] = await self._consumer.position(tp)
        for topic, partition, offset in unsaved_places(self._state):
            tp = TopicPartition(topic, partition)
            if tp in ends:
                ends[tp] = min(ends[tp], offset)
        if news := {tp: end for tp, end in ends.items() if self._committed.get(tp) != end}:
            try:
                await self._consumer.commit(news)
                self._committed |= news
            except (CommitFailedError, IllegalStateError) as problem:
                log.debug("partitions are being given out anew, nothing committed: %s", problem)
