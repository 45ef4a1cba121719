"""Workers killed with SIGKILL while records stream: nothing lost, nothing twice, every digit as without the kills."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from agents.monitor.state import window_of
from streams.brokers.broker import Broker
from tests.loop.changelog import models_in
from tests.loop.driving import JAVA, LIBRDKAFKA, Cluster, Worker, in_order
from tests.loop.traffic import START, metrics

MODELS, VALUES = 6, 2_000


@pytest.fixture
def cluster(real_broker: Broker, topic_prefix: str, tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(real_broker, topic_prefix, tmp_path)
    yield cluster
    cluster.stop()


def stream(seed: int) -> list[tuple[str, bytes]]:
    """Models whose accuracy falls now and then, so that there is much to publish."""
    rng = np.random.default_rng(seed)
    values = rng.normal(0.93, 0.01, (VALUES, MODELS))
    values[rng.random((VALUES, MODELS)) < 0.01] = 0.6
    return [
        (f"m{model}", metrics(f"m{model}", f"m{model}-{number}", START + number * 20, row[model]))
        for number, row in enumerate(values)
        for model in range(MODELS)
    ]


def send_slowly(cluster: Cluster, records: list[tuple[str, bytes]], seconds: float) -> threading.Thread:
    """Half of the models are keyed by Java's partitioner, the others by librdkafka's, over some seconds."""
    java = [record for record in records if int(record[0][1:]) % 2]
    other = [record for record in records if not int(record[0][1:]) % 2]

    def send() -> None:
        pieces = 40
        for piece in range(pieces):
            for half, partitioner in ((java, JAVA), (other, LIBRDKAFKA)):
                size = len(half) // pieces
                cluster.produce(half[piece * size : (piece + 1) * size], partitioner)
            time.sleep(seconds / pieces)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


def final_windows(cluster: Cluster) -> dict[str, np.ndarray]:
    """Each model's window of accuracies, from what the changelog holds in the end."""
    models = models_in(cluster).items()
    return {name: window_of(state.versions[-1].series["accuracy"], parts).values for name, (state, parts) in models}


def assert_as_if_nothing_had_happened(cluster: Cluster, records: list[tuple[str, bytes]]) -> None:
    expected = cluster.backtested(records)
    assert len(expected["drift"]) > 50
    assert in_order(cluster.messages("drift")) == in_order(expected["drift"])
    assert in_order(cluster.messages("retrain")) == in_order(expected["retrain"])
    assert in_order(cluster.messages("alerts")) == in_order(expected["alerts"])
    assert cluster.messages("dead-letter") == []
    sent: dict[str, list[float]] = {f"m{m}": [] for m in range(MODELS)}
    for name, value in records:
        sent[name].append(float(value.decode().split('"accuracy": ')[1].rstrip("}")))
    for name, window in final_windows(cluster).items():
        np.testing.assert_array_equal(window, sent[name][-500:])


@pytest.mark.timeout(600)
@pytest.mark.parametrize("wipe", [False, True], ids=["disk kept", "disk wiped"])
def test_a_killed_worker_leaves_no_trace_in_what_is_published(cluster: Cluster, wipe: bool) -> None:
    records = stream(seed=3)
    rng = np.random.default_rng(11)
    worker: Worker = cluster.worker()
    sending = send_slowly(cluster, records, seconds=8)
    for _ in range(3):
        time.sleep(rng.uniform(0.2, 1.5))
        worker.kill()
        if wipe:
            shutil.rmtree(cluster.folder / "data")
        worker = cluster.worker()
    sending.join()
    cluster.wait_idle()
    assert worker.terminate() == 0
    assert_as_if_nothing_had_happened(cluster, records)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("commit", [1, 9])
def test_a_worker_killed_between_the_transaction_and_rocksdb_catches_up(cluster: Cluster, commit: int) -> None:
    records = stream(seed=4)
    dying = cluster.worker("tests.loop.dying_worker", DIE_AT=str(commit))
    sending = send_slowly(cluster, records, seconds=3)
    assert dying.process.wait(120) == -9
    worker = cluster.worker()
    sending.join()
    cluster.wait_idle()
    assert worker.terminate() == 0
    assert_as_if_nothing_had_happened(cluster, records)


@pytest.mark.timeout(600)
def test_a_second_worker_takes_over_what_the_first_leaves(cluster: Cluster) -> None:
    records = stream(seed=5)
    first = cluster.worker(data="one")
    sending = send_slowly(cluster, records, seconds=8)
    second = cluster.worker(data="two")
    time.sleep(2)
    first.kill()
    sending.join()
    cluster.wait_idle()
    assert second.terminate() == 0
    assert_as_if_nothing_had_happened(cluster, records)
