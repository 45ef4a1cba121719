"""Predictions and labels that come apart, through a worker that is killed: each pair counts once, and none is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from agents.monitor.stage import MonitorStage
from agents.settings import load_settings
from streams.brokers.broker import Broker
from streams.parts import MemoryTable
from streams.processor import Processor
from streams.records import StoredRecord
from tests.loop.driving import Cluster, in_order
from tests.loop.traffic import START, event

SETTINGS = """
agents = ["monitor", "retrain"]
label_horizon = "40m"
[[monitor]]
metric = "error"
window = { size = 60, min_samples = 20 }
detector = { name = "threshold", breaches = 3, of = 10, limit = 0.5 }
"""


@pytest.fixture
def cluster(real_broker: Broker, topic_prefix: str, tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(real_broker, topic_prefix, tmp_path, SETTINGS)
    yield cluster
    cluster.stop()


def halves(seed: int) -> list[tuple[str, bytes]]:
    """Labels up to an hour after their predictions, some twice, some never; now and then the model is wrong."""
    rng, timed = np.random.default_rng(seed), []
    for number in range(900):
        model, time = f"m{number % 3}", START + number * 10
        name, wrong = f"p{number}", int(number % 200 > 170)
        timed.append((time, event("prediction", model, time, prediction_id=name, y_pred=1)))
        later = time + rng.exponential(900, size=rng.choice([0, 1, 1, 1, 2]))
        timed += [(at, event("label", model, at, prediction_id=name, y_true=1 - wrong)) for at in later.tolist()]
    return [record for _, record in sorted(timed, key=lambda each: each[0])]


def table_of(cluster: Cluster, records: list[tuple[str, bytes]]) -> dict[bytes, bytes]:
    """What the records leave in a table in memory, models and all that lies beside them."""
    table = MemoryTable()
    processor = Processor(MonitorStage(load_settings(cluster.config)), 0, 1, table)
    processor.process(
        [StoredRecord("metrics", 0, at, 0, key.encode(), value) for at, (key, value) in enumerate(records)]
    )
    return {key: value for key, value in table.items() if not key.startswith(b"\0")}


@pytest.mark.timeout(240)
def test_every_pair_counts_once_although_the_worker_dies_between_transaction_and_disk(cluster: Cluster) -> None:
    records = halves(seed=2)
    dying = cluster.worker("tests.loop.dying_worker", DIE_AT="3")
    cluster.produce(records[:400])
    assert dying.process.wait(30) == -9
    worker = cluster.worker()
    cluster.produce(records[400:])
    cluster.wait_idle()
    assert worker.terminate() == 0
    expected = cluster.backtested(records)
    assert len(expected["drift"]) > 5
    assert in_order(cluster.messages("drift")) == in_order(expected["drift"])
    assert in_order(cluster.messages("alerts")) == in_order(expected["alerts"])
    assert {alert["kind"] for alert in expected["alerts"]} >= {"expired_predictions", "expired_labels"}
    last = dict(cluster.records("monitor-changelog"))
    kept = {key: value for key, value in last.items() if key and value is not None and not key.startswith(b"\0")}
    assert kept == table_of(cluster, records)
