"""Fetched records as aiokafka's compiled parser gives them, without an object of Python for each.

aiokafka makes a `ConsumerRecord` of every record, one at a time, which costs more than reading and parsing it. Here a
fetch is drained a Kafka batch at a time, and a record gets its topic and partition only where somebody looks at it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator
from functools import partial
from typing import Any
from weakref import ref

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException

from streams.records import Parsed

#: Partitions that have records waiting, before a broker is asked for no more; seconds until that is looked at again.
MOST_WAITING, PAUSE = 2, 0.1


def drain_parsed(consumer: AIOKafkaConsumer, limit: int) -> None:
    """Make a consumer's next fetch return `Parsed` records, of each partition up to the batch that reaches `limit`.

    When half as many are taken, other partitions' stay as they were sent: parsed, they take several times the memory.
    Reaches into aiokafka, whose exact version is pinned for it.
    """
    fetcher = consumer._fetcher
    if not isinstance(fetcher._records, _Buffer):
        fetcher._records = _Buffer(fetcher._records)
    fetcher._records.limit, fetcher._records.taken = limit, 0


def ask_only_for(consumer: AIOKafkaConsumer, active: Collection[TopicPartition]) -> None:
    """Have no partition fetched but these. Call it before each fetch, for assignments change.

    Faust assigns a table's changelog to the consumer, too, and nobody drains it there: its first fetch would stay in
    memory, one of each partition.
    """
    assigned, paused = consumer.assignment(), consumer.paused()
    for tp in assigned.difference(active):
        consumer._fetcher._records.pop(tp, None)
        if tp not in paused:
            consumer.pause(tp)
    consumer.resume(*(tp for tp in paused if tp in active))


class _Buffer(OrderedDict[TopicPartition, Any]):
    """What the fetcher has ready for each partition: records, or an error. `taken` are the records taken in this fetch.

    A partition that was left out comes first the next time, for those that were drained begin at the end anew.
    """

    def __init__(self, ready: OrderedDict[TopicPartition, Any]) -> None:
        super().__init__()
        self.limit = self.taken = 0
        self.update(ready)

    def __setitem__(self, tp: TopicPartition, result: Any) -> None:
        if type(result) is FetchResult:
            # On the object, for the fetcher knows its results by their exact class.
            # It must not hold itself, or the bytes of each fetch would stay until Python looks for cycles: hundreds of
            # megabytes after a restore. aiokafka's own iterator, which nobody asks for records, holds them too.
            result._partition_records._records_iterator.close()
            result.calculate_backoff = partial(self._pause, ref(result))
            result.getall = partial(_drain, ref(result), parsed_batches(result._partition_records), self)
        super().__setitem__(tp, result)

    def _pause(self, waiting: ref[FetchResult]) -> float:
        """Seconds for which a broker of whose records some wait is asked for no more.

        For aiokafka that is a tenth of one: of a hundred partitions that are behind each would have a fetch in memory.
        """
        result = waiting()
        return PAUSE if result is None or len(self) >= MOST_WAITING else FetchResult.calculate_backoff(result)


def _drain(
    drained: ref[FetchResult], batches: Iterator[list[Parsed]], buffer: _Buffer, max_records: int | None = None
) -> list[Parsed]:
    """In place of `FetchResult.getall`."""
    result = drained()
    if result is None or not result.has_more() or not result.check_assignment(result._topic_partition):
        return []
    if 2 * buffer.taken > buffer.limit:
        return []
    taken, is_empty = list[Parsed](), False
    while len(taken) < buffer.limit and not is_empty:
        records = next(batches, None)
        is_empty = records is None
        taken += records or ()
    result._update_position()
    if is_empty:
        result._partition_records = None
    buffer.taken += len(taken)
    return taken


def parsed_batches(fetched: PartitionRecords) -> Iterator[list[Parsed]]:
    """The records of each Kafka batch: no markers, and none of an aborted transaction where only committed ones count.

    As `PartitionRecords` does it, whose position it moves. Raises `CorruptRecordException`.
    """
    while fetched._records.has_next():
        batch = fetched._records.next_batch()
        if fetched._check_crcs and not batch.validate_crc():
            raise CorruptRecordException(f"Invalid CRC - {fetched._tp}")
        if _is_dropped(fetched, batch) or batch.is_control_batch:
            fetched.next_fetch_offset = batch.next_offset
            continue
        records: list[Parsed] = list(batch)
        if records and records[0].offset < fetched.next_fetch_offset:  # asked for from its middle on
            records = [record for record in records if record.offset >= fetched.next_fetch_offset]
        fetched.next_fetch_offset = batch.next_offset
        yield records


def _is_dropped(fetched: PartitionRecords, batch: Any) -> bool:
    """Whether a batch belongs to an aborted transaction; keeps account of which are."""
    if fetched._isolation_level != READ_COMMITTED or batch.producer_id is None:
        return False
    fetched._consume_aborted_up_to(batch.base_offset)
    if batch.is_control_batch:
        if fetched._contains_abort_marker(batch):
            fetched._aborted_producers.discard(batch.producer_id)
        return False
    return bool(batch.is_transactional and batch.producer_id in fetched._aborted_producers)
