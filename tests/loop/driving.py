"""Drives a worker from outside, as an operator and a fleet would: a process, a producer, read-committed consumers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from agents.backtest import backtest, read_lines
from agents.settings import load_settings
from streams.brokers.broker import Broker
from streams.cuts import CUT_HEADER

PARTITIONS = 4

#: Seconds to wait for what is to happen: long, for tests run side by side on machines that have other work too.
PATIENCE = 150.0

ROOT = Path(__file__).parents[2]
JAVA, LIBRDKAFKA = "murmur2_random", "consistent_random"

Json = dict[str, Any]


@dataclass
class Cluster:
    """One broker, one topic prefix, one settings file."""

    broker: Broker
    prefix: str
    folder: Path
    settings: str = 'agents = ["monitor", "retrain"]'
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def config(self) -> Path:
        """The settings file: the test's own rules under what every test needs."""
        path = self.folder / "visutility.toml"
        delivery = "exactly_once" if self.broker.transactions else "at_least_once"
        common = f"""
bootstrap_servers = "{self.broker.bootstrap_servers}"
topic_prefix = "{self.prefix}"
partitions = {PARTITIONS}
session_timeout = "6s"
delivery = "{delivery}"
"""
        path.write_text(common + self.settings)
        return path

    def worker(self, module: str = "agents.cli.main", data: str = "data", **environment: str) -> Worker:
        """Start `visutility worker` on a data folder and wait until it says that it is ready."""
        log = self.folder / f"worker-{len(self.processes)}.log"
        command = [sys.executable, "-m", module, "worker", "--config", str(self.config)]
        env = self._environment(data) | environment
        with log.open("wb") as stderr:
            process = subprocess.Popen(command, env=env, cwd=ROOT, stderr=stderr, stdout=subprocess.DEVNULL)
        self.processes.append(process)
        worker = Worker(process, log)
        worker.wait_ready()
        return worker

    def visutility(self, *arguments: str, data: str = "data", **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command of `visutility` to its end, as an operator's shell would."""
        command = [sys.executable, "-m", "agents.cli.main", *arguments, "--config", str(self.config)]
        env = self._environment(data) | environment
        return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)

    def _environment(self, data: str) -> dict[str, str]:
        """The environment of a process. The tests' own settings are left out: they would win over the file."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("VISUTILITY_")}
        own = {
            "PYTHONPATH": str(ROOT),
            "VISUTILITY_LOG_FORMAT": "json",
            "VISUTILITY_DATA_DIR": str(self.folder / data),
        }
        return kept | own

    def backtested(self, records: Iterable[tuple[str, bytes]]) -> Json:
        """What the backtest gives for the same records and settings, in the order they were sent."""
        file = self.folder / "recorded.jsonl"
        file.write_bytes(b"\n".join(value for _, value in records) + b"\n")
        return backtest(read_lines(file), load_settings(self.config)).as_dict()

    def delete(self, topic: str) -> None:
        """Delete a topic, as a careless operator would."""
        name, admin = f"{self.prefix}{topic}", AdminClient({"bootstrap.servers": self.broker.bootstrap_servers})
        admin.delete_topics([name])[name].result()
        wait_until(lambda: name not in admin.list_topics(timeout=60).topics, f"{name} to go")

    def stop(self) -> None:
        """End whatever a test left running."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()

    def produce(self, records: Iterable[tuple[str | None, bytes | None]], partitioner: str = JAVA) -> None:
        """Keys and values into the metrics topic, by librdkafka with either default partitioner."""
        producer = Producer({"bootstrap.servers": self.broker.bootstrap_servers, "partitioner": partitioner})
        for key, value in records:
            producer.produce(f"{self.prefix}metrics", key=key, value=value)
            producer.poll(0)
        assert producer.flush(30) == 0

    def messages(self, topic: str) -> list[Json]:
        """All committed messages of a topic, a partition after the other."""
        return [json.loads(value) for _, value in self.records(topic) if value is not None]

    def about(self, model: str, topic: str) -> list[Json]:
        """All committed messages of a topic about one model, in their order."""
        return [message for message in self.messages(topic) if message["model_name"] == model]

    def records(self, topic: str) -> list[tuple[bytes | None, bytes | None]]:
        with self._consumer("reader") as consumer:
            name = f"{self.prefix}{topic}"
            partitions = sorted(consumer.list_topics(name, timeout=60).topics[name].partitions)
            return [record for number in partitions for record in _drain(consumer, name, number)]

    def lag(self, stage: str, *topics: str) -> int:
        """How many offsets of its inputs a stage has not committed yet; of its internal topic how many records.

        The last checkpoint's own cut and commit marker lie behind what it committed, and start no other checkpoint.
        """
        with self._consumer(f"{self.prefix}{stage}") as consumer:
            wanted = [TopicPartition(f"{self.prefix}{topic}", p) for topic in topics for p in range(PARTITIONS)]
            committed = consumer.committed(wanted, timeout=60)
            ends = (consumer.get_watermark_offsets(TopicPartition(tp.topic, tp.partition))[1] for tp in committed)
            behind = sum(end - max(tp.offset, 0) for end, tp in zip(ends, committed, strict=True))
            internal = [TopicPartition(f"{self.prefix}{stage}-internal", p) for p in range(PARTITIONS)]
            return behind + sum(_unread(consumer, tp) for tp in consumer.committed(internal, timeout=60))

    def wait_idle(self, seconds: float = PATIENCE) -> None:
        """Wait until monitor and retrain have committed everything they were given."""
        end = time.monotonic() + seconds
        while self.lag("monitor", "metrics") or self.lag("retrain", "drift"):
            assert time.monotonic() < end, "the worker did not catch up"
            time.sleep(0.2)

    def wait_for(self, topic: str, count: int, model: str | None = None, seconds: float = PATIENCE) -> list[Json]:
        """Wait until a topic has at least so many messages (about a model); returns all of them."""
        end = time.monotonic() + seconds
        while len(found := self.messages(topic) if model is None else self.about(model, topic)) < count:
            assert time.monotonic() < end, f"{topic} has {len(found)} of {count} messages"
            time.sleep(0.2)
        return found

    @contextmanager
    def _consumer(self, group: str) -> Iterator[Consumer]:
        consumer = Consumer(
            {
                "bootstrap.servers": self.broker.bootstrap_servers,
                "group.id": group,
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 20,  # the end of a partition is told by a fetch that found nothing
            }
        )
        try:
            yield consumer
        finally:
            consumer.close()


