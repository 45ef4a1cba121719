"""Micro-batches: Faust's transport delivers one message per partition and fetch, whose value is a `Batch`.

Faust moves one record at a time through tasks and queues (some 3,000 records a second); a list at a time is a hundred
times faster. Offsets are committed by our own transactions (see `streams.outbox`), so Faust's commits do nothing here.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, cast

from aiokafka import AIOKafkaConsumer
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP, ConsumerMessage
from mode import Service
from mode.threads import WorkerThread
from mode.utils.futures import notify

from streams.batch import Batch
from streams.fetch import ask_only_for, drain_parsed
from streams.identity import TopicOnBroker
from streams.metadata import describe_topics
from streams.records import FetchedRecords, Parsed
from streams.stage_app import StageApp

#: Records that are about enough for a batch. The more it holds, the less a record costs; but all are in memory.
BATCH_RECORDS = 125_000

#: Milliseconds for which a broker may hold a fetch that has nothing to return; Faust's own 1500 stall a busy partition.
FETCH_WAIT_MS = 50

#: Seconds between two fetches where the former brought fewer records than that. A broker answers as soon as it has one
#: record, and a batch costs as much as a hundred records: a thousand records a second would come in 700 batches.
FETCH_PAUSE, FEW_RECORDS = 0.005, 1_000

#: Seconds between two signs of life of a consumer that has nothing to fetch.
SIGN_OF_LIFE = 0.5

#: Seconds to wait for the consumer's thread when all it has to do is done.
THREAD_TIMEOUT = 1.0


class DaemonThread(WorkerThread):
    """A thread that a process does not wait for: a broker that answers no more must not keep a worker from ending."""

    def __init__(self, service: Any, **options: Any) -> None:
        super().__init__(service, **options)
        self.daemon = True

    def stop(self) -> None:
        """Wait for the thread's end, but not for ever: this blocks the event loop."""
        self.is_stopped.wait(THREAD_TIMEOUT)


class BatchConsumerThread(AIOKafkaConsumerThread):
    """Faust's consumer thread, reading committed records and noting the positions around each fetch."""

    Worker = DaemonThread

    #: How often a position was set rather than reached by reading.
    _moves = 0

    #: When the next fetch may be taken, by the loop's clock.
    _next_fetch = 0.0

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        # Faust reads committed only under its own exactly_once, which we do not use; set before the fetcher is made.
        consumer._isolation_level = "read_committed"
        # A broker is asked one thing at a time. While a full partition waits to be processed, aiokafka asks for the
        # others alone, and if they have nothing new the broker holds the answer this long.
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer

    async def _fetch_records(  # type: ignore[override] # batches in the place of lists, for `getmany` below alone
        self,
        consumer: AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,
        max_records: int | None = None,
    ) -> dict[TP, Batch]:
        await asyncio.sleep(self._next_fetch - asyncio.get_running_loop().time())
        ask_only_for(consumer, active_partitions)
        drain_parsed(consumer, BATCH_RECORDS)
        before, moves = self._positions(consumer, active_partitions), self._moves
        fetched = await super()._fetch_records(consumer, active_partitions, timeout)
        if moves != self._moves:
            before = {}  # a seek while we waited skips records; what lies between is no batch without any
        after = self._positions(consumer, active_partitions)
        batches = {}
        for tp, position in after.items():
            records: list[Parsed] = fetched.get(tp, [])
            begin, end = before.get(tp, position), position
            if records:
                begin = min(begin, records[0].offset)  # a seek may have moved the position while we waited
                end = max(end, records[-1].offset + 1)
            if end > begin:
                batches[tp] = Batch(tp.topic, tp.partition, begin, end, FetchedRecords(tp.topic, tp.partition, records))
        few = sum(len(batch.records) for batch in batches.values()) < FEW_RECORDS
        self._next_fetch = asyncio.get_running_loop().time() + FETCH_PAUSE if few else 0.0
        return batches

    def note_alive(self) -> None:
        """As if something had been fetched just now."""
        if self._consumer is not None:
            self._consumer._subscription._last_fetch_ended = time.monotonic()

    async def _seek_wait(self, consumer: AIOKafkaConsumer, partitions: Mapping[TP, int]) -> None:
        self._moves += 1
        await super()._seek_wait(consumer, partitions)

    @staticmethod
    def _positions(consumer: AIOKafkaConsumer, partitions: Iterable[TP] | None) -> dict[TP, int]:
        subscription = consumer._subscription.subscription
        if subscription is None or subscription.assignment is None:
            return {}
        states = ((TP(*tp), subscription.assignment.state_value(tp)) for tp in partitions or ())
        return {tp: state.position for tp, state in states if state is not None and state.has_valid_position}


class NoReadOffsets(dict[TP, "int | None"]):
    """Faust drops a message that lies before one it has seen; after a seek backwards that would lose records.

    The engine's own positions tell what was applied, so nothing is remembered here.
    """

    def __getitem__(self, tp: TP) -> None:
        return None

    def __setitem__(self, tp: TP, offset: int | None) -> None: ...


