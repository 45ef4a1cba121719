"""`visutility rebuild` makes a stage's state anew from the records that are there, and not behind a worker's back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.brokers.broker import Broker
from tests.loop.changelog import models_in
from tests.loop.driving import JAVA, LIBRDKAFKA, Cluster, wait_until
from tests.loop.traffic import accuracies


@pytest.fixture
def cluster(real_broker: Broker, topic_prefix: str, tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(real_broker, topic_prefix, tmp_path, 'agents = ["monitor"]')
    assert cluster.visutility("topics", "create").returncode == 0
    yield cluster
    cluster.stop()


def counted(cluster: Cluster) -> dict[str, int]:
    """How many records each model's last state has counted."""
    return {name: model.state.counts["metrics"] for name, model in models_in(cluster).items()}


def work(cluster: Cluster, data: str = "data") -> None:
    """A worker that reads all there is, and ends."""
    worker = cluster.worker(data=data)
    wait_until(lambda: not cluster.lag("monitor", "metrics"), "the worker to catch up")
    assert worker.terminate() == 0


def test_the_state_is_made_again_from_what_is_there(cluster: Cluster) -> None:
    models = [f"m{number}" for number in range(6)]
    for model in models:
        cluster.produce(accuracies(model, 60, 5), LIBRDKAFKA)  # most of them are forwarded
        cluster.produce(accuracies(model, 60, 0), JAVA)
    work(cluster)
    assert counted(cluster) == dict.fromkeys(models, 125)
    told = {message["event_id"] for message in cluster.messages("drift")}

    ran = cluster.visutility("rebuild", "--yes", "--json")
    assert ran.returncode == 0, ran.stderr
    assert counted(cluster) == {}
    assert not (cluster.folder / "data" / "monitor").exists()
    work(cluster)
    assert counted(cluster) == dict.fromkeys(models, 125)
    again = cluster.messages("drift")
    assert {message["event_id"] for message in again} == told


def test_a_changelog_that_is_gone_is_refused_and_rebuild_is_the_remedy(cluster: Cluster) -> None:
    cluster.produce(accuracies("m", 60, 5))
    work(cluster)
    cluster.delete("monitor-changelog")
    shutil.rmtree(cluster.folder / "data")
    refused = cluster.visutility("worker")
    assert refused.returncode == 1
    assert "holds no state" in refused.stderr
    assert "visutility rebuild" in refused.stderr
    assert cluster.visutility("rebuild", "--yes").returncode == 0
    work(cluster)
    assert counted(cluster) == {"m": 65}


def test_nothing_is_deleted_while_a_worker_is_active_or_without_consent(cluster: Cluster) -> None:
    cluster.produce(accuracies("m", 10, 0))
    worker = cluster.worker()
    wait_until(lambda: not cluster.lag("monitor", "metrics"), "the worker to catch up")
    for data, reason in (("data", "is used by another worker"), ("other", "a worker is active: group")):
        ran = cluster.visutility("rebuild", "--yes", data=data)
        assert (ran.returncode, reason in ran.stderr) == (1, True), ran.stderr
    assert worker.terminate() == 0
    assert cluster.visutility("rebuild").returncode == 1  # nobody answers the question
    assert cluster.visutility("rebuild", "--yes", "--stage", "none").returncode == 2
    assert counted(cluster) == {"m": 10}
    assert (cluster.folder / "data" / "monitor").exists()
