"""One partition of a stage, from the moment it is fenced until it is given up.

    fence() -> open(positions) -> process / feed / tick ... checkpoint() ... -> close()

A checkpoint fixes the positions of all inputs, the state and the outputs at one moment; records processed while it
commits belong to the next one. What is in memory is dropped as soon as a transaction does not succeed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, Protocol, TypeVar

from faust.types import TP

from schemas.message import Message
from streams.batch import Batch
from streams.cuts import RunLog, cut_record, without_cuts
from streams.origin import INTERNAL
from streams.outbox import Outbox
from streams.positions import POSITIONS_KEY, encode_positions
from streams.processor import Processor
from streams.records import Forward, Output
from streams.settings import EngineSettings
from streams.stage import Event, Input, Stage
from streams.store import CheckpointedTable
from streams.tally import Tally

S = TypeVar("S")
log = logging.getLogger(__name__)

#: Bytes of changed states that make a commit, however few records they are of: all of them must be on the changelog
#: before the transaction expires, and until then they are in memory.
CHECKPOINT_BYTES = 64 * 2**20


class Gap(Exception):
    """A batch begins beyond the next expected position: what lies between must be read first."""

    def __init__(self, tp: TP, expected: int) -> None:
        super().__init__(f"{tp.topic} [{tp.partition}]: expected {expected}")
        self.tp, self.expected = tp, expected


@dataclass(frozen=True, slots=True)
class Commit:
    """What one checkpoint made durable: whose state changed (some named more than once), the outputs, and, if asked
    for, the events.
    """

    touched: Sequence[bytes]
    outputs: Sequence[Output | Forward]
    events: Sequence[Event]

    @property
    def keys(self) -> set[str]:
        """The keys whose state changed: worked out for who asks, for there may be many."""
        return {name.decode() for name in self.touched}


class Listener(Protocol[S]):
    """Told what happens to partitions, after it is durable. Must not raise, block or change the state."""

    @property
    def wants_events(self) -> bool:
        """Whether to keep the events of a checkpoint in memory for this listener."""
        ...

    def opened(self, partition: int, processor: Processor[S]) -> None: ...

    def committed(self, partition: int, processor: Processor[S], commit: Commit) -> None: ...

    def closed(self, partition: int) -> None: ...


class PartitionOwner(Generic[S]):
    """Holds what one partition has in memory: positions, outputs not yet published, and its way out."""

    def __init__(
        self,
        stage: Stage[S],
        partition: int,
        settings: EngineSettings,
        table: CheckpointedTable,
        outbox: Outbox,
        listeners: Sequence[Listener[S]] = (),
        tally: Tally | None = None,
    ) -> None:
        self.partition = partition
        self._tally = tally or Tally()
        self.is_open = False
        self.expected: dict[TP, int] = {}
        self.ticked_at = 0.0
        self._stage, self._settings, self._table, self._outbox = stage, settings, table, outbox
        self._listeners = listeners
        self._processor: Processor[S] | None = None
        self._outputs: list[Output | Forward] = []
        self._events: list[Event] = []
        self._internal = settings.topic(stage.name + INTERNAL)
        self._runs = RunLog()
        self._unsaved, self._dirty = 0, False
        self._checkpointing = asyncio.Lock()
        self._wake, self._woken_at = asyncio.Event(), 0.0
        self._room = asyncio.Event()
        self._room.set()

    @property
    def outbox(self) -> Outbox:
        return self._outbox

    @property
    def processor(self) -> Processor[S]:
        if self._processor is None:
            raise RuntimeError(f"partition {self.partition} of {self._stage.name} is not open")
        return self._processor

    async def fence(self) -> None:
        """Take the partition: the former owner's open transaction is aborted and its later ones refused."""
        await self._outbox.start()

    def open(self, positions: Mapping[TP, int]) -> None:
        """Start from restored state: `positions` are the committed offsets of all inputs."""
        view = self._table.partition(self.partition)
        applied = self._keep if any(listener.wants_events for listener in self._listeners) else None
        self._processor = Processor(
            self._stage, self.partition, self._settings.partitions, view, applied, self._settings.max_failures
        )
        self.expected = dict(positions)
        self.is_open = True
        for listener in self._listeners:
            listener.opened(self.partition, self.processor)

    def process(self, batch: Batch) -> None:
        """Apply what a batch holds beyond the expected position. Raises `Gap` if it begins too late."""
        tp = TP(batch.topic, batch.partition)
        expected = self.expected[tp]
        if batch.begin > expected:
            raise Gap(tp, expected)
        if batch.end <= expected:
            return
        internal = tp.topic == self._internal
        records = without_cuts(batch.since(expected)) if internal else batch.since(expected)
        with self._all_or_nothing():
            outputs = self.processor.process(records)
        self.expected[tp] = batch.end
        self._runs.read(tp.topic, expected, batch.end)
        # A checkpoint's own cut and commit marker start no other one: an idle partition would commit for ever.
        if records or not internal:
            self._note(outputs, len(records))
        if records:
            self._tally.newest = max(self._tally.newest, records[-1].timestamp)

    def skip_to(self, tp: TP, position: int, told: Sequence[Output]) -> None:
        """Go on from a later position, for what lay before is gone, and publish what tells of it."""
        self.expected[tp] = position
        self._note(told, 0)

    def feed(self, message: Message) -> None:
        """Apply a message that this process made itself."""
        self._note(self.processor.feed(message), 1)

    def tick(self, elapsed_ms: int) -> None:
        """Let time pass for the keys that wait."""
        with self._all_or_nothing():
            outputs = self.processor.tick(elapsed_ms, _now())
        self._runs.tick(elapsed_ms)
        self._note(outputs, 0)

    async def wait_for_room(self) -> None:
        """Back-pressure: wait while two checkpoints' worth of records, or of changed states, is in memory."""
        await self._room.wait()

    async def run(self) -> None:
        """Checkpoint when outputs wait (batched over the linger), when enough was processed, or at the interval."""
        while self.is_open:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._settings.checkpoint_interval)
                await asyncio.sleep(self._woken_at + self._settings.output_linger - asyncio.get_running_loop().time())
            self._wake.clear()
            await self.checkpoint()

    async def checkpoint(self) -> None:
        """Commit state, outputs and offsets in one transaction, then write RocksDB, then drop the overlay.

        If anything fails, everything in memory is dropped, the partition is closed and the error is raised.
        """
        async with self._checkpointing:
            if not self.is_open or not self._dirty:
                return
            records, offsets = self._unsaved, dict(self.expected)
            commit = Commit(self.processor.take_touched(), self._outputs, self._events)
            cut = cut_record(self._stage.name, self.partition, self._runs.take(), _now())
            self._table.partition(self.partition)[POSITIONS_KEY] = encode_positions(offsets)
            self._outputs, self._events, self._unsaved, self._dirty = [], [], 0, False
            self._room.set()
            store, clock = self._table.store, asyncio.get_running_loop().time
            began = clock()
            try:
                position = await self._outbox.publish(store.freeze(self.partition), [*commit.outputs, cut], offsets)
                published = clock()
                if not self.is_open:
                    return  # closed meanwhile: the overlay is gone or another owner's; restoring brings what committed
                store.settle(self.partition, position)
            except BaseException:
                self._drop()
                raise
        self._tally.committed(records, commit.outputs, published - began, clock() - began)
        level = logging.INFO if records or commit.outputs else logging.DEBUG
        what = f"{records} records, {len(commit.outputs)} outputs"
        log.log(level, "%s [%d]: %s", self._stage.name, self.partition, what)
        for listener in self._listeners:
            listener.committed(self.partition, self.processor, commit)

    async def close(self) -> None:
        """Give the partition up without another checkpoint."""
        self._drop()
        await self._outbox.stop()

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """What raises half-way leaves some keys changed and others not: nothing of that may reach a checkpoint."""
        try:
            yield
        except BaseException:
            self._drop()
            raise

    def _note(self, outputs: Sequence[Output | Forward], records: int) -> None:
        self._outputs += outputs
        self._unsaved += records
        self._dirty = True
        changed, enough = self._table.store.changed_bytes(self.partition), self._settings.checkpoint_records
        if not self._wake.is_set() and (self._outputs or self._unsaved >= enough or changed >= CHECKPOINT_BYTES):
            self._woken_at = asyncio.get_running_loop().time()
            self._wake.set()
        if self._unsaved >= 2 * enough or changed >= 2 * CHECKPOINT_BYTES:
            self._room.clear()

    def _keep(self, inputs: Sequence[Input]) -> None:
        self._events += (each for each in inputs if isinstance(each, Event))

    def _drop(self) -> None:
        if not self.is_open:
            return  # the overlay may be another owner's by now
        self.is_open = False
        self._table.store.drop(self.partition)
        for listener in self._listeners:
            listener.closed(self.partition)
        self._outputs, self._events = [], []
        self._wake.set()
        self._room.set()


def _now() -> datetime:
    """The time on the clock, for people to read: nothing depends on it."""
    return datetime.now(UTC)  # noqa: TID251
