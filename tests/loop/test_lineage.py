"""A whole round on a live worker, told back by `visutility lineage`: drift, request, study, version, and who did it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.brokers.broker import Broker
from tests.loop.driving import Cluster, Json
from tests.loop.traffic import accuracies

SETTINGS = """
[[tune]]
objective = "tests.loop.objective:objective"
trials = 3
space = { learning_rate = { type = "float_range", min = 1e-4, max = 0.3, log = true } }
"""


@pytest.fixture
def cluster(real_broker: Broker, topic_prefix: str, tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(real_broker, topic_prefix, tmp_path, SETTINGS)
    yield cluster
    cluster.stop()


def asked(cluster: Cluster, *arguments: str) -> Json:
    ran = cluster.visutility(*arguments, "--json")
    assert (ran.returncode, ran.stderr) == (0, "")
    document: Json = json.loads(ran.stdout)
    return document


@pytest.mark.timeout(600)
def test_a_version_is_traced_to_the_records_that_led_to_it_and_on_to_its_retirement(cluster: Cluster) -> None:
    worker = cluster.worker()
    records = accuracies("digits", healthy=100, drifted=3)
    cluster.produce(records)
    made = next(each for each in cluster.wait_for("models", 1, "digits") if each["type"] == "model_version")
    document = asked(cluster, "lineage", "digits", made["version"])

    (cause,) = document["origin"]["causes"]
    assert cause["input"]["topic"] == f"{cluster.prefix}metrics"
    found = cluster.records("metrics")
    causing = [json.loads(value) for _, value in found if value is not None]
    assert cause["input"]["event_id"] == causing[cause["input"]["offset"]]["event_id"]
    assert cause["finding"] == cluster.about("digits", "drift")[0]
    assert document["origin"]["request"] == cluster.about("digits", "retrain")[0]
    study = document["origin"]["study"]
    assert len(study["trials"]) == 3
    assert study["finished"]["best_trial_id"] in {trial["trial_id"] for trial in study["trials"]}

    ran = cluster.visutility("lineage", "digits", made["version"])
    assert f"record {cause['input']['event_id']} at {cause['input']['topic']}" in ran.stdout.replace("\n", " ")

    assert [(alias["alias"], alias["reason"]) for alias in document["aliases"]] == [
        ("champion", "promoted: there was no champion"),
    ]  # fmt: skip
    (cluster.folder / "model").write_text("made elsewhere")
    asked(cluster, "models", "register", "digits", "by-ada", str(cluster.folder / "model"))
    asked(cluster, "models", "promote", "digits", "by-ada", "--actor", "ada")
    (alias,) = asked(cluster, "lineage", "digits", "by-ada")["aliases"]
    assert (alias["actor"], alias["previous"]) == ("ada", [made["version"]])

    asked(cluster, "models", "retire", "digits", "--actor", "ada")
    cluster.wait_idle()
    assert [value for key, value in cluster.records("status") if key == b"digits"][-1] is None
    assert [value for key, value in cluster.records("monitor-changelog") if key == b"digits"][-1] is None
    assert [value for key, value in cluster.records("retrain-changelog") if key == b"digits"][-1] is None
    assert [letter["reason"] for letter in cluster.messages("dead-letter")] == []
    assert worker.terminate() == 0
