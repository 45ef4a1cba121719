"""Time goes by for models that send heartbeats: silence is told once, and so is its end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import count
from pathlib import Path

import pytest

from streams.brokers.broker import Broker
from streams.partitioner import partition_of
from tests.loop.driving import PARTITIONS, Cluster, Json
from tests.loop.traffic import START, event

SETTINGS = """
agents = ["monitor"]
heartbeat_timeout = "2s"
"""


def neighbours(number: int) -> list[str]:
    """Models of one partition, and so of one clock: when one is silent, two seconds have passed for the others too."""
    names = (f"model-{i}" for i in count())
    together = (name for name in names if partition_of(name, PARTITIONS) == 0)
    return [next(together) for _ in range(number)]


@pytest.fixture
def cluster(broker: Broker, topic_prefix: str, tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(broker, topic_prefix, tmp_path, SETTINGS)
    yield cluster
    cluster.stop()


@pytest.fixture
def real_cluster(real_broker: Broker, topic_prefix: str, tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(real_broker, topic_prefix, tmp_path, SETTINGS)
    yield cluster
    cluster.stop()


def silences(cluster: Cluster, model: str) -> list[str]:
    """The states of the silence alerts about a model, which has no others."""
    alerts = cluster.about(model, "alerts")
    assert {alert["kind"] for alert in alerts} <= {"silence"}
    return [alert["state"] for alert in alerts]


def silent_statuses(cluster: Cluster, model: str) -> list[Json]:
    return [status for status in cluster.about(model, "status") if status["state"] == "silent"]


def seconds_after_start(message: Json) -> float:
    return datetime.fromisoformat(message["timestamp"]).timestamp() - START


def test_a_silence_and_its_end_are_told_once(cluster: Cluster) -> None:
    silent, clock, quiet = neighbours(3)
    worker = cluster.worker()
    cluster.produce([event("heartbeat", silent, START), event("metrics", quiet, START, accuracy=0.9)])
    (alert,) = cluster.wait_for("alerts", 1)
    assert (alert["model_name"], alert["kind"], alert["state"], alert["severity"]) == (
        silent, "silence", "firing", "error",
    )  # fmt: skip
    assert seconds_after_start(alert) >= 2

    # It stays silent for as long again, and nothing is repeated.
    cluster.produce([event("heartbeat", clock, START)])
    cluster.wait_for("alerts", 1, clock)
    assert silences(cluster, silent) == ["firing"]
    (status,) = silent_statuses(cluster, silent)
    assert status["counts"] == {"heartbeat": 1}

    # Any record ends it. From then on silence may come again.
    cluster.produce([event("metrics", silent, START + 60, accuracy=0.9)])
    assert cluster.wait_for("alerts", 2, silent)[1]["state"] == "resolved"
    assert worker.terminate() == 0
    states = silences(cluster, silent)
    assert states == ["firing", "resolved", "firing", "resolved"][: len(states)]
    assert silences(cluster, quiet) == []
    assert len(silent_statuses(cluster, silent)) == states.count("firing")


def test_a_worker_killed_while_a_model_is_falling_silent_tells_it_once(real_cluster: Cluster) -> None:
    silent, clock = neighbours(2)
    worker = real_cluster.worker()
    real_cluster.produce([event("heartbeat", silent, START)])
    while real_cluster.lag("monitor", "metrics"):
        pass
    worker.kill()

    worker = real_cluster.worker()
    real_cluster.wait_for("alerts", 1, silent)
    real_cluster.produce([event("heartbeat", clock, START)])
    real_cluster.wait_for("alerts", 1, clock)
    assert worker.terminate() == 0
    assert silences(real_cluster, silent) == ["firing"]
    assert len(silent_statuses(real_cluster, silent)) == 1
