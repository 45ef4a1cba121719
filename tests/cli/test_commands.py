"""The command line where no broker is needed: exit status, one-line reasons, one JSON document."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from schemas.topics import TOPICS
from tests.backtest.events import metrics, quiet, write
from tests.cli.running import visutility

ROOT = Path(__file__).parents[2]
COMMANDS = [
    "demo", "worker", "backtest", "sweep", "retrain", "pause", "resume", "topics create", "dlq retry", "schemas export",
    "models list", "models show", "models promote", "models rollback", "models retire", "models register",
    "runs list", "runs show", "runs export", "lineage", "alerts list", "alerts mute", "alerts unmute",
    "alerts acknowledge", "alerts mutes",
]  # fmt: skip
NEED_A_BROKER = [
    "topics create", "topics check", "dlq list", "pause m", "retrain m", "models list", "models show m",
    "models promote m 1", "models rollback m", "models retire m", "runs list", "runs show r", "runs export runs.csv",
    "lineage m 1", "alerts list", "alerts mutes", "alerts mute m --for 1h --reason r", "alerts unmute i",
    "alerts acknowledge m silence",
]  # fmt: skip


def test_the_version_is_told() -> None:
    ran = visutility("--version")
    assert (ran.status, ran.out.split()[0]) == (0, "visutility")


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_with_an_example(command: str) -> None:
    ran = visutility(*command.split(), "--help")
    assert ran.status == 0
    assert f"visutility {command}" in ran.out.split("Example")[1]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["dmeo"], "No such command 'dmeo'. Did you mean 'demo'?"),
        (["topics", "creat"], "No such command 'creat'. Did you mean 'create'?"),
        (["backtest", "--jsn", "x.jsonl"], "No such option: --jsn (Possible options: --json, --set)"),
        (["backtest"], "Missing argument 'SOURCE'."),
        (["worker", "--agents", "monitr"],
         "--agents[0]: expected 'monitor', 'retrain', 'tuner' or 'runner', got 'monitr'"),
        (["worker", "--bootstrap", "kafka"],
         "Kafka's address: expected HOST:PORT, or several separated by commas, got 'kafka'"),
        (["record", "--to", "x.jsonl", "--from", "yesterday"],
         "Kafka's address: expected HOST:PORT, or several separated by commas, got 'yesterday'"),
        (["backtest", "absent.jsonl"], "absent.jsonl: cannot be read: No such file or directory"),
        (["backtest", "events.csv"], "events.csv: cannot be read: No such file or directory"),
        (["backtest", "x.jsonl", "-c", "absent.toml"], "absent.toml: cannot be read: No such file or directory"),
        (["rebuild", "--stage", "monitr"],
         "--stage 'monitr' is no stage with a state: expected one of monitor, retrain, tuner; did you mean 'monitor'?"),
        (["dlq", "retry"], "which ones? give the ids that dlq list shows, or --all"),
        (["dlq", "retry", "--all", "some-id"], "which ones? give the ids that dlq list shows, or --all"),
    ],
)  # fmt: skip
def test_wrong_usage_and_bad_input_end_with_status_2_and_the_reason(arguments: list[str], reason: str) -> None:
    ran = visutility(*arguments)
    assert (ran.status, ran.out, ran.err) == (2, "", f"visutility: {reason}\n")


@pytest.mark.parametrize("command", ["worker", *NEED_A_BROKER])
def test_a_command_that_needs_a_broker_says_how_to_name_one(command: str) -> None:
    ran = visutility(*command.split())
    assert ran.status == 2
    assert "--bootstrap HOST:PORT" in ran.err


@pytest.mark.parametrize("command", NEED_A_BROKER)
def test_a_broker_that_is_away_is_a_failure(command: str) -> None:
    ran = visutility(*command.split(), "--bootstrap", "127.0.0.1:1")
    assert ran.status == 1
    assert "127.0.0.1:1" in ran.err


def test_a_backtest_prints_one_document(folder: Path) -> None:
    events = [metrics(second, value) for second, value in enumerate([*quiet(2), *[0.65] * 50])]
    file = write(folder / "events.jsonl", [*events, b"{"])
    document = visutility("backtest", file, "--json").json
    assert set(document) == {
        "events_read", "dead_letters", "drift", "retrain", "alerts", "elapsed_seconds", "events_per_second",
        "summary",
    }  # fmt: skip
    assert document["events_read"] == 651
    (request,) = document["retrain"]
    assert request["cause_ids"][0] == document["drift"][0]["cause"]["event_id"]
    assert document["drift"][0]["cause"] | {"event_id": ""} == {
        "event_id": "", "topic": "events.jsonl", "partition": 0, "offset": 601,
    }  # fmt: skip
    assert [letter["offset"] for letter in document["dead_letters"]] == [651]


def test_a_backtest_in_processes_prints_the_same_and_says_what_it_cannot_do(folder: Path) -> None:
    events = [metrics(second, value, model) for model in "abc" for second, value in enumerate([*quiet(2), 0.65])]
    file = write(folder / "events.jsonl", events)
    one, two = (visutility("backtest", file, "--json", "--processes", count).json for count in ("1", "2"))
    assert {**one, "elapsed_seconds": 0, "events_per_second": 0} == {
        **two,
        "elapsed_seconds": 0,
        "events_per_second": 0,
    }
    assert len(one["drift"]) == 3
    refused = visutility("backtest", file, "--processes", "2", "--compare", "a.toml", "b.toml")
    assert (refused.status, len(refused.err.splitlines())) == (2, 1)
    refused = visutility("backtest", file, "--processes", "2", "--report", folder / "page.html")
    assert refused.err == "visutility: --processes: expected 1 beside --labels, --report, --plot and --compare\n"


def test_a_backtest_for_people_tells_what_was_found(folder: Path) -> None:
    ran = visutility("backtest", write(folder / "events.jsonl", [metrics(0, 0.9), b"{"]))
    assert ran.status == 0
    assert "line 2: value: expected a JSON object" in ran.out
    assert "0 on drift, 0 retrain requests, 0 alerts, 1 dead letters\n" in ran.out


def test_a_backtest_uses_the_settings(folder: Path) -> None:
    (folder / "mine.toml").write_text("[[retrain]]\nname = 'floor'\nmin = { accuracy = 0.95 }")
    file = write(folder / "events.jsonl", [metrics(0, 0.9)])
    document = visutility("backtest", file, "--config", "mine.toml", "--json").json
    assert [request["rule"] for request in document["retrain"]] == ["floor"]
    assert visutility("backtest", file, "--json").json["retrain"] == []


def test_every_message_has_its_schema(folder: Path) -> None:
    written = visutility("schemas", "export", folder / "out", "--json").json["files"]
    schemas = {Path(file).name.removesuffix(".schema.json"): json.loads(Path(file).read_text()) for file in written}
    assert set(schemas.pop("asyncapi.json")["channels"]) == set(TOPICS)
    wanted = {message.model_fields["type"].default for spec in TOPICS.values() for message in spec.classes}
    assert set(schemas) == wanted
    assert schemas["external_drift"]["x-topics"] == ["metrics", "drift"]
    assert schemas["metrics"]["properties"]["accuracy"] == TypeAdapter(dict).validate_python(
        TOPICS["metrics"].classes[0].model_json_schema()["properties"]["accuracy"]
    )


def test_the_topics_are_listed_with_their_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUTILITY_TOPIC_PREFIX", "mine.")
    listed = {topic["name"]: topic for topic in visutility("topics", "list", "--json").json["topics"]}
    assert {f"mine.{name}" for name in TOPICS} < set(listed)
    assert listed["mine.models"]["cleanup"] == "compact"
    assert listed["mine.monitor-internal"]["partitions"] == 4


def test_a_reader_that_has_seen_enough_is_no_error(folder: Path) -> None:
    file = write(folder / "events.jsonl", [b"{"] * 5_000)
    command = f"{sys.executable} -m agents.cli.main backtest {file} --json | head -c 1"
    ran = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert (ran.stdout, ran.stderr) == ("{", "")
