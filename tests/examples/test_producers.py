"""The fleets in `examples/producers` against a real broker: the worker takes each record, where it was sent."""

from __future__ import annotations

import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from streams.brokers.broker import Broker
from streams.brokers.java import cache_folder, fetch_jars
from tests.loop.driving import PARTITIONS, Cluster, wait_until
from tests.loop.traffic import START, event

FOLDER = Path(__file__).parents[2] / "examples" / "producers"
FLEET = FOLDER / "java" / "src" / "main" / "java" / "example" / "Fleet.java"

COUNT = 20
SENT = 4 * COUNT + 1

#: Models that librdkafka's default partitioner would place in another partition of four than Java's.
PYTHON, JAVA = "fraud-python", 'fraud "java"'


@pytest.fixture(scope="module")
def cluster(real_broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One worker for all of them."""
    cluster = Cluster(real_broker, f"test-{uuid.uuid4().hex[:12]}.", tmp_path_factory.mktemp("producers"))
    cluster.worker()
    yield cluster
    cluster.stop()
    admin = AdminClient({"bootstrap.servers": real_broker.bootstrap_servers})
    topics = [name for name in admin.list_topics(timeout=60).topics if name.startswith(cluster.prefix)]
    for deleted in admin.delete_topics(topics).values():
        deleted.result()


def sent_by_python(cluster: Cluster) -> str:
    options = ["--bootstrap", cluster.broker.bootstrap_servers, "--topic", f"{cluster.prefix}metrics"]
    command: list[str | Path] = [
        sys.executable,
        FOLDER / "producer.py",
        *options,
        "--model",
        PYTHON,
        "--count",
        str(COUNT),
    ]
    return run(command)


def sent_by_java(cluster: Cluster) -> str:
    if shutil.which("javac") is None:
        pytest.skip("needs a JDK: there is no `javac`")
    if shutil.which("mvn") is None:
        pytest.skip("needs Maven, which fetches Kafka's client: there is no `mvn`")
    jars = fetch_jars(cache_folder())
    topic = f"{cluster.prefix}metrics"
    # Java compiles a program that is one file by itself.
    return run(
        ["java", "-cp", f"{jars}/*", FLEET, cluster.broker.bootstrap_servers, topic, JAVA, str(COUNT)],
    )


def run(command: list[str | Path]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def committed(cluster: Cluster) -> int:
    """How many records of `metrics` the worker has taken: there are no others than records at its offsets."""
    group = {"bootstrap.servers": cluster.broker.bootstrap_servers, "group.id": f"{cluster.prefix}monitor"}
    consumer = Consumer(group)
    try:
        places = [TopicPartition(f"{cluster.prefix}metrics", number) for number in range(PARTITIONS)]
        return sum(max(each.offset, 0) for each in consumer.committed(places, timeout=60))
    finally:
        consumer.close()


@pytest.mark.parametrize(("model", "send"), [(PYTHON, sent_by_python), (JAVA, sent_by_java)], ids=["python", "java"])
def test_every_record_of_a_fleet_is_taken_where_it_was_sent(
    cluster: Cluster, model: str, send: Callable[[Cluster], str]
) -> None:
    assert f"sent {SENT} records of {model}" in send(cluster)
    sent = len(cluster.records("metrics"))
    wait_until(lambda: committed(cluster) == sent, "the worker to commit what was sent")
    assert cluster.messages("dead-letter") == []
    assert cluster.about(model, "status")[-1]["state"] == "warming"
    forwarded = [key for key, _ in cluster.records("monitor-internal") if key is not None]
    assert forwarded == [], "the producer's partitioner places a model elsewhere than its state"


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_a_fleet_may_compress_as_it_likes(cluster: Cluster, codec: str) -> None:
    before = len(cluster.records("metrics"))
    producer = Producer({"bootstrap.servers": cluster.broker.bootstrap_servers, "compression.type": codec})
    for number in range(20):  # a batch that compression makes smaller, or it is sent as it is
        model, value = event("metrics", "packed", START + number, accuracy=0.9)
        producer.produce(f"{cluster.prefix}metrics", key=model, value=value)
    assert producer.flush(30) == 0
    wait_until(lambda: committed(cluster) == before + 20, f"the worker to read {codec}")
    assert cluster.messages("dead-letter") == []
