"""The one real broker of a run, with topics of the run's own that are deleted in the end."""

from __future__ import annotations

import itertools
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.brokers.broker import Broker
from streams.brokers.external import ExternalBroker
from streams.brokers.jars import JarsBroker
from streams.partitioner import partition_of
from streams.processor import FORMAT, FORMAT_KEY

PARTITIONS = 2

#: Java's partitioner, which is also the one that records of the monitor are placed by.
_PRODUCER = {"partitioner": "murmur2_random", "linger.ms": 20, "queue.buffering.max.messages": 500_000}

_TIMEOUT = 60.0

#: The clients live until they are collected, and would complain of a broker that has been stopped by then.
QUIET: dict[str, str | int | float | bool] = {"log_level": 0}


@dataclass
class Kafka:
    """A broker's address and this run's names on it: everything that holds `mark` is deleted in the end."""

    bootstrap_servers: str
    mark: str = field(default_factory=lambda: f"bench-{secrets.token_hex(4)}")
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def name(self, what: str) -> str:
        """A name that nothing else of this run has."""
        return f"{self.mark}-{next(self._numbers)}-{what}"

    def create(self, *topics: str, **config: str) -> None:
        """Create topics with PARTITIONS partitions each."""
        new = [NewTopic(topic, PARTITIONS, 1, config=config) for topic in topics]
        admin = self._admin()  # kept while its answers are awaited
        for done in admin.create_topics(new).values():
            done.result(_TIMEOUT)

    def fill_changelog(self, topic: str, records: Iterable[tuple[bytes, bytes]]) -> None:
        """Produce states and their parts, each where the model's other records are."""
        for number in range(PARTITIONS):
            self.fill(topic, [(FORMAT_KEY, FORMAT)], lambda _, number=number: number)  # type: ignore[misc] # bound now
        self.fill(topic, records, lambda key: partition_of(key.partition(b"\0")[0].decode(), PARTITIONS))

    def fill(
        self, topic: str, records: Iterable[tuple[bytes, bytes]], place: Callable[[bytes], int] | None = None
    ) -> None:
        """Produce keys and values, placed by the producer if not by `place`. Raises RuntimeError if some get lost."""
        producer = Producer(QUIET | {"bootstrap.servers": self.bootstrap_servers} | _PRODUCER)
        for number, (key, value) in enumerate(records):
            while True:
                try:
                    producer.produce(topic, key=key, value=value, partition=-1 if place is None else place(key))
                    break
                except BufferError:
                    producer.poll(0.1)
            if number % 10_000 == 0:
                producer.poll(0)
        if left := producer.flush(_TIMEOUT):
            raise RuntimeError(f"{left} records did not reach {topic} within {_TIMEOUT:g} s")

    def delete(self, *topics: str) -> None:
        """Delete topics; what is gone already is left."""
        admin = self._admin()
        for done in admin.delete_topics(list(topics)).values():
            _forgive(done)

    def bytes_in(self, topic: str) -> int:
        """Bytes of the keys and values in a topic."""
        consumer = Consumer(
            QUIET
            | {
                "bootstrap.servers": self.bootstrap_servers,
                "group.id": self.mark,
                "enable.auto.commit": False,
                "enable.partition.eof": True,
            }
        )
        try:
            return sum(_bytes_of(consumer, TopicPartition(topic, number)) for number in range(PARTITIONS))
        finally:
            consumer.close()

    def committed(self, group: str, topic: str, partitions: int = PARTITIONS) -> int:
        """The sum of a group's committed offsets of a topic."""
        return sum(max(place.offset, 0) for place in self._committed(group, topic, partitions))

    def forget(self, group: str, topic: str) -> None:
        """Delete the records of a topic that a group has committed: whole files of them go from the broker's disk."""
        ends = [place for place in self._committed(group, topic, PARTITIONS) if place.offset > 0]
        admin = self._admin()  # kept while its answers are awaited
        for done in admin.delete_records(ends).values() if ends else ():
            done.result(_TIMEOUT)

    def _committed(self, group: str, topic: str, partitions: int) -> list[TopicPartition]:
        wanted = [TopicPartition(topic, number) for number in range(partitions)]
        admin = self._admin()  # kept while its answer is awaited
        (answer,) = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group, wanted)]).values()
        places: list[TopicPartition] = answer.result(_TIMEOUT).topic_partitions
        return places

    def clean(self) -> None:
        """Delete this run's topics and groups. What is in use or gone already is left."""
        admin = self._admin()
        topics = [name for name in admin.list_topics(timeout=_TIMEOUT).topics if self.mark in name]
        groups = [group.group_id for group in admin.list_consumer_groups().result(_TIMEOUT).valid]
        if topics:
            self.delete(*topics)
        if groups := [group for group in groups if self.mark in group]:
            for done in admin.delete_consumer_groups(groups).values():
                _forgive(done)

    def _admin(self) -> AdminClient:
        return AdminClient(QUIET | {"bootstrap.servers": self.bootstrap_servers})


def _forgive(done: Future[None]) -> None:
    with suppress(KafkaException):
        done.result(_TIMEOUT)


def _bytes_of(consumer: Consumer, place: TopicPartition) -> int:
    place.offset = consumer.get_watermark_offsets(place, timeout=_TIMEOUT)[0]
    consumer.assign([place])
    total, deadline = 0, time.monotonic() + _TIMEOUT
    while time.monotonic() < deadline:
        for message in consumer.consume(1000, timeout=0.1):  # it waits that long for fewer
            if message.error() is not None:  # the partition's end
                return total
            total += len(message.key() or b"") + len(message.value() or b"")
    raise RuntimeError(f"{place.topic} [{place.partition}] could not be read to its end within {_TIMEOUT:g} s")


@contextmanager
def real_kafka() -> Iterator[Kafka]:
    """The cluster that VISUTILITY_BOOTSTRAP_SERVERS names, else one of our own from jars. Raises `BrokerError`."""
    servers = os.environ.get("VISUTILITY_BOOTSTRAP_SERVERS")
    broker: Broker = ExternalBroker(servers) if servers else JarsBroker(heap="1g")
    with broker:
        kafka = Kafka(broker.bootstrap_servers)
        try:
            yield kafka
        finally:
            kafka.clean()
