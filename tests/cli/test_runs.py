"""`visutility runs` on a broker: what trainers recorded, in a table, in full, and in a file."""

from __future__ import annotations

import asyncio
import csv
import json
from pathlib import Path

import pytest

from agents.settings import Settings
from agents.tracking import JsonlStore, Tracker
from agents.tracking.kafka import KafkaStore
from tests.cli.running import visutility


@pytest.fixture
def recorded(settings: Settings) -> list[str]:
    """The ids of two runs on the topic: one of `digits` that has ended, one of `letters` that has not."""

    async def record() -> list[str]:
        tracker = Tracker(await KafkaStore.open(settings.bootstrap_servers or "", settings.topic_prefix))
        first = await tracker.start_run({"lr": 0.1, "act": "tanh"}, {"why": "x"}, model_name="digits")
        for epoch, loss in enumerate((0.7, 0.4)):
            await tracker.log_epoch_metrics(first, epoch, {"loss": loss})
        await tracker.end_run(first, {"accuracy": 0.9})
        second = await tracker.start_run(model_name="letters")
        await tracker.close()
        return [first, second]

    return asyncio.run(record())


def test_runs_are_listed_with_their_newest_metrics(recorded: list[str]) -> None:
    listed = visutility("runs", "list", "--json").json["runs"]
    assert {run["run_id"] for run in listed} == set(recorded)
    (digits,) = visutility("runs", "list", "--model", "digits", "--json").json["runs"]
    assert (digits["state"], digits["epochs"], digits["metrics"]) == ("ended", 2, {"loss": 0.4, "accuracy": 0.9})
    out = visutility("runs", "list").out
    assert "loss 0.4, accuracy 0.9" in out
    assert recorded[1] in out


def test_one_run_is_shown_epoch_by_epoch(recorded: list[str]) -> None:
    run = visutility("runs", "show", recorded[0], "--json").json
    assert (run["params"], run["tags"]) == ({"lr": 0.1, "act": "tanh"}, {"why": "x"})
    assert run["epochs"] == {"0": {"loss": 0.7}, "1": {"loss": 0.4}}
    out = visutility("runs", "show", recorded[0]).out
    assert "params: lr=0.1, act=tanh" in out
    assert "1      0.4" in out


def test_an_unknown_run_is_bad_input(settings: Settings) -> None:
    ran = visutility("runs", "show", "digits_4_0")
    assert (ran.status, ran.err) == (2, "visutility: no run 'digits_4_0'; runs list shows those that are there\n")
    assert visutility("runs", "list").out == "no runs\n"


def test_exported_messages_are_a_store_of_their_own(recorded: list[str], folder: Path) -> None:
    assert visutility("runs", "export", "runs.jsonl", "--model", "digits", "--json").json["runs"] == recorded[:1]

    async def read() -> object:
        tracker = Tracker(JsonlStore(folder / "runs.jsonl"))
        runs = await tracker.runs()
        await tracker.close()
        return [run.model_dump(mode="json") for run in runs]

    assert asyncio.run(read()) == [visutility("runs", "show", recorded[0], "--json").json]


def test_exported_values_are_a_table(recorded: list[str], folder: Path) -> None:
    assert visutility("runs", "export", "runs.csv", "--run", recorded[0]).status == 0
    rows = csv.DictReader((folder / "runs.csv").read_text().splitlines())
    values = {(row["kind"], row["epoch"], row["name"]): row["value"] for row in rows}
    assert values == {
        ("param", "", "lr"): "0.1", ("param", "", "act"): "tanh", ("tag", "", "why"): "x",
        ("metric", "0", "loss"): "0.7", ("metric", "1", "loss"): "0.4", ("final", "", "accuracy"): "0.9",
    }  # fmt: skip


def test_a_file_of_another_kind_is_refused_before_anything_is_read(folder: Path) -> None:
    ran = visutility("runs", "export", "runs.parquet", "--bootstrap", "127.0.0.1:1")
    assert (ran.status, ran.err) == (2, "visutility: runs.parquet: expected a file named .jsonl or .csv\n")
    assert json.dumps(sorted(path.name for path in folder.iterdir())) == "[]"
