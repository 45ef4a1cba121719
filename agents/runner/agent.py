"""The trial runner: a member of a consumer group of its own that takes trials as fast as it has processes free.

A trial's result is published before its offset is committed, so no trial is lost; one whose runner died in between is
run again, and the study's owner counts its first result. Trials go on through a rebalance that leaves their partition
here, and are ended by one that takes it away: from then on another runner has them.

What a trial reports is sent on while it runs. The study's owner may order its end in return: that is a record on
`trial-requests` too, but the group reads on only where a process is free, so all runners follow the topic for orders.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError
from aiokafka.structs import OffsetAndMetadata

from agents.runner.outbox import Outbox, Reporter
from agents.runner.progress import Progress
from agents.runner.trials import call_of, overdue, unnamed
from agents.settings import TuneRule
from agents.tuner.channel import LiveTrial
from agents.tuner.pool import TrialPool
from agents.tuner.worker import Ended
from schemas.message import InvalidMessage
from schemas.topics import TOPICS
from schemas.trial_requests import PruneTrial, TrialRequest
from streams.clients import new_consumer
from streams.dead_letters import letter_of
from streams.persistent import Persistent
from streams.settings import EngineSettings
from streams.topic_log import TopicFollower

log = logging.getLogger(__name__)

NAME = "runner"

#: Milliseconds that a poll waits for records; also the longest that a free process goes unnoticed by the next poll.
POLL_MS = 200

#: A trial may run for days, and all the while nothing is asked of the consumer: that is no sign of a hang.
NEVER_MS = 2**31 - 1


_PRUNE = b"prune_trial"


class TrialRunner(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka has no types
    """Runs trials of all studies. All methods belong to one event loop."""

    def __init__(self, engine: EngineSettings, pool: TrialPool, rules: Sequence[TuneRule]) -> None:
        """`pool` runs the trials, as many at once as it has processes; whoever made it closes it. Only objectives that
        `rules` name are run.
        """
        self._engine, self._pool, self._rules = engine, pool, rules
        self._parse = TOPICS["trial-requests"].parser()
        self._live: dict[str, LiveTrial] = {}
        self._progress: dict[TopicPartition, Progress] = {}
        self._trials: dict[tuple[TopicPartition, int], asyncio.Task[None]] = {}
        self._taking = Persistent(self._consume, "trials are not taken")
        self._failure: Exception | None = None
        self.joined = asyncio.Event()

    @property
    def running(self) -> int:
        """How many trials run now."""
        return len(self._trials)

    async def start(self) -> None:
        """Begin; `joined` is set once partitions were assigned, which may be none."""
        self._taking.start()

    async def stop(self) -> None:
        """End all trials and leave the group, whose other members have them from then on."""
        await self._taking.stop()

    async def _consume(self) -> None:
        self._failure = None
        servers, topic = self._engine.connection, self._engine.topic("trial-requests")
        async with Outbox(self._engine) as self._outbox, TopicFollower(servers, topic, self._hear, from_end=True):
            self._consumer = self._new_consumer()
            try:
                await self._consumer.start()
                while self._failure is None:
                    await self._take(self._pool.workers - len(self._trials))
                raise self._failure
            finally:
                await self._end(list(self._trials))
                self._progress.clear()
                await self._consumer.stop()

    def _new_consumer(self) -> AIOKafkaConsumer:
        session = int(self._engine.session_timeout * 1000)
        consumer = new_consumer(
            self._engine.connection,
            group_id=self._engine.group(NAME),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=session,
            heartbeat_interval_ms=session // 5,
            rebalance_timeout_ms=session,
            max_poll_interval_ms=NEVER_MS,
            partition_assignment_strategy=(StickyPartitionAssignor,),
        )
        consumer.subscribe([self._engine.topic("trial-requests")], listener=self)
        return consumer

    async def _take(self, free: int) -> None:
        """Take as many trials as there are free processes; wait for one where there is none."""
        if free <= 0:
            await asyncio.wait(self._trials.values(), return_when=asyncio.FIRST_COMPLETED)
            return
        for tp, records in (await self._consumer.getmany(timeout_ms=POLL_MS, max_records=free)).items():
            for record in records:
                await self._begin(tp, record)

    async def _begin(self, tp: TopicPartition, record: ConsumerRecord) -> None:
        progress = self._progress.get(tp)
        if progress is None or not progress.take(record.offset):
            return  # not ours any more; or running, or ended before a rebalance
        place = (tp, record.offset)
        self._trials[place] = task = asyncio.create_task(self._do(tp, record), name=f"trial {tp}:{record.offset}")
        task.add_done_callback(lambda done: self._trials.pop(place, None) if self._trials.get(place) is done else None)

    async def _do(self, tp: TopicPartition, record: ConsumerRecord) -> None:
        try:
            await self._answer(record)
            if (progress := self._progress.get(tp)) is not None:
                progress.end(record.offset)
                await self._commit([tp])
        except Exception as problem:  # noqa: BLE001 - everything begins again from what is committed
            self._failure = problem

    async def _answer(self, record: ConsumerRecord) -> None:
        """Run the trial in a record and publish how it ended."""
        try:
            request = self._parse(record.value, record.headers)
        except InvalidMessage as problem:
            await (await self._outbox.send("dead-letter", letter_of(record, str(problem), "runner")))
            return
        if not isinstance(request, TrialRequest):
            return  # an order to end one early: `_hear` sees it sooner
        async with Reporter(self._outbox, request) as reporter:
            refused = overdue(request, datetime.now(UTC)) or unnamed(request, self._rules)
            await reporter.end(refused or await self._run(request, reporter))

    async def _run(self, request: TrialRequest, reporter: Reporter) -> Ended:
        live = self._live[request.trial_id] = LiveTrial(reporter.heard)
        try:
            ended = await self._pool.run_trial(call_of(request), live)
        finally:
            if self._live.get(request.trial_id) is live:
                del self._live[request.trial_id]
        log.info("trial %s: %s%s", request.trial_id, ended.error or ended.score, ", pruned" * ended.pruned)
        return ended

    def _hear(self, record: ConsumerRecord) -> None:
        """End a trial early whose study's owner says so: any runner may have it."""
        if record.value is None or _PRUNE not in record.value:
            return  # a request: the group sees to those
        with suppress(InvalidMessage):  # the group makes it a dead letter
            order = self._parse(record.value, record.headers)
            if isinstance(order, PruneTrial) and (live := self._live.get(order.trial_id)) is not None:
                live.end_early()

    async def _commit(self, tps: Iterable[TopicPartition]) -> None:
        """Commit what has ended; if the group is about to change, the next commit says it again."""
        wanted = {tp: self._progress[tp] for tp in tps if tp in self._progress}
        offsets = {tp: OffsetAndMetadata(each.position, each.metadata) for tp, each in wanted.items()}
        try:
            if offsets:
                await self._consumer.commit(offsets)
        except (CommitFailedError, IllegalStateError) as problem:
            log.info("not committed (%s): the group changes", type(problem).__name__)

    # --- rebalances: aiokafka calls these with all partitions, before and after

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Say what has ended; what runs goes on, for most partitions come back."""
        await self._commit(revoked)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """End what runs for partitions that went elsewhere, and learn what has ended in those that are new."""
        kept = set(assigned)
        for tp in set(self._progress) - kept:
            await self._end([(tp, offset) for offset in self._progress.pop(tp).running])
        if new := kept - set(self._progress):
            committed = await self._consumer._coordinator.fetch_committed_offsets(list(new))
            for tp in new:
                found = committed.get(tp, OffsetAndMetadata(0, ""))
                self._progress[tp] = Progress(max(found.offset, 0), found.metadata or "")
        self.joined.set()

    async def _end(self, places: Iterable[tuple[TopicPartition, int]]) -> None:
        tasks = [task for place in places if (task := self._trials.pop(place, None)) is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
