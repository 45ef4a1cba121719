"""The promises of the loop, each seen from outside: a worker process, a real producer, committed messages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.brokers.broker import Broker
from tests.loop.driving import JAVA, LIBRDKAFKA, Cluster, in_order
from tests.loop.traffic import START, accuracies, malformed, metrics


@pytest.fixture
def cluster(broker: Broker, topic_prefix: str, tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(broker, topic_prefix, tmp_path)
    yield cluster
    cluster.stop()


@pytest.mark.parametrize("models", [["fraud"], ["fraud", "spam", "churn", "price", "risk"]])
def test_a_drift_gives_one_request_and_live_equals_backtest(cluster: Cluster, models: list[str]) -> None:
    records = [record for together in zip(*map(accuracies, models), strict=True) for record in together]
    worker = cluster.worker()
    cluster.produce(records)
    cluster.wait_idle()
    drift, retrain = cluster.messages("drift"), cluster.messages("retrain")

    assert {request["model_name"]: request["cause_ids"][0] for request in retrain} == {m: f"{m}-600" for m in models}
    assert len(retrain) == len(models)
    expected = cluster.backtested(records)
    assert in_order(drift) == in_order(expected["drift"])
    assert in_order(retrain) == in_order(expected["retrain"])
    assert in_order(cluster.messages("alerts")) == in_order(expected["alerts"])
    assert cluster.messages("dead-letter") == []
    assert worker.terminate() == 0


def test_a_low_validation_score_gives_one_request_and_ten_trials(cluster: Cluster) -> None:
    cluster.settings = """
agents = ["monitor", "retrain", "tuner"]

[[retrain]]
min = { score = 0.8 }

[[tune]]
objective = "tests.loop.objective:objective"
trials = 10
space = { learning_rate = { type = "float_range", min = 1e-4, max = 0.3, log = true } }
"""
    score = {"type": "validation_score", "event_id": "v", "model_name": "m", "timestamp": START, "score": 0.7}
    cluster.worker()
    cluster.produce([("m", json.dumps(score).encode())])
    trials = cluster.wait_for("trials", 11)

    (request,) = cluster.messages("retrain")
    assert (request["value"], request["threshold"], request["cause_ids"][0]) == (0.7, 0.8, "v")
    results = [trial for trial in trials if trial["type"] == "trial_result"]
    (finished,) = [trial for trial in trials if trial["type"] == "study_finished"]
    assert sorted(trial["number"] for trial in results) == list(range(10))
    assert {trial["state"] for trial in results} == {"complete"}
    best = max(results, key=lambda trial: trial["score"])
    assert finished["best_trial_id"] == best["trial_id"]
    version, _ = cluster.wait_for("models", 1)
    assert version["hyperparameters"] == best["params"]
    assert version["request_id"] == request["event_id"]


def test_a_thousand_malformed_among_a_thousand_good_ones(cluster: Cluster) -> None:
    good = [("fine", metrics("fine", f"g{i}", START + i, 0.9)) for i in range(1_000)]
    worker = cluster.worker()
    cluster.produce([record for pair in zip(good, malformed(1_000), strict=True) for record in pair])
    cluster.wait_idle()

    letters = cluster.messages("dead-letter")
    assert len(letters) == 1_000
    assert len({(letter["topic"], letter["partition"], letter["offset"]) for letter in letters}) == 1_000
    assert all(letter["reason"] and letter["stage"] == "monitor" for letter in letters)
    assert {letter["topic"] for letter in letters} == {f"{cluster.prefix}metrics"}
    status = [message for message in cluster.messages("status") if message["model_name"] == "fine"][-1]
    cluster.produce([("fine", metrics("fine", "last", START + 1_000, 0.1))])  # the worker is up, its window full
    (drift,) = cluster.wait_for("drift", 1)
    assert drift["cause"]["event_id"] == "last"
    assert drift["window"]["count"] == 500
    assert status["state"] == "ok"
    assert worker.terminate() == 0


def test_both_default_partitioners_end_in_one_window(cluster: Cluster) -> None:
    names = [f"model-{i}" for i in range(8)]
    cluster.worker()
    for half, partitioner in enumerate((JAVA, LIBRDKAFKA)):
        first, last = (0, 300) if half == 0 else (300, 650)
        cluster.produce([record for name in names for record in accuracies(name)[first:last]], partitioner)
        cluster.wait_idle()

    drift = cluster.messages("drift")
    firsts = {m["model_name"]: m for m in sorted(drift, key=lambda m: m["timestamp"], reverse=True)}
    assert set(firsts) == set(names)
    assert {m["cause"]["event_id"] for m in firsts.values()} == {f"{name}-600" for name in names}
    assert {m["window"]["count"] for m in firsts.values()} == {500}
    assert {m["cause"]["topic"] for m in drift} == {f"{cluster.prefix}metrics"}
    assert len(cluster.messages("retrain")) == len(names)
