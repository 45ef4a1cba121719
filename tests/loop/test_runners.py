"""Studies across a cluster: the owner in one worker, runners in others, and all of them killed in turn."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from agents.tracking.runs import Runs
from schemas.topics import TOPICS
from streams.brokers.broker import Broker
from tests.loop.driving import Cluster, Json, Worker, wait_until
from tests.loop.objectives import FOLDER
from tests.loop.test_tuning import ask_for_training, ends, results
from tests.loop.traffic import START, event

CHOICES = "{ type = 'choice', choices = [0.9, 0.1, 0.8, 0.2] }"
OWNER = "monitor,retrain,tuner"


@pytest.fixture
def cluster(real_broker: Broker, topic_prefix: str, tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(real_broker, topic_prefix, tmp_path)
    (tmp_path / "training").touch()
    yield cluster
    cluster.stop()


def study(objective: str, **rule: object) -> str:
    """The settings of workers that tune every model whose validation score is below 0.8."""
    lines = [f"{name} = {_toml(value)}" for name, value in rule.items()]
    return "\n".join(
        [
            "[[retrain]]",
            "min = { score = 0.8 }",
            'cooldown = "0s"',
            "[[tune]]",
            f'objective = "tests.loop.objectives:{objective}"',
            "space = { x = { type = 'float_range', min = 0.0, max = 1.0 } }",
            *lines,
        ]
    )


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(each)}" for name, each in value.items()) + " }"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def owner(cluster: Cluster, data: str = "owner") -> Worker:
    environment = {"VISUTILITY_AGENTS": OWNER, "VISUTILITY_TRIAL_PROCESSES": "0", FOLDER: str(cluster.folder)}
    return cluster.worker(data=data, **environment)


def runner(cluster: Cluster, processes: int = 1) -> Worker:
    number = len(cluster.processes)
    environment = {
        "VISUTILITY_AGENTS": "runner",
        "VISUTILITY_TRIAL_PROCESSES": str(processes),
        FOLDER: str(cluster.folder),
    }
    return cluster.worker(data=f"runner-{number}", **environment)


def runs_of(cluster: Cluster) -> list[Json]:
    """What is on `experiments`."""
    return cluster.messages("experiments")


def runs(cluster: Cluster) -> list[str]:
    """What the runners' trials left: NUMBER began, NUMBER ended."""
    path = cluster.folder / "trace"
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.timeout(600)
def test_200_trials_end_once_each_though_two_runners_and_the_owner_are_killed(cluster: Cluster) -> None:
    cluster.settings = study("traced", trials=200, parallel=6, ahead=2, sampler="tpe")
    owning = owner(cluster)
    runners = [runner(cluster) for _ in range(3)]
    ask_for_training(cluster)

    wait_until(lambda: len(results(cluster)) > 40, "40 trials")
    runners[0].kill()
    runners[0] = runner(cluster)
    wait_until(lambda: len(results(cluster)) > 80, "80 trials")
    owning.kill()
    owning = owner(cluster)
    wait_until(lambda: len(results(cluster)) > 130, "130 trials")
    runners[1].kill()
    runners[1] = runner(cluster)
    cluster.wait_for("models", 1, seconds=300)

    trials = results(cluster)
    assert sorted(trial["number"] for trial in trials) == list(range(200))
    assert len({trial["trial_id"] for trial in trials}) == len({trial["event_id"] for trial in trials}) == 200
    assert {(trial["state"], trial["late"]) for trial in trials} == {("complete", False)}
    requests = cluster.messages("trial-requests")
    assert sorted(request["number"] for request in requests) == list(range(200))
    assert {r["number"]: r["params"] for r in requests} == {t["number"]: t["params"] for t in trials}
    (finished,) = ends(cluster)
    best = max(trials, key=lambda trial: trial["score"])
    assert (finished["state"], finished["best_trial_id"]) == ("complete", best["trial_id"])
    # Only what a killed runner had in hand may have run again.
    ended = [line for line in runs(cluster) if line.endswith("ended")]
    assert len(ended) <= 200 + 2
    assert [worker.terminate() for worker in (owning, *runners)] == [0] * 4


@pytest.mark.timeout(600)
def test_trials_are_ended_by_what_they_report_while_they_run_though_the_owner_is_killed(cluster: Cluster) -> None:
    rule = study("Racing", parallel=4, sampler="grid", pruner="median", pruner_options={"n_startup_trials": 2})
    cluster.settings = rule.replace("{ type = 'float_range', min = 0.0, max = 1.0 }", CHOICES)
    owning, running = owner(cluster), runner(cluster, processes=4)
    ask_for_training(cluster)
    wait_until(lambda: {run["epoch"] for run in runs_of(cluster) if run["type"] == "epoch_end"} > {0, 1}, "reports")
    owning.kill()
    owning = owner(cluster)
    cluster.wait_for("models", 1)

    trials = {trial["params"]["x"]: trial for trial in results(cluster)}
    assert len(results(cluster)) == 4
    assert {x: (trial["state"], trial["score"]) for x, trial in trials.items()} == {
        0.9: ("complete", 0.9),
        0.8: ("complete", 0.8),
        0.1: ("pruned", 0.1),
        0.2: ("pruned", 0.2),
    }
    assert all(trial["duration_seconds"] < 60 for trial in trials.values())
    orders = [each for each in cluster.messages("trial-requests") if each["type"] == "prune_trial"]
    assert {order["number"] for order in orders} == {trials[0.1]["number"], trials[0.2]["number"]}
    assert all(request["bounds"] == {} for request in cluster.messages("trial-requests") if request not in orders)

    told = Runs()
    for message in runs_of(cluster):
        told.apply(TOPICS["experiments"].parser()(json.dumps(message).encode(), ()))
    for x, trial in trials.items():
        run = told.get(trial["trial_id"])
        assert (run.params, run.state, run.final_metrics) == ({"x": x}, "ended", {"score": x})
        assert list(run.epochs) == list(range(len(run.epochs)))
        assert len(run.epochs) == 100 if x > 0.5 else 1 < len(run.epochs) < 60
    assert [worker.terminate() for worker in (owning, running)] == [0, 0]