@dataclass
class Worker:
    """A worker process and its log."""

    process: subprocess.Popen[bytes]
    log: Path

    def wait_ready(self, seconds: float = PATIENCE) -> None:
        end = time.monotonic() + seconds
        while b'"ready"' not in self.log.read_bytes():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.05)

    def lines(self) -> list[Json]:
        """What it has logged. Each line must be a JSON document."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def children(self) -> set[int]:
        """The ids of the processes below it."""
        return _below(self.process.pid)

    def kill(self) -> None:
        """As an out-of-memory killer would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def terminate(self, seconds: float = 15.0) -> int:
        """As an orchestrator would; returns the exit code. Raises TimeoutExpired."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


def _below(pid: int) -> set[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    children = {int(child) for task in tasks for child in task.read_text().split()}
    return children.union(*map(_below, children))


def is_running(pid: int) -> bool:
    """Whether a process is there and not merely a zombie that nobody has waited for."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in ("Z", "X")


def wait_until(true: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Wait until something outside of Kafka has happened."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.05)


def _unread(consumer: Consumer, committed: TopicPartition) -> int:
    """Records of an internal topic beyond a committed offset, those that are cuts left out."""
    place = TopicPartition(committed.topic, committed.partition)
    low, high = consumer.get_watermark_offsets(place, timeout=60)
    if max(committed.offset, low) >= high:
        return 0
    consumer.assign([TopicPartition(committed.topic, committed.partition, max(committed.offset, low))])
    found = 0
    while (message := consumer.poll(10)) is not None and message.error() is None and (message.offset() or 0) < high:
        found += not (message.key() is None and CUT_HEADER in (message.headers() or ()))
    return found


def _drain(consumer: Consumer, topic: str, partition: int) -> Iterator[tuple[bytes | None, bytes | None]]:
    low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=60)
    if low == high:
        return
    consumer.assign([TopicPartition(topic, partition, low)])
    while (message := consumer.poll(10)) is not None:
        if message.error() is not None:  # the partition's end
            return
        yield message.key(), message.value()


def without_place(message: Json) -> Json:
    """A message without where its cause was written: the one thing a live run and a backtest do not share."""
    cause = message.get("cause")
    if cause is None:
        return message
    return message | {"cause": {name: cause[name] for name in cause if name not in ("topic", "partition", "offset")}}


def in_order(messages: Iterable[Json]) -> list[Json]:
    """Messages by model and id, for comparing what different partitions and files hold."""
    return sorted((without_place(m) for m in messages), key=lambda m: (m["model_name"], m["timestamp"], m["event_id"]))
