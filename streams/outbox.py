"""What leaves a partition at a checkpoint: changelog records, outputs and input offsets, together or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, cast

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import InvalidProducerEpoch, ProducerFenced
from aiokafka.structs import OffsetAndMetadata, RecordMetadata
from faust.types import TP

from schemas.cloudevents import headers_of
from streams.changed import Changes
from streams.changelog_batch import changelog_batches
from streams.clients import new_producer
from streams.diagnosis import DENIED, denial_in
from streams.partitioner import partition_of
from streams.records import Forward, Output
from streams.settings import LARGEST_RECORD, EngineSettings

CommitOffsets = Callable[[Mapping[TP, int]], Awaitable[bool]]

#: Seconds to wait for a producer to say goodbye before it is left to the garbage collector.
STOP_TIMEOUT = 1.5

#: Bytes of one batch of records, below the 1 MiB that brokers allow by default. A producer has one batch of a partition
#: under way at a time: with aiokafka's own 16 KiB a changelog would wait for the broker again and again.
BATCH_BYTES = 1_000_000

#: Milliseconds before a request is repeated; the broker wants one repeated when the former transaction's end is not yet
#: written everywhere, which takes it a few milliseconds rather than aiokafka's 100.
RETRY_BACKOFF_MS = 10


class NotCommitted(RuntimeError):
    """The group's offsets could not be committed: this worker no longer owns the partition."""


class Outbox(Protocol):
    """Publishes what one checkpoint holds. `start` fences every former owner of the partition, where it can."""

    async def start(self) -> None: ...

    async def publish(
        self, changes: Changes, outputs: Sequence[Output | Forward], offsets: Mapping[TP, int]
    ) -> int | None:
        """Returns the changelog position after the last change; None if there was no change."""
        ...

    async def stop(self) -> None: ...


class _Sender:
    """Puts a checkpoint's records into a producer; shared by both kinds of delivery."""

    def __init__(
        self,
        settings: EngineSettings,
        stage: str,
        partition: int,
        producer: AIOKafkaProducer,
        *,
        is_transactional: bool = False,
    ) -> None:
        self._settings, self._producer, self._partition = settings, producer, partition
        self._changelog, self._is_transactional = settings.changelog(stage), is_transactional

    async def send(self, changes: Changes, outputs: Sequence[Output | Forward]) -> int | None:
        """Returns the changelog position after the last change, when the broker has everything."""
        changed = await self._send_changes(changes)
        sent = [await self._send_output(output) for output in outputs]
        await asyncio.gather(*(batch for batch, _ in changed), *sent)
        last = [batch.result().offset + count for batch, count in changed[-1:]]
        return last[0] if last else None

    async def _send_changes(self, changes: Changes) -> list[tuple[asyncio.Future[RecordMetadata], int]]:
        """Batches of records on their way, with the number of records of each; sent one by one, records cost more."""
        batches = []
        for batch in changelog_batches(changes, BATCH_BYTES, is_transactional=self._is_transactional):
            sent = await self._producer.send_batch(batch, self._changelog, partition=self._partition)
            batches.append((sent, batch.record_count()))
        return batches

    async def _send_output(self, output: Output | Forward) -> asyncio.Future[RecordMetadata]:
        topic = self._settings.topic(output.topic)
        if isinstance(output, Forward):
            forwarded: asyncio.Future[RecordMetadata] = await self._producer.send(
                topic,
                output.value,
                key=output.key,
                partition=output.partition,
                timestamp_ms=output.timestamp if output.timestamp >= 0 else None,  # -1: it had none
                headers=list(output.headers),
            )
            return forwarded
        partitions = len(await self._producer.partitions_for(topic))
        place = output.partition_key or output.key
        sent: asyncio.Future[RecordMetadata] = await self._producer.send(
            topic,
            None if output.message is None else output.message.to_json(),
            key=None if output.key is None else output.key.encode(),
            partition=None if place is None else partition_of(place, partitions),
            headers=[] if output.message is None else headers_of(output.message),
        )
        return sent


class TransactionalOutbox:
    """Exactly once: one Kafka transaction a checkpoint, by a producer that fences the partition's former owner.

    `of_topic` is for who reads partitions of several topics on their own, rather than those of one number together; of
    these there may be more than of the changelog.
    """

    def __init__(self, settings: EngineSettings, stage: str, partition: int, of_topic: str | None = None) -> None:
        self._group = settings.group(stage)
        self._producer = new_producer(
            settings.connection,
            transactional_id=settings.transactional_id(stage if of_topic is None else f"{stage}-{of_topic}", partition),
            transaction_timeout_ms=int(settings.transaction_timeout * 1000),
            max_request_size=LARGEST_RECORD,
            max_batch_size=BATCH_BYTES,
            retry_backoff_ms=RETRY_BACKOFF_MS,
        )
        place = partition % settings.partitions
        self._sender = _Sender(settings, stage, place, self._producer, is_transactional=True)

    async def start(self) -> None:
        await self._producer.start()

    async def publish(
        self, changes: Changes, outputs: Sequence[Output | Forward], offsets: Mapping[TP, int]
    ) -> int | None:
        try:
            return await self._publish(changes, outputs, offsets)
        except Exception as problem:
            if (denied := denial_in(problem)) is not None and denied is not problem:
                raise denied from problem
            raise

    async def _publish(
        self, changes: Changes, outputs: Sequence[Output | Forward], offsets: Mapping[TP, int]
    ) -> int | None:
        async with self._producer.transaction():
            commits = {TopicPartition(*tp): OffsetAndMetadata(offset, "") for tp, offset in offsets.items()}
            # They go to different places and need not wait for each other.
            results: Sequence[Any] = await asyncio.gather(
                self._sender.send(changes, outputs),
                self._producer.send_offsets_to_transaction(commits, self._group),
                return_exceptions=True,
            )
            _raise_the_cause(results)
        return cast("int | None", results[0])

    async def stop(self) -> None:
        await _stop_quietly(self._producer)


class PlainOutbox:
    """At least once, for brokers without transactions: records, then offsets. A crash in between repeats outputs."""

    def __init__(self, settings: EngineSettings, stage: str, partition: int, commit: CommitOffsets) -> None:
        self._producer = new_producer(
            settings.connection,
            acks="all",
            max_request_size=LARGEST_RECORD,
            max_batch_size=BATCH_BYTES,
        )
        self._sender = _Sender(settings, stage, partition, self._producer)
        self._commit = commit

    async def start(self) -> None:
        await self._producer.start()

    async def publish(
        self, changes: Changes, outputs: Sequence[Output | Forward], offsets: Mapping[TP, int]
    ) -> int | None:
        position = await self._sender.send(changes, outputs)
        if not await self._commit(offsets):
            raise NotCommitted("the broker refused the offsets; another worker has the partition")
        return position

    async def stop(self) -> None:
        await _stop_quietly(self._producer)


def _raise_the_cause(results: Iterable[Any]) -> None:
    """Of what failed side by side raise what the others follow from: a producer that is fenced, or denied something,
    refuses the rest as illegal.
    """
    problems = [result for result in results if isinstance(result, BaseException)]
    if problems:
        raise next(
            (each for each in problems if isinstance(each, (*DENIED, ProducerFenced, InvalidProducerEpoch))),
            problems[0],
        )


async def _stop_quietly(producer: AIOKafkaProducer) -> None:
    """A fenced or unreachable producer may raise or hang when told to stop; neither must hold up a rebalance."""
    try:
        await asyncio.wait_for(producer.stop(), STOP_TIMEOUT)
    except Exception:  # noqa: BLE001 - whatever it says, this producer is not used again
        return
