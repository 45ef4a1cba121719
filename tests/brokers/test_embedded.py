from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from streams.brokers.broker import BrokerError
from streams.brokers.embedded import MAX_PARTITION_BYTES, EmbeddedBroker


async def test_a_topic_can_be_given_its_number_of_partitions() -> None:
    with EmbeddedBroker() as broker:
        broker.create_topic("seven", 7)
        broker.create_topic("seven", 7)
        producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers)
        await producer.start()
        try:
            assert len(await producer.partitions_for("seven")) == 7
        finally:
            await producer.stop()


async def test_a_partition_keeps_what_the_broker_says_it_keeps() -> None:
    size = 1_000
    with EmbeddedBroker() as broker:
        producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers)
        await producer.start()
        try:
            for _ in range(MAX_PARTITION_BYTES // size):
                await producer.send("full", b"x" * size, partition=0)
            await producer.flush()
        finally:
            await producer.stop()
        assert await _first_offset(broker, "full") == 0


async def _first_offset(broker: EmbeddedBroker, topic: str) -> int:
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap_servers, group_id=None)
    await consumer.start()
    try:
        offsets: dict[TopicPartition, int] = await consumer.beginning_offsets([TopicPartition(topic, 0)])
        return offsets[TopicPartition(topic, 0)]
    finally:
        await consumer.stop()


def test_two_embedded_brokers_do_not_meet() -> None:
    with EmbeddedBroker() as one, EmbeddedBroker() as other:
        assert one.bootstrap_servers != other.bootstrap_servers


def test_a_broker_can_be_started_and_stopped_twice() -> None:
    broker = EmbeddedBroker()
    broker.start()
    address = broker.bootstrap_servers
    broker.start()
    assert broker.bootstrap_servers == address
    broker.stop()
    broker.stop()
    with pytest.raises(BrokerError, match="has not been started"):
        broker.create_topic("any", 1)


def test_without_its_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "files", missing)
    with pytest.raises(BrokerError, match=r"pip install 'visutility-streams\[demo\]'"):
        EmbeddedBroker().start()


def test_nothing_of_the_extra_is_imported_before_the_broker_starts() -> None:
    script = "import sys, streams.brokers.choose; sys.exit('confluent_kafka' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=60).returncode == 0
