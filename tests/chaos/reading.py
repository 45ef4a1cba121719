"""Reads what a run left on Kafka, as the verifier wants it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

from confluent_kafka import Consumer, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from agents.monitor.stage import MonitorStage
from agents.monitor.state import Model
from agents.settings import Settings
from streams.parts import MemoryTable
from streams.processor import Processor
from streams.records import StoredRecord
from tests.chaos.verifier import ORDERED, UNORDERED, Seen
from tests.loop.driving import PARTITIONS, Cluster

#: What workers write to, in transactions.
WRITTEN = ("drift", "retrain", "alerts", "status", "dead-letter", "monitor-internal", "retrain-internal")
CHANGELOGS = ("monitor-changelog", "retrain-changelog")

#: Seconds within which a broker that was restarted must answer.
ANSWER_TIMEOUT = 60.0


def read_everything(cluster: Cluster) -> Seen:
    """All that the verifier compares, read committed."""
    outputs = {
        topic: [json.loads(record.value) for record in read(cluster, topic) if record.value is not None]
        for topic in (*ORDERED, *UNORDERED, "dead-letter")
    }
    lag = {"monitor": cluster.lag("monitor", "metrics"), "retrain": cluster.lag("retrain", "drift")}
    return Seen(list(read(cluster, "metrics")), outputs, _states(cluster), lag, open_transactions(cluster))


def read(cluster: Cluster, topic: str) -> Iterator[StoredRecord]:
    """The committed records of a topic, a partition after the other."""
    options = {
        "bootstrap.servers": cluster.broker.bootstrap_servers,
        "group.id": f"{cluster.prefix}verifier",
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
    }
    consumer = Consumer(options)
    try:
        for partition in range(PARTITIONS):
            consumer.assign([TopicPartition(f"{cluster.prefix}{topic}", partition, 0)])
            yield from _to_the_end(consumer)
    finally:
        consumer.close()


def _to_the_end(consumer: Consumer) -> Iterator[StoredRecord]:
    while True:
        message = consumer.poll(30)
        if message is None:
            raise TimeoutError("the broker sent nothing for 30 s, not even the end of the partition")
        if message.error() is not None:  # the partition's end
            return
        _, timestamp = message.timestamp()
        place = (message.topic() or "", message.partition() or 0, message.offset() or 0)
        headers = [(name, value) for name, value in dict(message.headers() or ()).items() if isinstance(value, bytes)]
        yield StoredRecord(*place, timestamp, message.key(), message.value(), headers)


def _states(cluster: Cluster) -> dict[str, Model]:
    """The last state of each model, from the changelogs of all partitions: a model is in one of them."""
    last = {record.key: record.value for record in read(cluster, "monitor-changelog") if record.key}
    table = MemoryTable({key: value for key, value in last.items() if value is not None})
    return dict(Processor(MonitorStage(Settings()), 0, 1, table).states())


def open_transactions(cluster: Cluster) -> dict[str, int]:
    """Per partition, how far the last stable offset is behind the end."""
    admin = AdminClient({"bootstrap.servers": cluster.broker.bootstrap_servers, "log_level": 0})
    names = [f"{cluster.prefix}{topic}" for topic in (*WRITTEN, *CHANGELOGS)]
    stable, ends = (
        _ends(admin, names, level) for level in (IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED)
    )
    return {f"{tp.topic} [{tp.partition}]": end - stable[tp] for tp, end in ends.items()}


def _ends(admin: AdminClient, topics: list[str], level: IsolationLevel) -> dict[TopicPartition, int]:
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    asked = {TopicPartition(topic, p): latest for topic in topics for p in range(PARTITIONS)}
    limit = time.monotonic() + ANSWER_TIMEOUT
    while True:
        try:
            answers = admin.list_offsets(asked, isolation_level=level, request_timeout=10)
            return {tp: future.result().offset for tp, future in answers.items()}
        except KafkaException:  # a broker that has just come back elects its leaders
            if time.monotonic() > limit:
                raise
            time.sleep(0.5)


def input_ends(cluster: Cluster) -> dict[tuple[str, str, int], int]:
    """How far each stage could read each of its inputs now, by (stage, topic, partition)."""
    admin = AdminClient({"bootstrap.servers": cluster.broker.bootstrap_servers, "log_level": 0})
    inputs = {"monitor": ("metrics", "monitor-internal"), "retrain": ("drift", "retrain-internal")}
    found = {}
    for stage, topics in inputs.items():
        names = [f"{cluster.prefix}{topic}" for topic in topics]
        for tp, end in _ends(admin, names, IsolationLevel.READ_COMMITTED).items():
            found[stage, tp.topic, tp.partition] = end
    return found


def behind(cluster: Cluster, ends: dict[tuple[str, str, int], int]) -> dict[str, str]:
    """Which of these ends a stage has not committed yet; a text for each. Raises KafkaException."""
    late = {}
    for stage in ("monitor", "retrain"):
        wanted = [TopicPartition(topic, partition) for name, topic, partition in ends if name == stage]
        options = {"bootstrap.servers": cluster.broker.bootstrap_servers, "group.id": f"{cluster.prefix}{stage}"}
        consumer = Consumer(options)
        try:
            committed = consumer.committed(wanted, timeout=10)
        finally:
            consumer.close()
        for tp in committed:
            if max(tp.offset, 0) < (end := ends[stage, tp.topic, tp.partition]):
                late[f"{tp.topic} [{tp.partition}]"] = f"{tp.offset} of {end}"
    return late
