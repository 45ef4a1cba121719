"""Reads what a run left on Kafka, as the verifier wants it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from confluent_kafka import Consumer, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from agents.monitor.stage import MonitorStage
from agents.monitor.state import Model
from agents.retrain.stage import RetrainStage
from agents.settings import Settings, load_settings
from streams.cuts import is_cut
from streams.origin import INTERNAL
from streams.parts import MemoryTable
from streams.processor import Processor
from streams.records import StoredRecord
from streams.stage import Stage
from tests.chaos.verifier import ORDERED, UNORDERED, Seen, StageSeen
from tests.loop.driving import PARTITIONS, Cluster

#: What workers write to, in transactions.
WRITTEN = ("drift", "retrain", "alerts", "status", "dead-letter", "monitor-internal", "retrain-internal")
CHANGELOGS = ("monitor-changelog", "retrain-changelog")

#: What each stage reads beside its internal topic.
INPUTS = {"monitor": "metrics", "retrain": "drift"}

#: Seconds within which a broker that was restarted must answer.
ANSWER_TIMEOUT = 60.0


def read_everything(cluster: Cluster) -> Seen:
    """All that the verifier compares, read committed."""
    settings = load_settings(cluster.config)
    outputs = {
        topic: [json.loads(record.value) for record in read(cluster, topic) if record.value is not None]
        for topic in (*ORDERED, *UNORDERED, "dead-letter")
    }
    lag = {stage: cluster.lag(stage, topic) for stage, topic in INPUTS.items()}
    return Seen(
        list(read(cluster, "metrics")),
        outputs,
        _models(_state(cluster, "monitor"), settings),
        [_stage_seen(cluster, MonitorStage(settings)), _stage_seen(cluster, RetrainStage(settings))],
        lag,
        open_transactions(cluster),
    )


def _stage_seen(cluster: Cluster, stage: Stage[Any]) -> StageSeen:
    inputs = [record for topic in (INPUTS[stage.name], f"{stage.name}{INTERNAL}") for record in read(cluster, topic)]
    return StageSeen(stage, cluster.prefix, inputs, _state(cluster, stage.name))


def read(cluster: Cluster, topic: str, ends: Mapping[int, int] | None = None) -> Iterator[StoredRecord]:
    """The committed records of a topic, a partition after the other.

    Up to the end; where writing goes on, no reader may ever get there, and `ends` by partition say how far to read.
    """
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
            end = None if ends is None else ends[partition]
            if end != 0:
                yield from _to_the_end(consumer, end)
    finally:
        consumer.close()


def _to_the_end(consumer: Consumer, end: int | None) -> Iterator[StoredRecord]:
    while True:
        message = consumer.poll(30)
        if message is None:
            raise TimeoutError("the broker sent nothing for 30 s, not even the end of the partition")
        if message.error() is not None:  # the partition's end
            return
        _, timestamp = message.timestamp()
        place = (message.topic() or "", message.partition() or 0, message.offset() or 0)
        headers = [(name, value) for name, value in dict(message.headers() or ()).items() if isinstance(value, bytes)]
        if end is not None and place[2] >= end:
            return
        yield StoredRecord(*place, timestamp, message.key(), message.value(), headers)


def _state(cluster: Cluster, stage: str) -> dict[bytes, bytes]:
    """The last state of each key. Those that begin with NUL are the engine's own."""
    last = {record.key: record.value for record in read(cluster, f"{stage}-changelog") if record.key}
    return {key: value for key, value in last.items() if value and not key.startswith(b"\0")}


def _models(state: Mapping[bytes, bytes], settings: Settings) -> dict[str, Model]:
    """The models of all partitions: each is in one of them."""
    return dict(Processor(MonitorStage(settings), 0, 1, MemoryTable(state)).states())


def open_transactions(cluster: Cluster) -> dict[str, int]:
    """Per partition, how far the last stable offset is behind the end."""
    names = [f"{cluster.prefix}{topic}" for topic in (*WRITTEN, *CHANGELOGS)]
    stable, ends = (
        _ends(cluster, names, level) for level in (IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED)
    )
    return {f"{tp.topic} [{tp.partition}]": end - stable[tp] for tp, end in ends.items()}


def _ends(cluster: Cluster, topics: list[str], level: IsolationLevel) -> dict[TopicPartition, int]:
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    asked = {TopicPartition(topic, p): latest for topic in topics for p in range(PARTITIONS)}
    limit = time.monotonic() + ANSWER_TIMEOUT
    while True:
        # A new client each time: one that has asked before a broker came back goes on asking with the former epoch.
        admin = AdminClient({"bootstrap.servers": cluster.broker.bootstrap_servers, "log_level": 0})
        try:
            answers = admin.list_offsets(asked, isolation_level=level, request_timeout=60)
            return {tp: future.result().offset for tp, future in answers.items()}
        except KafkaException:  # a broker that has just come back elects its leaders
            if time.monotonic() > limit:
                raise
            time.sleep(0.5)


def input_ends(cluster: Cluster) -> dict[tuple[str, str, int], int]:
    """How far each stage could read each of its inputs now, by (stage, topic, partition)."""
    found = {}
    for stage, topic in INPUTS.items():
        for tp, end in _ends(cluster, [f"{cluster.prefix}{topic}"], IsolationLevel.READ_COMMITTED).items():
            found[stage, tp.topic, tp.partition] = end
        internal = _ends(cluster, [f"{cluster.prefix}{stage}{INTERNAL}"], IsolationLevel.READ_COMMITTED)
        for record in read(cluster, f"{stage}{INTERNAL}", {tp.partition: end for tp, end in internal.items()}):
            if not is_cut(record):  # a cut is committed with the next checkpoint, whenever that is
                found[stage, record.topic, record.partition] = record.offset + 1
    return found


def behind(cluster: Cluster, ends: dict[tuple[str, str, int], int]) -> dict[str, str]:
    """Which of these ends a stage has not committed yet; a text for each. Raises KafkaException."""
    late = {}
    for stage in INPUTS:
        wanted = [TopicPartition(topic, partition) for name, topic, partition in ends if name == stage]
        options = {"bootstrap.servers": cluster.broker.bootstrap_servers, "group.id": f"{cluster.prefix}{stage}"}
        consumer = Consumer(options)
        try:
            committed = consumer.committed(wanted, timeout=60)
        finally:
            consumer.close()
        for tp in committed:
            if max(tp.offset, 0) < (end := ends[stage, tp.topic, tp.partition]):
                late[f"{tp.topic} [{tp.partition}]"] = f"{tp.offset} of {end}"
    return late
