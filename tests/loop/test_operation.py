"""What operators see of a worker: its log, why it does not start, its alerts, its dead letters."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from streams.brokers.broker import Broker
from tests.loop.driving import Cluster
from tests.loop.traffic import START, accuracies, event

NOBODY = "127.0.0.1:1"


@pytest.fixture
def cluster(broker: Broker, topic_prefix: str, tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(broker, topic_prefix, tmp_path)
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module", params=["real", "embedded"])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A worker that tests share which look at messages alone, each with a model of its own."""
    broker: Broker = request.getfixturevalue(f"{request.param}_broker")
    cluster = Cluster(broker, f"test-{uuid4().hex[:12]}.", tmp_path_factory.mktemp("running"))
    cluster.worker()
    yield cluster
    cluster.stop()


def refused(cluster: Cluster, *arguments: str, **environment: str) -> str:
    """The one line with which a worker says why it does not start."""
    ran = cluster.visutility("worker", *arguments, VISUTILITY_LOG_LEVEL="error", **environment)
    assert (ran.returncode, ran.stdout) == (1, ""), ran.stderr
    (line,) = ran.stderr.splitlines()
    assert len(line) < 500
    return line


def error_in(line: str) -> str:
    logged = json.loads(line)
    assert logged["level"] == "error"
    return str(logged["message"])


def test_with_log_events_each_event_is_logged_at_its_level(cluster: Cluster) -> None:
    worker = cluster.worker(VISUTILITY_LOG_EVENTS="true", VISUTILITY_LOG_LEVEL="debug")
    cluster.produce(accuracies("m", healthy=60, drifted=1))
    cluster.produce([event("heartbeat", "m", START), event("inference_failure", "m", START, error="no memory")])
    cluster.produce([event("schema_drift", "m", START), event("validation_score", "m", START, score=0.7)])
    cluster.wait_idle()
    assert worker.terminate() == 0
    logged = [line for line in worker.lines() if line.get("model_name") == "m"]
    assert {(line["event_type"], line["level"]) for line in logged if line["event_type"] != "alert"} == {
        ("metrics", "info"), ("validation_score", "info"), ("drift_detected", "warning"), ("heartbeat", "debug"),
        ("inference_failure", "error"), ("schema_drift", "warning"), ("model_status", "info"),
    }  # fmt: skip
    assert sorted(line["level"] for line in logged if line["event_type"] == "alert") == ["error", "warning"]
    assert sum(line["event_type"] == "metrics" for line in logged) == 61
    failure = next(line for line in logged if line["event_type"] == "inference_failure")
    assert (failure["message"], failure["model_version"]) == ("inference_failure m 1: no memory", "1")


@pytest.mark.any_broker
def test_without_log_events_each_checkpoint_is_summarised(cluster: Cluster) -> None:
    worker = cluster.worker()
    records = accuracies("m", healthy=100, drifted=0)
    for part in (records[:60], records[60:]):  # from the 51st on there is nothing to say
        cluster.produce(part)
        cluster.wait_idle()
    assert worker.terminate() == 0
    summary = re.compile(r"monitor \[\d\]: (\d+) records, \d+ outputs")
    counts = [int(found[1]) for line in worker.lines() if (found := summary.fullmatch(line["message"]))]
    assert sum(counts) == 100
    assert [line for line in worker.lines() if "event_type" in line] == []


@pytest.mark.any_broker
def test_a_data_folder_serves_one_worker(cluster: Cluster) -> None:
    first = cluster.worker()
    error = error_in(refused(cluster))
    assert f"{cluster.folder}/data/monitor is used by another worker" in error
    assert "data_dir" in error
    assert first.terminate() == 0


@pytest.mark.any_broker
@pytest.mark.parametrize("log_format", ["human", "json"])
def test_topics_with_another_number_of_partitions_are_refused(cluster: Cluster, log_format: str) -> None:
    assert cluster.visutility("topics", "create").returncode == 0
    line = refused(cluster, VISUTILITY_PARTITIONS="3", VISUTILITY_LOG_FORMAT=log_format)
    assert f"topic {cluster.prefix}metrics has 4 partitions, the settings say 3" in line
    assert "set partitions = 4" in line


