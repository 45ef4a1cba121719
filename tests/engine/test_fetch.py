"""Draining fetches a Kafka batch at a time, held to what aiokafka makes of the same bytes."""

from __future__ import annotations

import asyncio
import gc
from collections import OrderedDict
from types import SimpleNamespace
from typing import Any, cast
from weakref import ref

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, READ_UNCOMMITTED, FetchError, FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException, KafkaError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from streams.brokers.broker import Broker
from streams.fetch import MOST_WAITING, drain_parsed, parsed_batches
from streams.records import Parsed
from streams.topics import WantedTopic, create_topics

TP = TopicPartition("metrics", 3)
CONTROL, ABORT_KEY, COMMIT_KEY = 0x20, b"\0\0\0\0", b"\0\0\0\1"


def one_batch(base: int, count: int, producer: int, kind: str) -> bytes:
    """A Kafka batch on the wire: `plain`, `transactional`, or a marker that ends a transaction."""
    builder = DefaultRecordBatchBuilder(2, 0, int(kind != "plain"), producer, 0, 0, 1_000_000)
    marker = {"abort": ABORT_KEY, "commit": COMMIT_KEY}.get(kind)
    for offset in range(count if marker is None else 1):
        key = b"k%d" % offset if marker is None else marker
        builder.append(
            offset, 1_000 + base + offset, key, b"v%d" % (base + offset), [("h", b"%d" % offset)][: base % 2]
        )
    wire = bytearray(builder.build())
    wire[0:8] = base.to_bytes(8, "big")
    if marker is not None:
        wire[22] |= CONTROL
    return bytes(wire)


batches = st.lists(
    st.tuples(st.integers(1, 5), st.integers(1, 3), st.sampled_from(["plain", "transactional", "abort", "commit"])),
    max_size=12,
)


def fetched(layout: list[tuple[int, int, str]], start: int, isolation: int, *, check: bool = False) -> PartitionRecords:
    """What a fetch from `start` on holds; aborted transactions are listed as a broker does, by their first batch."""
    wire, base, first, aborted = b"", 0, dict[int, int](), list[tuple[int, int]]()
    for count, producer, kind in layout:
        wire += one_batch(base, count, producer, kind)
        if kind == "transactional":
            first.setdefault(producer, base)
        elif kind == "abort" and producer in first:
            aborted.append((producer, first.pop(producer)))
        elif kind == "commit":
            first.pop(producer, None)
        base += count if kind in {"plain", "transactional"} else 1
    return PartitionRecords(TP, MemoryRecords(wire), aborted, start, None, None, check, isolation)


def content(record: Parsed) -> tuple[Any, ...]:
    return record.offset, record.timestamp, record.key, record.value, tuple(record.headers)


@given(batches, st.integers(0, 8), st.sampled_from([READ_COMMITTED, READ_UNCOMMITTED]))
def test_the_same_records_come_as_from_aiokafka(layout: list[tuple[int, int, str]], start: int, isolation: int) -> None:
    expected = fetched(layout, start, isolation)
    records: list[ConsumerRecord] = list(expected)
    found = fetched(layout, start, isolation)
    parsed = [record for batch in parsed_batches(found) for record in batch]
    assert [content(record) for record in parsed] == [content(record) for record in records]
    assert found.next_fetch_offset == expected.next_fetch_offset


def test_a_batch_that_was_damaged_on_the_way_is_an_error() -> None:
    wire = bytearray(one_batch(0, 3, 1, "plain"))
    wire[-1] ^= 1
    damaged = PartitionRecords(TP, MemoryRecords(bytes(wire)), [], 0, None, None, True, READ_COMMITTED)
    with pytest.raises(CorruptRecordException):
        list(parsed_batches(damaged))


class Assignment:
    """As much of aiokafka's subscription as a fetch result asks."""

    active = True

    def __init__(self) -> None:
        self.state = SimpleNamespace(position=0, paused=False, consumed_to=self._consumed_to)

    def _consumed_to(self, position: int) -> None:
        self.state.position = position

    def state_value(self, tp: TopicPartition) -> SimpleNamespace:
        return self.state


