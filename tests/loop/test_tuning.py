"""Studies under a worker that is killed, told to stop, or given objectives that fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.registry.artifacts import load_artifact
from streams.brokers.broker import Broker
from tests.loop.driving import Cluster, Json, Worker, is_running, wait_until
from tests.loop.objectives import FOLDER
from tests.loop.traffic import START, event


@pytest.fixture
def cluster(broker: Broker, topic_prefix: str, tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(broker, topic_prefix, tmp_path)
    yield cluster
    cluster.stop()


@pytest.fixture
def real_cluster(real_broker: Broker, topic_prefix: str, tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(real_broker, topic_prefix, tmp_path)
    yield cluster
    cluster.stop()


def tuning(objective: str, trials: int, timeout: str = "60s") -> str:
    """The settings of a worker that trains every model whose validation score is below 0.8."""
    return f"""
[[retrain]]
min = {{ score = 0.8 }}

[[tune]]
objective = "tests.loop.objectives:{objective}"
trials = {trials}
timeout = "{timeout}"
space = {{ x = {{ type = "float_range", min = 0.0, max = 1.0 }} }}
"""


def start(cluster: Cluster) -> Worker:
    return cluster.worker(**{FOLDER: str(cluster.folder)})


def ask_for_training(cluster: Cluster, model: str = "m") -> None:
    cluster.produce([event("validation_score", model, START, score=0.7)])


def results(cluster: Cluster) -> list[Json]:
    return [message for message in cluster.messages("trials") if message["type"] == "trial_result"]


def ends(cluster: Cluster) -> list[Json]:
    return [message for message in cluster.messages("trials") if message["type"] == "study_finished"]


@pytest.mark.timeout(600)
def test_a_study_goes_on_where_a_killed_worker_left_it(real_cluster: Cluster) -> None:
    real_cluster.settings = tuning("slow", trials=10)
    training = real_cluster.folder / "training"
    worker = start(real_cluster)
    ask_for_training(real_cluster)
    real_cluster.wait_for("trials", 3)
    worker.kill()

    worker = start(real_cluster)
    wait_until(training.exists, "the final training has not begun")
    worker.kill()

    worker = start(real_cluster)
    real_cluster.wait_for("models", 1)
    assert worker.terminate() == 0
    trials = results(real_cluster)
    assert [trial["number"] for trial in trials] == list(range(10))
    assert len({trial["event_id"] for trial in trials}) == 10
    assert {trial["state"] for trial in trials} == {"complete"}
    best = max(trials, key=lambda trial: trial["score"])
    (finished,) = ends(real_cluster)
    assert (finished["state"], finished["best_trial_id"]) == ("complete", best["trial_id"])
    version, _ = real_cluster.messages("models")
    assert json.loads(load_artifact(version["artifact"], version["sha256"])) == best["params"]
    assert version["metrics"] == {"score": best["score"], "x": best["params"]["x"]}
    assert len(real_cluster.messages("retrain")) == 1


@pytest.mark.any_broker
def test_trials_that_fail_leave_the_worker_and_the_study_alone(cluster: Cluster) -> None:
    cluster.settings = tuning("Troubled", trials=5, timeout="500ms")
    worker = start(cluster)
    ask_for_training(cluster)
    version, _ = cluster.wait_for("models", 1)

    reasons = {trial["number"]: trial["error"] for trial in results(cluster)}
    assert reasons[0].startswith("RuntimeError: out of luck (objectives.py:")
    assert reasons[1] == "timed out after 0.5 s"
    assert "nan" in reasons[2].lower()
    assert reasons[3] == "its process ended with exit code 7"
    assert reasons[4] is None
    assert [trial["state"] for trial in results(cluster)] == ["failed"] * 4 + ["complete"]
    assert [trial["score"] for trial in results(cluster)] == [None] * 4 + [0.5]
    (finished,) = ends(cluster)
    assert finished["best_trial_id"] == results(cluster)[4]["trial_id"]
    assert version["hyperparameters"] == results(cluster)[4]["params"]
    assert worker.terminate() == 0


def test_a_worker_whose_objective_cannot_be_loaded_ends_and_says_why(real_cluster: Cluster) -> None:
    real_cluster.settings = tuning("Nowhere", trials=1)
    worker = start(real_cluster)
    assert worker.process.wait(60) == 1
    assert [line["message"] for line in worker.lines() if line["level"] == "error"] == [
        "ObjectiveError: tune[0]: objective 'tests.loop.objectives:Nowhere': tests.loop.objectives has no 'Nowhere'"
    ]


def test_a_study_without_any_score_fails_with_its_reason(cluster: Cluster) -> None:
    cluster.settings = tuning("Hopeless", trials=3)
    worker = start(cluster)
    ask_for_training(cluster)
    *trials, finished = cluster.wait_for("trials", 4)

    assert [trial["state"] for trial in trials] == ["failed"] * 3
    assert (finished["state"], finished["best_trial_id"]) == ("failed", None)
    assert finished["reason"].startswith("none of 3 trials completed; the last one: ValueError: no labels for trial 2")
    (alert,) = [alert for alert in cluster.messages("alerts") if alert["kind"] == "study_failed"]
    assert (alert["severity"], alert["state"]) == ("error", "firing")
    assert finished["reason"] in alert["message"]
    assert cluster.messages("models") == []
    assert worker.terminate() == 0


def test_a_worker_told_to_stop_ends_its_trial_and_the_next_worker_runs_it_again(cluster: Cluster) -> None:
    cluster.settings = tuning("Endless", trials=3)
    running = cluster.folder / "running"
    worker = start(cluster)
    ask_for_training(cluster)
    wait_until(running.exists, "no trial runs")
    below = worker.children()
    assert below
    assert worker.terminate(10) == 0
    # The interpreter's own resource tracker ends a moment after the worker.
    wait_until(lambda: not any(is_running(pid) for pid in below), "a process outlived its worker")
    assert results(cluster) == []

    (cluster.folder / "enough").touch()
    (cluster.folder / "training").touch()
    worker = start(cluster)
    cluster.wait_for("models", 1)
    assert [(trial["number"], trial["state"]) for trial in results(cluster)] == [(n, "complete") for n in range(3)]
    assert worker.terminate() == 0


@pytest.mark.any_broker
def test_a_killed_worker_leaves_no_trial_behind(cluster: Cluster) -> None:
    cluster.settings = tuning("Endless", trials=3)
    worker = start(cluster)
    ask_for_training(cluster)
    wait_until((cluster.folder / "running").exists, "no trial runs")
    below = worker.children()
    worker.kill()
    wait_until(lambda: not any(map(is_running, below)), f"{below} are still there", seconds=30)