@pytest.mark.any_broker
@pytest.mark.parametrize("log_format", ["human", "json"])
def test_a_broker_that_does_not_answer_is_named(cluster: Cluster, log_format: str) -> None:
    line = refused(cluster, "--bootstrap", NOBODY, VISUTILITY_LOG_FORMAT=log_format)
    assert f"no Kafka broker answers at {NOBODY}" in line


def test_troubles_of_a_model_are_alerts(running: Cluster) -> None:
    running.produce(
        [
            event("inference_failure", "troubled", START, error="CUDA out of memory"),
            event("schema_drift", "troubled", START + 1, detail="column age is gone"),
            event("data_quality_issue", "troubled", START + 2, detail="half of the images are black"),
        ]
    )
    alerts = running.wait_for("alerts", 3, "troubled")
    assert [(alert["kind"], alert["severity"], alert["state"], alert["message"]) for alert in alerts] == [
        ("inference_failure", "error", "firing", "CUDA out of memory"),
        ("schema_drift", "warning", "firing", "column age is gone"),
        ("data_quality_issue", "warning", "firing", "half of the images are black"),
    ]
    assert {alert["model_version"] for alert in alerts} == {"1"}


def test_a_new_version_starts_afresh(running: Cluster) -> None:
    def second(number: int, accuracy: float) -> tuple[str, bytes]:
        fields = {"model_version": "2", "event_id": f"second-{number}", "accuracy": accuracy}
        return event("metrics", "renewed", START + 2_000 + number, **fields)

    running.produce(accuracies("renewed", healthy=100, drifted=0))
    running.produce([second(number, 0.65 + number / 1_000) for number in range(50)])
    running.wait_idle()
    assert running.about("renewed", "drift") == []
    statuses = [status for status in running.about("renewed", "status") if status["model_version"] == "2"]
    assert [status["state"] for status in statuses] == ["warming", "ok"]
    assert [rule["window"]["count"] for status in statuses for rule in status["rules"]] == [1, 50]

    running.produce([second(50, 0.93)])
    (drift,) = running.wait_for("drift", 1, "renewed")  # what was usual for version 1 is not for version 2
    assert (drift["model_version"], drift["direction"]) == ("2", "better")
    assert drift["cause"]["event_id"] == "second-50"


def test_a_record_set_aside_can_be_listed_and_sent_in_again(running: Cluster) -> None:
    running.produce([event("metrics", "bad", START, accuracy=93)])
    running.wait_for("dead-letter", 1, "bad")
    ran = running.visutility("dlq", "list", "--json")
    (letter,) = json.loads(ran.stdout)["dead_letters"]
    assert letter["reason"] == "accuracy: expected a number in [0, 1], got 93"

    ran = running.visutility("dlq", "retry", letter["event_id"], "--json")
    assert json.loads(ran.stdout)["retried"] == [letter["event_id"]]
    first, second = running.wait_for("dead-letter", 2, "bad")  # it is as bad as it was
    assert first["event_id"] == letter["event_id"] != second["event_id"]
    assert (second["value"], second["key"], second["reason"]) == (first["value"], first["key"], first["reason"])
    assert second["partition"] == first["partition"]
    assert second["offset"] > first["offset"]


def test_a_backtest_prints_one_document(topic_prefix: str, embedded_broker: Broker, tmp_path: Path) -> None:
    cluster = Cluster(embedded_broker, topic_prefix, tmp_path, "")
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"\n".join([*(value for _, value in accuracies("m")), b"{"]))
    ran = cluster.visutility("backtest", str(file), "--json")
    assert (ran.returncode, ran.stderr) == (0, "")
    document = json.loads(ran.stdout)
    assert document["events_read"] == 651
    (request,) = document["retrain"]
    assert request["cause_ids"] == ["m-600", document["drift"][0]["event_id"]]
    assert len(document["dead_letters"]) == 1
