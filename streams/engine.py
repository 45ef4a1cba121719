"""All partitions of one stage in this process: who owns what, and what happens when something fails."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Generic, Protocol, TypeVar

from aiokafka.errors import IllegalStateError, InvalidProducerEpoch, KafkaError, ProducerFenced
from faust.exceptions import ConsumerNotStarted
from faust.types import TP

from schemas.message import Message
from streams.batch import Batch
from streams.diagnosis import DENIED
from streams.identity import TOPICS_KEY, StateMismatch, check_partitions, check_same, more_partitions, remembered
from streams.lag import LagWarnings
from streams.memory import hand_back
from streams.outbox import CommitOffsets, NotCommitted, Outbox, PlainOutbox, TransactionalOutbox
from streams.overlay import Unwritten
from streams.owner import Gap, Listener, PartitionOwner
from streams.restore import restore
from streams.settings import EngineSettings
from streams.stage import Stage
from streams.start import Beginning, Loss, Offsets, loss_alert
from streams.store import CheckpointedTable, PartitionTable
from streams.tally import Tally
from streams.turns import Turns

S = TypeVar("S")
log = logging.getLogger(__name__)

#: Another owner exists, or may: wait for the group to tell before taking the partition back.
FENCED = (ProducerFenced, InvalidProducerEpoch, NotCommitted)

#: Seconds after which a partition whose batches still begin too late is sought again.
SEEK_AGAIN = 1.0

#: Seconds before a partition is reopened after a failure that was not a fencing; failures within the period before
#: the worker stops.
RETRY_DELAY, RETRIES, RETRY_PERIOD = 1.0, 5, 600.0


class InputConsumer(Offsets, Protocol):
    """What the engine asks of the consumer."""

    async def seek_to(self, tp: TP, offset: int) -> None: ...
    def end_position(self, tp: TP) -> int | None: ...
    @property
    def commit_offsets(self) -> CommitOffsets: ...


class Engine(Generic[S]):
    """Owns the stage's partitions that the group assigned to this process."""

    def __init__(
        self, stage: Stage[S], inputs: Sequence[str], settings: EngineSettings, listeners: Sequence[Listener[S]] = ()
    ) -> None:
        self.stage, self.settings = stage, settings
        self.tally = Tally()
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._inputs, self._listeners = inputs, listeners
        self._owners: dict[int, PartitionOwner[S]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._sought_at: dict[tuple[TP, int], float] = {}
        self._failures: dict[int, list[float]] = {}
        self._lag_warnings, self._turns = LagWarnings(settings.lag_warning), Turns()
        self._stopping = False

    def attach(self, table: CheckpointedTable, consumer: Callable[[], InputConsumer]) -> None:
        """Give the engine its table and its consumer, which exist only after it."""
        self._table, self._consumer = table, consumer

    @property
    def ready(self) -> bool:
        """Whether every owned partition is restored and reading."""
        return all(owner.is_open for owner in self._owners.values())

    @property
    def partitions(self) -> list[int]:
        return sorted(self._owners)

    def owner(self, partition: int) -> PartitionOwner[S] | None:
        """The open owner of a partition, None if this process does not have it now."""
        owner = self._owners.get(partition)
        return owner if owner is not None and owner.is_open else None

    def expected_positions(self) -> dict[TP, int]:
        """The next position of every input of every open partition."""
        return {tp: at for owner in self._owners.values() if owner.is_open for tp, at in owner.expected.items()}

    # --- assignment: called from the rebalance callback (fence, revoke) and from the recovery after it (open)

    async def fence(self, assigned: Iterable[TP]) -> None:
        """Take the assigned partitions from their former owners; nothing is read yet."""
        if self._stopping:
            return  # assigned while leaving the group: whoever stays will have it
        topics = set(self._inputs)
        wanted = {tp.partition for tp in assigned if tp.topic in topics}
        if added := [partition for partition in wanted if partition >= self.settings.partitions]:
            raise more_partitions(self.stage.name, added[0], self.settings.partitions)
        await asyncio.gather(*(self._fence(partition) for partition in wanted))

    async def open(self, partitions: Iterable[int]) -> None:
        """Restore the partitions and make them ready to process."""
        await asyncio.gather(*(self._open_or_mend(self._owners[partition]) for partition in partitions))
        hand_back()  # a restore's fetches are more than anything that comes later

    async def revoke(self, revoked: Iterable[TP], timeout: float) -> None:
        """Checkpoint the partitions if that is still possible, and drop what is in memory."""
        partitions = {tp.partition for tp in revoked if tp.topic in self._inputs}
        owners = [owner for partition in partitions if (owner := self._owners.pop(partition, None))]
        await asyncio.gather(*(self._give_up(owner, timeout) for owner in owners))

    async def stop(self, timeout: float = 5.0) -> None:
        """A last checkpoint of everything, then let go."""
        self._stopping = True
        owners, self._owners = list(self._owners.values()), {}
        await asyncio.gather(*(self._give_up(owner, timeout) for owner in owners))
        for task in self._tasks:
            task.cancel()

    # --- work

    async def process(self, batch: Batch) -> None:
        """Apply a batch; one that begins too late makes the consumer read what is missing."""
        for turn in self._turns.of(batch):
            await self._process(turn)
            await asyncio.sleep(0)

    async def _process(self, batch: Batch) -> None:
        try:
            await self._check_for_losses(batch)
            owner = self.owner(batch.partition)
            if owner is None:
                return
            began = asyncio.get_running_loop().time()
            owner.process(batch)
            self._turns.took(batch, asyncio.get_running_loop().time() - began)
        except Gap as gap:
            await self._seek(gap)
        except Exception as problem:
            self.fail(problem)
            raise
        else:
            await owner.wait_for_room()

    async def _check_for_losses(self, batch: Batch) -> None:
        """Where a batch begins beyond what was next, ask whether retention took what lies between."""
        owner, tp = self.owner(batch.partition), TP(batch.topic, batch.partition)
        if owner is None or not _jumps(batch, at := owner.expected[tp]):
            return
        while self.owner(batch.partition) is owner and owner.expected[tp] == at:
            try:
                losses = await self._beginning(batch.partition).losses({tp: at})
            except (KafkaError, TimeoutError):  # the broker is away: what it would tell is needed to go on
                await asyncio.sleep(RETRY_DELAY)
                continue
            if self.owner(batch.partition) is owner:
                for loss in losses:
                    self._go_on_without(owner, loss)
            return

    async def watch(self) -> None:
        """Stop the worker if one of the stage's topics went, came anew, or has another number of partitions."""
        names = [*self._inputs, self.settings.changelog(self.stage.name)]
        try:
            topics = await self._consumer().describe_topics(names)
        except (KafkaError, TimeoutError, ConsumerNotStarted):
            return  # the next time
        try:
            check_partitions(topics, names, self.settings.partitions)
            for owner in filter(lambda each: each.is_open, self._owners.values()):
                state = PartitionTable(self._table, owner.partition)
                check_same(remembered(state.get(TOPICS_KEY)), topics, names)
        except StateMismatch as problem:
            self.fail(problem)

    def lag(self) -> dict[TP, int]:
        """For each input of each open partition, how many offsets are there to read; commit markers count too."""
        ends = ((tp, self._consumer().end_position(tp), at) for tp, at in self.expected_positions().items())
        return {tp: max(0, end - at) for tp, end, at in ends if end is not None}

    def unwritten(self) -> Unwritten:
        """What RocksDB does not have of the open partitions."""
        return self._table.store.unwritten()

    def feed(self, partition: int, message: Message) -> bool:
        """Apply a message this process made; False if the partition is not here any more."""
        owner = self.owner(partition)
        if owner is None:
            return False
        owner.feed(message)
        return True

    def tick(self, now: float) -> None:
        """Let time pass for the partitions that have nothing left to read. `now` is in seconds of a steady clock."""
        for owner in self._owners.values():
            if not owner.is_open:
                continue
            if owner.ticked_at and owner.processor.waiting and self._caught_up(owner):
                owner.tick(round((now - owner.ticked_at) * 1000))
            owner.ticked_at = now
        for line in self._lag_warnings.due(now, ((*tp, lag) for tp, lag in self.lag().items())):
            log.warning("%s", line)

    async def save(self) -> None:
        """Have all that is committed on disk, one partition after the other."""
        for owner in filter(lambda each: each.is_open, list(self._owners.values())):
            if self._holds(owner):
                self._table.store.save(owner.partition, _now())
            await asyncio.sleep(0)  # each takes some hundred milliseconds, in a large fleet

    def fail(self, problem: BaseException) -> None:
        """Stop the worker: nothing may go on from here."""
        if not self.failure.done():
            self.failure.set_exception(problem)

    # --- inside

    def _caught_up(self, owner: PartitionOwner[S]) -> bool:
        ends = ((self._consumer().end_position(tp), at) for tp, at in owner.expected.items())
        return all(end is not None and at >= end for end, at in ends)

    async def _seek(self, gap: Gap) -> None:
        now, place = asyncio.get_running_loop().time(), (gap.tp, gap.expected)
        if now - self._sought_at.get(place, -SEEK_AGAIN) < SEEK_AGAIN:
            return  # batches fetched before the seek still come in
        self._sought_at = {place: now}
        log.info("%s [%d]: reading again from %d", gap.tp.topic, gap.tp.partition, gap.expected)
        await self._seek_to(gap.tp, gap.expected)

    async def _seek_to(self, tp: TP, offset: int) -> None:
        try:
            await self._consumer().seek_to(tp, offset)
        except IllegalStateError:
            log.info("%s [%d]: revoked meanwhile; its next owner reads it", tp.topic, tp.partition)

    def _new_outbox(self, partition: int) -> Outbox:
        if self.settings.delivery == "exactly_once":
            return TransactionalOutbox(self.settings, self.stage.name, partition)
        return PlainOutbox(self.settings, self.stage.name, partition, self._consumer().commit_offsets)

    async def _fence(self, partition: int) -> PartitionOwner[S]:
        former, outbox = self._owners.get(partition), self._new_outbox(partition)
        owner = PartitionOwner(self.stage, partition, self.settings, self._table, outbox, self._listeners, self.tally)
        self._owners[partition] = owner  # before the first await: whoever comes later takes its place
        if former is not None:
            await former.close()
        await owner.fence()
        return owner

    async def _open_or_mend(self, owner: PartitionOwner[S]) -> None:
        try:
            await self._open(owner)
        except FENCED as problem:
            self._spawn(self._mend(owner, problem))
        except Exception as problem:
            if self._holds(owner):
                raise
            log.info("%s [%d]: revoked while it was restored (%r)", self.stage.name, owner.partition, problem)

    async def _open(self, owner: PartitionOwner[S]) -> None:
        partition, store = owner.partition, self._table.store
        start, state = self._beginning(partition), PartitionTable(self._table, partition)
        await start.check_disk(store, _now())
        count = await restore(self.settings, self.stage.name, partition, store, lambda: self._holds(owner))
        positions = await start.positions(owner.outbox, store, state)
        losses = await start.losses(positions)
        if not self._holds(owner):
            return
        store.save(partition, _now())
        owner.open(positions)
        start.note_topics(state)
        for loss in losses:
            self._go_on_without(owner, loss)
        log.info("%s [%d]: restored %d records, reads from %s", self.stage.name, partition, count, _short(positions))
        self._spawn(self._run(owner))

    def _beginning(self, partition: int) -> Beginning:
        return Beginning(self.settings, self.stage.name, self._inputs, partition, self._consumer())

    def _go_on_without(self, owner: PartitionOwner[S], loss: Loss) -> None:
        """Raises `StateMismatch` unless the settings say to go on; then an alert tells."""
        if loss.is_own_cut:
            owner.expected[loss.tp] = loss.end
            return
        if self.settings.on_lost_records == "stop":
            raise StateMismatch(f'{loss}. Set on_lost_records = "continue" to go on without them')
        log.error("%s", loss)
        owner.skip_to(loss.tp, loss.end, [loss_alert(self.stage.name, loss)])

    def _holds(self, owner: PartitionOwner[S]) -> bool:
        return self._owners.get(owner.partition) is owner

    async def _run(self, owner: PartitionOwner[S]) -> None:
        try:
            await owner.run()
        except Exception as problem:  # noqa: BLE001 - whatever failed, memory no longer counts
            if self._holds(owner) and not self._stopping:
                await self._mend(owner, problem)

    async def _mend(self, owner: PartitionOwner[S], problem: Exception) -> None:
        """After a failed checkpoint nothing in memory counts: start the partition again from what is committed.

        A fenced producer means that another worker has the partition, or that the transaction expired. The group tells
        which: if no rebalance takes the partition away within the session timeout, it is ours and is opened again.
        """
        partition, fenced = owner.partition, isinstance(problem, FENCED)
        now = asyncio.get_running_loop().time()
        recent = [at for at in self._failures.get(partition, ()) if now - at < RETRY_PERIOD]
        self._failures[partition] = [*recent, now]
        self.tally.failures += 1
        what = f"{type(problem).__name__}: {problem}"
        log.warning("%s [%d]: %s; starting again from what is committed", self.stage.name, partition, what)
        await owner.close()
        if len(recent) >= RETRIES or isinstance(problem, DENIED):
            self.fail(problem)
            return
        await asyncio.sleep(self.settings.session_timeout if fenced else RETRY_DELAY)
        if not self._holds(owner) or self._stopping:
            return
        try:
            await self._reopen(partition)
        except Exception as again:  # noqa: BLE001 - handed to the worker, which stops
            self.fail(again)

    async def _reopen(self, partition: int) -> None:
        owner = await self._fence(partition)
        if not self._holds(owner):  # revoked meanwhile, and so closed before it was fenced
            await owner.close()
            return
        await self._open_or_mend(owner)
        for tp, offset in owner.expected.items():
            await self._seek_to(tp, offset)

    async def _give_up(self, owner: PartitionOwner[S], timeout: float) -> None:
        # Not `wait_for`: it waits for what it cancels, and a transaction is aborted only when the broker answers.
        last = asyncio.create_task(owner.checkpoint())
        await asyncio.wait({last}, timeout=timeout)
        problem = last.exception() if last.done() else TimeoutError(f"not committed within {timeout:g} s")
        if problem is not None:
            what = f"{type(problem).__name__}: {problem}"
            log.warning("%s [%d]: last checkpoint failed (%s)", self.stage.name, owner.partition, what)
        last.cancel()
        await owner.close()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _jumps(batch: Batch, expected: int) -> bool:
    """Whether a batch leaves more out than the one offset that a commit marker takes up."""
    parsed = batch.records.parsed
    first = parsed[0].offset if parsed else batch.end
    return batch.end > expected and (batch.begin > expected or first > expected + 1)


def _now() -> float:
    """The time on the clock, in seconds since the epoch, for the age of a disk: no state depends on it."""
    return time.time()  # noqa: TID251


def _short(positions: dict[TP, int]) -> str:
    return ", ".join(f"{tp.topic} {offset}" for tp, offset in positions.items())
