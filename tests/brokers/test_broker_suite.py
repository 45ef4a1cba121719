"""What every broker must do; where the embedded one cannot, it must fail."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Literal

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, ProducerFenced

from streams.brokers.broker import Broker

Isolation = Literal["read_committed", "read_uncommitted"]

#: Longer than any broker here needs to hand over what it has.
PATIENCE_MS = 1_500


@contextlib.asynccontextmanager
async def producing(broker: Broker, transactional_id: str | None = None) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(
        bootstrap_servers=broker.bootstrap_servers, transactional_id=transactional_id, transaction_timeout_ms=10_000
    )
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def values_in(broker: Broker, topic: str, isolation: Isolation = "read_committed") -> list[bytes]:
    """What partition 0 holds. Checksums are not checked: the embedded broker's commit markers have wrong ones."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=broker.bootstrap_servers, isolation_level=isolation, group_id=None, check_crcs=False
    )
    await consumer.start()
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        found: list[bytes] = []
        while batch := await consumer.getmany(timeout_ms=PATIENCE_MS):
            found += [record.value for record in batch[partition]]
        return found
    finally:
        await consumer.stop()


def member(broker: Broker, topic: str, group: str) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        topic,
        bootstrap_servers=broker.bootstrap_servers,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=6_000,
        heartbeat_interval_ms=500,
    )


async def test_what_is_produced_is_consumed_in_order(broker: Broker, topic_prefix: str) -> None:
    topic, sent = f"{topic_prefix}order", [b"%d" % number for number in range(1_000)]
    async with producing(broker) as producer:
        for value in sent:
            await producer.send(topic, value, partition=0)
    assert await values_in(broker, topic) == sent


async def test_a_topic_that_appears_on_use_has_four_partitions(broker: Broker, topic_prefix: str) -> None:
    async with producing(broker) as producer:
        await producer.send_and_wait(f"{topic_prefix}new", b"value")
        assert len(await producer.partitions_for(f"{topic_prefix}new")) == 4


async def test_a_group_continues_after_the_offset_it_committed(broker: Broker, topic_prefix: str) -> None:
    topic, group = f"{topic_prefix}input", f"{topic_prefix}group"
    async with producing(broker) as producer:
        for number in range(10):
            await producer.send_and_wait(topic, b"%d" % number, partition=0)
    for expected in (b"0", b"1"):
        consumer = member(broker, topic, group)
        await consumer.start()
        try:
            record = await asyncio.wait_for(consumer.getone(), 30)
            assert record.value == expected
            await consumer.commit({TopicPartition(topic, 0): record.offset + 1})
        finally:
            await consumer.stop()


@pytest.mark.embedded_gap("the second member of a group is refused (SyncGroup: invalid request)")
async def test_two_members_of_a_group_share_the_partitions(broker: Broker, topic_prefix: str) -> None:
    topic = f"{topic_prefix}shared"
    async with producing(broker) as producer:
        await producer.send_and_wait(topic, b"value")
    first, second = member(broker, topic, f"{topic_prefix}group"), member(broker, topic, f"{topic_prefix}group")
    await first.start()
    try:
        await asyncio.wait_for(second.start(), 20)
        assert len(second.assignment()) == 2
    finally:
        await first.stop()
        await second.stop()


async def test_a_committed_transaction_is_read_committed(broker: Broker, topic_prefix: str) -> None:
    topic = f"{topic_prefix}committed"
    async with producing(broker, f"{topic_prefix}id") as producer:
        for number in range(3):
            async with producer.transaction():
                await producer.send(topic, b"%d" % number, partition=0)
    assert await values_in(broker, topic) == [b"0", b"1", b"2"]


@pytest.mark.embedded_gap("read-committed consumers get aborted records")
async def test_an_aborted_transaction_is_not_read_committed(broker: Broker, topic_prefix: str) -> None:
    topic = f"{topic_prefix}aborted"
    async with producing(broker, f"{topic_prefix}id") as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"aborted", partition=0)
        await producer.abort_transaction()
        async with producer.transaction():
            await producer.send(topic, b"committed", partition=0)
    assert await values_in(broker, topic, "read_uncommitted") == [b"aborted", b"committed"]
    assert await values_in(broker, topic) == [b"committed"]


@pytest.mark.embedded_gap("read-committed consumers get records of open transactions")
async def test_an_open_transaction_is_not_read_committed(broker: Broker, topic_prefix: str) -> None:
    topic = f"{topic_prefix}open"
    async with producing(broker, f"{topic_prefix}id") as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"open", partition=0)
        during = await values_in(broker, topic)
        await producer.commit_transaction()
    assert during == []
    assert await values_in(broker, topic) == [b"open"]


@pytest.mark.embedded_gap("offsets sent to a transaction are forgotten")
async def test_offsets_in_a_committed_transaction_count(broker: Broker, topic_prefix: str) -> None:
    topic, group = f"{topic_prefix}input", f"{topic_prefix}group"
    async with producing(broker, f"{topic_prefix}id") as producer:
        async with producer.transaction():
            await producer.send_and_wait(topic, b"value", partition=0)
            await producer.send_offsets_to_transaction({TopicPartition(topic, 0): 1}, group)
        consumer = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap_servers, group_id=group)
        await consumer.start()
        try:
            consumer.assign([TopicPartition(topic, 0)])
            assert await consumer.committed(TopicPartition(topic, 0)) == 1
        finally:
            await consumer.stop()


@pytest.mark.embedded_gap("a producer is not fenced by a newer one of its id")
async def test_a_second_producer_of_an_id_fences_the_first(broker: Broker, topic_prefix: str) -> None:
    topic, transactional_id = f"{topic_prefix}fenced", f"{topic_prefix}id"
    first = AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers, transactional_id=transactional_id)
    await first.start()
    try:
        async with producing(broker, transactional_id):
            with pytest.raises(ProducerFenced):
                async with first.transaction():
                    await first.send_and_wait(topic, b"zombie", partition=0)
    finally:
        with contextlib.suppress(KafkaError):
            await first.stop()


@pytest.mark.embedded_gap("beyond some 5 MB a partition drops its oldest records")
async def test_a_partition_keeps_six_megabytes(broker: Broker, topic_prefix: str) -> None:
    topic, value, count = f"{topic_prefix}large", b"x" * 2_000, 3_000
    async with producing(broker) as producer:
        for _ in range(count):
            await producer.send(topic, value, partition=0)
    assert len(await values_in(broker, topic)) == count