class Fetcher:
    """aiokafka's buffer with fetches of three batches of two records in it, and a consumer that has it."""

    def __init__(self, *partitions: TopicPartition) -> None:
        self._records = OrderedDict({tp: self._fetch(tp, Assignment()) for tp in partitions or (TP,)})

    @staticmethod
    def _fetch(tp: TopicPartition, assignment: Assignment) -> FetchResult:
        records = fetched([(2, 1, "plain"), (2, 1, "plain"), (2, 1, "plain")], 0, READ_COMMITTED)
        return FetchResult(tp, assignment=assignment, partition_records=records, backoff=0)

    def begin(self, limit: int) -> OrderedDict[TopicPartition, Any]:
        drain_parsed(cast(AIOKafkaConsumer, SimpleNamespace(_fetcher=self)), limit)
        return self._records


def test_a_fetch_is_drained_up_to_the_batch_that_reaches_the_limit() -> None:
    fetcher = Fetcher()
    one = fetcher.begin(3)[TP]
    assert [record.offset for record in one.getall()] == [0, 1, 2, 3]
    assert one._assignment.state.position == 4
    assert one.has_more()
    assert one.getall() == []
    assert [record.offset for record in fetcher.begin(3)[TP].getall()] == [4, 5]
    assert not one.has_more()


def test_where_one_partition_has_enough_the_others_keep_their_bytes() -> None:
    fetcher = Fetcher(TP, other := TopicPartition("metrics", 4))
    buffer = fetcher.begin(11)
    assert len(buffer[TP].getall()) == 6
    assert buffer[other].getall() == []
    assert buffer[other].has_more()
    assert len(fetcher.begin(11)[other].getall()) == 6


def test_where_partitions_have_little_all_are_drained_at_once() -> None:
    fetcher = Fetcher(TP, other := TopicPartition("metrics", 4))
    buffer = fetcher.begin(12)
    assert (len(buffer[TP].getall()), len(buffer[other].getall())) == (6, 6)


def test_while_two_partitions_wait_no_more_is_asked_for() -> None:
    other = TopicPartition("metrics", 4)
    buffer = Fetcher(TP, other).begin(6)
    waiting = buffer[TP]
    assert waiting.calculate_backoff() > 0
    del buffer[other]
    assert waiting.calculate_backoff() == 0


def test_a_fetch_is_dropped_whole_after_a_seek() -> None:
    fetcher = Fetcher()
    one = fetcher.begin(3)[TP]
    one._assignment.state.position = 1
    assert one.getall() == []
    assert not one.has_more()


@pytest.mark.parametrize("sought", [False, True], ids=["drained", "dropped after a seek"])
def test_the_bytes_of_a_fetch_go_with_it_and_not_when_python_looks_for_cycles(sought: bool) -> None:
    gc.disable()
    try:
        fetcher = Fetcher()
        buffer = fetcher.begin(3)
        fetch = ref(buffer[TP]._partition_records)
        assert buffer[TP].getall()
        assert fetch() is not None
        buffer[TP]._assignment.state.position += sought
        fetcher.begin(3)[TP].getall()
        assert not buffer[TP].has_more()
        del buffer[TP]
        assert fetch() is None
    finally:
        gc.enable()


async def test_an_error_in_the_buffer_stays_one() -> None:
    buffer = Fetcher().begin(3)
    buffer[TP] = FetchError(error=KafkaError("not allowed"), backoff=0)
    with pytest.raises(KafkaError, match="not allowed"):
        buffer[TP].check_raise()


async def test_a_worker_that_is_behind_with_many_partitions_has_few_fetches_in_memory(
    real_broker: Broker, topic_prefix: str
) -> None:
    topic = f"{topic_prefix}metrics"
    await create_topics(real_broker.bootstrap_servers, [WantedTopic(topic, 8)])
    async with AIOKafkaProducer(bootstrap_servers=real_broker.bootstrap_servers) as producer:
        for partition in range(8):
            await producer.send_and_wait(topic, bytes(10_000), partition=partition)
    async with AIOKafkaConsumer(
        bootstrap_servers=real_broker.bootstrap_servers,
        auto_offset_reset="earliest",
        fetch_max_bytes=1_000,  # a broker gives one partition's first batch, however large
    ) as consumer:
        drain_parsed(consumer, 1)
        consumer.assign([TopicPartition(topic, partition) for partition in range(8)])
        await asyncio.sleep(2)  # in which aiokafka alone gets all eight
        assert len(consumer._fetcher._records) == MOST_WAITING
        read = 0
        async with asyncio.timeout(30):
            while read < 8:
                drain_parsed(consumer, 1)
                read += len(await consumer.getmany(timeout_ms=100))
