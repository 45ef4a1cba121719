"""The demonstration as people run it, as a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from typing import Any
from urllib.request import urlopen

import pytest

from agents.demo.plan import DEGRADED, FLEETS
from schemas.ids import output_id
from schemas.topics import TOPICS

RUN = "import sys; from agents.demo.run import run_demo; sys.exit(run_demo({}))"
TIME_LIMIT = 280


def command(arguments: str) -> list[str]:
    return [sys.executable, "-c", RUN.format(arguments)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def run(arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(arguments), capture_output=True, text=True, timeout=TIME_LIMIT, check=False, env=environment()
    )


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    ended = run("broker='embedded', json_output=True")
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


@pytest.mark.timeout(600)
def test_the_loop_closes_for_the_degraded_fleet_and_the_others_stay_quiet(document: dict[str, Any]) -> None:
    assert {message["model_name"] for message in document["drift"]} == {DEGRADED}
    assert [message["model_name"] for message in document["retrain"]] == [DEGRADED]
    assert {message["model_name"] for message in document["models"]} == {DEGRADED}
    assert document["dead_letters"] == 0


@pytest.mark.timeout(600)
def test_accuracy_falls_and_comes_back(document: dict[str, Any]) -> None:
    assert set(document["accuracy"]) == set(FLEETS)
    degraded = document["accuracy"][DEGRADED]
    assert degraded["before"] > 0.9
    assert degraded["drifted"] < degraded["before"] - 0.2
    assert degraded["recovered"] > degraded["before"] - 0.1
    quiet = (document["accuracy"][name] for name in FLEETS if name != DEGRADED)
    assert all(min(periods.values()) > 0.9 for periods in quiet)


@pytest.mark.timeout(600)
def test_causes_lead_from_the_first_bad_batch_to_the_new_version(document: dict[str, Any]) -> None:
    first, request, version = document["drift"][0], document["retrain"][0], document["models"][0]
    trials = [message for message in document["trials"] if message["type"] == "trial_result"]
    assert first["cause"]["event_id"] == f"{DEGRADED}-80-metrics"
    assert request["cause_ids"] == [first["cause"]["event_id"], first["event_id"]]
    assert version["request_id"] == request["event_id"]
    assert (version["parent_version"], version["version"]) == ("v1", "v2")
    best = max(trials, key=lambda trial: trial["score"])
    assert len(trials) >= 10
    assert version["hyperparameters"] == best["params"]
    assert version["metrics"]["score"] == best["score"]


@pytest.mark.timeout(600)
def test_the_new_version_is_promoted_for_it_beats_the_champion(document: dict[str, Any]) -> None:
    (version,) = document["models"]
    promotion = version["promotion"]
    assert (promotion["promoted"], promotion["champion"], promotion["test"]) == (True, "v1", "mcnemar")
    assert promotion["difference"] > 0.2
    assert promotion["p_value"] < 1e-6
    first, *_, last = champions(document)
    assert (first["version"], last["version"], last["previous"]) == ("v1", "v2", ["v1"])
    assert last["reason"].startswith("better by 0.")


def champions(document: dict[str, Any]) -> list[dict[str, Any]]:
    aliases = [alias for alias in document["aliases"] if alias["model_name"] == DEGRADED]
    return [alias for alias in aliases if alias["alias"] == "champion"]


@pytest.mark.timeout(600)
def test_a_worse_version_wins_better_trials_and_is_registered_but_not_promoted(document: dict[str, Any]) -> None:
    (request,), (version,) = document["refused"]["retrain"], document["refused"]["models"]
    assert (request["model_version"], request["actor"]) == ("v2", "colleague")
    assert (version["version"], version["request_id"]) == ("v3", request["event_id"])
    assert version["metrics"]["score"] > document["models"][0]["metrics"]["score"]
    promotion = version["promotion"]
    assert (promotion["promoted"], promotion["champion"]) == (False, "v2")
    assert promotion["reason"].startswith("not promoted: no better than the champion (0.")
    assert promotion["difference"] < -0.2
    (challenger,) = [alias for alias in document["aliases"] if alias["alias"] == "challenger"]
    assert (challenger["version"], challenger["reason"]) == ("v3", promotion["reason"])
    assert [alias["version"] for alias in champions(document)] == ["v1", "v2"]


@pytest.mark.timeout(600)
def test_fleets_begin_with_registered_versions(document: dict[str, Any]) -> None:
    assert {(version["model_name"], version["version"]) for version in document["deployed"]} == {
        (name, "v1") for name in FLEETS
    }


@pytest.mark.timeout(600)
def test_the_document_has_the_messages_as_they_are_on_the_topics(document: dict[str, Any]) -> None:
    shown = [(topic, document[topic]) for topic in ("drift", "retrain", "trials", "models")]
    shown += [*document["refused"].items(), ("models", document["aliases"]), ("models", document["deployed"])]
    for topic, messages in shown:
        parse = TOPICS[topic].parser()
        assert messages
        for message in messages:
            assert parse(json.dumps(message).encode()).to_dict() == message
    first = document["drift"][0]
    parts = (first["model_name"], first["model_version"], first["metric"], first["segment"], first["rule"])
    assert first["event_id"] in {output_id("monitor", *parts, "drift_detected", number) for number in range(1000)}


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        ("broker='nonsense'", 2, "nonsense"),
        ("broker='embedded', seed=-1", 2, "--seed"),
    ],
)
def test_what_cannot_be_run_is_refused_in_one_line(arguments: str, code: int, reason: str) -> None:
    ended = run(arguments)
    assert (ended.returncode, ended.stdout) == (code, "")
    assert re.fullmatch(rf"demo: .*{re.escape(reason)}.*\n", ended.stderr)


def test_auto_is_the_cluster_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUTILITY_BOOTSTRAP_SERVERS", "127.0.0.1:9")
    ended = run("broker='auto'")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert re.fullmatch(r"demo: no Kafka broker answers at 127\.0\.0\.1:9 .*\n", ended.stderr)


def test_a_missing_extra_is_named_with_what_installs_it() -> None:
    hidden = f"import sys; sys.modules['sklearn'] = None; {RUN.format('')}"
    ended = subprocess.run(
        [sys.executable, "-c", hidden], capture_output=True, text=True, timeout=200, check=False, env=environment()
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert re.fullmatch(r"demo: .*visutility-streams\[demo\].*\n", ended.stderr)


@pytest.mark.timeout(240)
def test_ctrl_c_ends_it_and_its_dashboard_with_one_line_and_leaves_no_process_behind() -> None:
    running = subprocess.Popen(
        command("broker='embedded'"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        start_new_session=True,
    )
    assert running.stdout is not None
    told = ""
    while "serves with version" not in told or "dashboard: " not in told:
        assert running.poll() is None
        told += running.stdout.readline()
    address = re.search(r"dashboard: (http://127\.0\.0\.1:\d+/)#token=", told)
    assert address is not None
    with urlopen(f"{address[1]}api/v1/health/live", timeout=10) as answer:
        assert answer.status == 200
    os.killpg(running.pid, signal.SIGINT)
    _, complaint = running.communicate(timeout=200)
    assert running.returncode == 1
    assert complaint.endswith("demo: stopped before the end\n")
    assert "Traceback" not in complaint
    while has_processes(running.pid):  # the interpreter's own resource tracker ends a moment later
        time.sleep(0.1)


def has_processes(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