class NoAcks(list[int]):
    """Faust's compiled streams write acknowledgements past `ack`; as nothing is committed from them, none is kept."""

    def append(self, offset: int) -> None: ...

    def add(self, offset: int) -> None:
        """As a set would."""


class BatchConsumer(Consumer):
    """Delivers batches, and leaves offsets to the engine."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._read_offset = NoReadOffsets()
        self._acked = defaultdict(NoAcks)
        self._acked_index = cast(Any, defaultdict(NoAcks))

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def _stage_app(self) -> StageApp:
        return cast(StageApp, self.app)

    @Service.task
    async def _show_life(self) -> None:
        """Stay in the group without partitions, and while a rebalance or a restore goes on.

        Faust fetches nothing then. aiokafka takes who has not fetched for Faust's `broker_max_poll_interval`, 1,000
        seconds, for one that hangs: it leaves the group, and joins again no sooner than something is fetched, which
        without partitions is never. Who hangs while it has partitions shows no life here, and has to leave.
        """
        while not self.should_stop:
            if not self._active_partitions:
                cast(BatchConsumerThread, self._thread).note_alive()
            await self.sleep(SIGN_OF_LIFE)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        batches, active = await self._wait_next_records(timeout)
        if batches is None or self.should_stop:
            return
        generation = self.app.consumer_generation_id
        for tp, batch in cast(Mapping[TP, Batch], batches).items():
            if not self.flow_active or generation != self.app.consumer_generation_id:
                return  # the engine seeks to what it expects before the flow resumes
            if active is None or tp in active or tp in self._buffered_partitions:
                yield tp, self._batch_message(tp, batch, generation)

    def _batch_message(self, tp: TP, batch: Batch, generation: int) -> ConsumerMessage:
        return ConsumerMessage(
            topic=tp.topic,
            partition=tp.partition,
            offset=batch.end - 1,
            timestamp=0.0,
            timestamp_type=0,
            headers=None,
            key=None,
            value=cast(bytes, batch),
            checksum=None,
            tp=tp,
            generation_id=generation,
        )

    async def perform_seek(self) -> None:
        """Seek to the positions the engine expects, which are the committed ones when a partition has just opened."""
        for tp, offset in self._stage_app.engine.expected_positions().items():
            await self.seek_to(tp, offset)

    async def seek_to(self, tp: TP, offset: int) -> None:
        """Read `tp` from `offset` on, whatever was read before (Faust's `seek_to_committed` skips offset 0)."""
        await self._thread.seek_wait({tp: offset})

    def ack(self, message: Any) -> bool:
        """Forget the message: what was processed is told by the engine's positions, not by acknowledgements."""
        message.acked = True
        self._unacked_messages.discard(message)
        notify(self._waiting_for_ack)
        return True

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        return False

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        return False

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Nothing: gaps are part of a batch's positions."""

    def on_buffer_full(self, tp: TP) -> None:
        """Nothing: one agent reads all partitions in turn, and handing it a batch waits until its queue has room.

        Faust would leave the partition out of the next fetch, which then waits a second for the others' records.
        """

    def on_buffer_drop(self, tp: TP) -> None: ...

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Nothing: Faust takes a consumer that never commits through it for a hung one, and logs errors."""

    async def commit_offsets(self, offsets: Mapping[TP, int]) -> bool:
        """Commit as a member of the group; for delivery without transactions only."""
        return await self._thread.commit(offsets)

    def end_position(self, tp: TP) -> int | None:
        """Up to where a read-committed consumer can read `tp` now; None before the first fetch."""
        return cast("int | None", self._thread._ensure_consumer().last_stable_offset(tp))

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        # Only fences: no heartbeat is sent until this returns, so a restore in here would cost the membership; and what
        # a rebalance listener raises is merely logged, so a failure is handed to the engine.
        try:
            await self._stage_app.engine.fence(assigned)
        except Exception as problem:  # noqa: BLE001 - handed to the worker, which stops
            self._stage_app.engine.fail(problem)
        await super().on_partitions_assigned(assigned, generation_id)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        await self._stage_app.engine.revoke(revoked, timeout=self.app.conf.broker_session_timeout / 2)
        await super().on_partitions_revoked(revoked)

    async def committed(self, tp: TP) -> int | None:
        """The group's committed offset on the broker, None if there is none."""
        consumer = self._thread._ensure_consumer()
        return cast("int | None", await self._thread.call_thread(consumer.committed, tp))

    async def describe_topics(self, names: Sequence[str]) -> dict[str, TopicOnBroker]:
        """Those of the topics that exist, as the broker has them now."""
        client = self._thread._ensure_consumer()._client
        return cast(dict[str, TopicOnBroker], await self._thread.call_thread(describe_topics, client, names))


class BatchTransport(Transport):
    """Faust's aiokafka transport with the consumer above."""

    Consumer = BatchConsumer