@pytest.mark.timeout(600)
def test_trials_go_on_and_only_what_was_in_hand_is_repeated_when_runners_come_and_go(cluster: Cluster) -> None:
    cluster.settings = study("traced", trials=60, parallel=6, ahead=2)
    owning, first = owner(cluster), runner(cluster)
    ask_for_training(cluster)
    wait_until(lambda: len(results(cluster)) > 5, "5 trials")
    second = runner(cluster)
    wait_until(lambda: len(results(cluster)) > 25, "25 trials")
    assert first.terminate() == 0
    cluster.wait_for("models", 1)
    trials = results(cluster)
    assert sorted(trial["number"] for trial in trials) == list(range(60))
    assert {trial["state"] for trial in trials} == {"complete"}
    ended = [line for line in runs(cluster) if line.endswith("ended")]
    assert set(ended) == {f"{number} ended" for number in range(60)}
    assert len(ended) <= 60 + 2  # a trial that was in hand at a handover, and had just ended
    assert [worker.terminate() for worker in (owning, second)] == [0, 0]


@pytest.mark.timeout(600)
def test_a_trial_of_which_nothing_is_heard_fails_is_asked_again_and_its_late_result_is_recorded(
    cluster: Cluster,
) -> None:
    cluster.settings = study("Endless", trials=1, deadline="3s")
    owning = owner(cluster)
    ask_for_training(cluster)
    (lost, *_) = cluster.wait_for("trials", 1)
    assert (lost["number"], lost["state"], lost["late"]) == (0, "failed", False)
    assert lost["error"].startswith("lost: nothing was heard of it for 3 s")
    first, second = cluster.wait_for("trial-requests", 2)[:2]
    assert first["params"] == second["params"]
    assert first["trial_id"] != second["trial_id"]
    (cluster.folder / "enough").touch()
    running = runner(cluster)
    wait_until(lambda: len(ends(cluster)) == 1, "the study's end")
    wait_until(lambda: any(trial["late"] for trial in results(cluster)), "the late result")
    told: list[Json] = results(cluster)
    assert all(trial["state"] == "failed" for trial in told if trial["number"] == 0)
    assert any(trial["late"] for trial in told)
    assert [worker.terminate() for worker in (owning, running)] == [0, 0]


@pytest.mark.timeout(600)
def test_what_is_no_trial_request_becomes_a_dead_letter_and_holds_nothing_up(cluster: Cluster) -> None:
    cluster.settings = study("traced", trials=3)
    owning, running = owner(cluster), runner(cluster)
    producer = Producer({"bootstrap.servers": cluster.broker.bootstrap_servers})
    for number in range(20):
        producer.produce(f"{cluster.prefix}trial-requests", key=str(number), value=b"run, please")
    producer.flush(10)
    ask_for_training(cluster)
    cluster.wait_for("models", 1)
    letters = cluster.wait_for("dead-letter", 20)
    assert {(letter["stage"], letter["topic"]) for letter in letters} == {("runner", f"{cluster.prefix}trial-requests")}
    assert len(letters) == 20
    # Well-formed, but for code that these settings do not name: `touch` must not be run.
    options = {"args": f"touch {cluster.folder / 'broken-in'}", "shell": True}
    common = {"type": "trial_request", "event_id": "f", "model_name": "m", "model_version": "1", "timestamp": START}
    trial = {"study_id": "f", "trial_id": "forged", "number": 0, "params": {}, "deadline": None, "timeout_seconds": 9.0}
    forged = common | trial | {"objective": "subprocess:Popen", "options": options}
    producer.produce(f"{cluster.prefix}trial-requests", key="forged", value=json.dumps(forged))
    producer.flush(10)
    ended = {"type": "training_end", "run_id": "forged"}
    wait_until(lambda: any(ended.items() <= run.items() for run in runs_of(cluster)), "the refusal")
    assert not (cluster.folder / "broken-in").exists()
    assert [worker.terminate() for worker in (owning, running)] == [0, 0]


@pytest.mark.timeout(600)
def test_a_study_ends_at_its_target_or_when_its_time_is_up(cluster: Cluster) -> None:
    cluster.settings = study("traced", trials=1000, parallel=2, target_score=-0.05)
    cluster.settings += "\n" + "\n".join(
        [
            "[[tune]]",
            'objective = "tests.loop.objectives:traced"',
            "space = { x = { type = 'float_range', min = 0.0, max = 1.0 } }",
            'trials = 1000\ntime_budget = "8s"',
        ]
    )
    cluster.settings = cluster.settings.replace("[[tune]]", "[[tune]]\nmodels = 'quick'", 1)
    owning, running = owner(cluster), runner(cluster)
    cluster.produce([event("validation_score", model, START, score=0.7) for model in ("quick", "patient")])
    cluster.wait_for("models", 4)
    reasons = {end["model_name"]: end["reason"] for end in ends(cluster)}
    assert "reached the target of -0.05" in reasons["quick"]
    assert "its time of 8 s was up" in reasons["patient"]
    best = max(trial["score"] for trial in results(cluster) if trial["model_name"] == "quick")
    assert best >= -0.05
    assert len(results(cluster)) < 500
    assert [worker.terminate() for worker in (owning, running)] == [0, 0]
