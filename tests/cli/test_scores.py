"""`visutility backtest` with labels, single settings and several settings; `visutility sweep`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.backtest.events import metrics, quiet, write
from tests.cli.running import visutility

EVENTS = [metrics(60 * n, value) for n, value in enumerate([*quiet(2, 200), *[0.65] * 50])]
OUTCOMES = [
    {"type": "outcomes", "model_name": model, "timestamp": metrics(60 * n, 0)["timestamp"], "y_true": [0] * 5,
     "y_pred": [int((n * 7 + k * 3) % 10 < (1 if n < 40 or n >= 80 else 5)) for k in range(5)]}
    for model in ("a", "b") for n in range(120)
]  # fmt: skip


@pytest.fixture
def files(folder: Path) -> Path:
    write(folder / "events.jsonl", EVENTS)
    write(folder / "outcomes.jsonl", OUTCOMES)
    (folder / "labels.json").write_text('{"digits": [200], "a": [200, 400], "b": [200, 400]}')
    (folder / "strict.toml").write_text("[[monitor]]\ndetector = { threshold = 6.0 }\n")
    return folder


def test_labels_add_scores_beside_the_contracts_keys(files: Path) -> None:
    document = visutility("backtest", "events.jsonl", "--labels", "labels.json", "--max-delay", "20", "--json").json
    assert set(document) == {
        "events_read", "dead_letters", "drift", "retrain", "alerts", "elapsed_seconds", "events_per_second",
        "summary", "scores",
    }  # fmt: skip
    assert document["scores"]["total"]["found"] == 1
    assert document["scores"]["rules"]["max_delay"] == "20 events"
    assert document["summary"]["total"]["drift_alarms"] == len(document["drift"])


def test_the_max_delay_is_always_told(files: Path) -> None:
    assert (
        "max delay: 500 events; repeated alarms ignored"
        in visutility("backtest", "events.jsonl", "--labels", "labels.json").out
    )
    assert "in drift, at most 0 trials" in visutility("backtest", "events.jsonl").out


def test_one_setting_is_changed_on_the_command_line(files: Path) -> None:
    loose = visutility("backtest", "events.jsonl", "--set", "monitor[0].detector.threshold=2.5", "--json").json
    assert len(loose["drift"]) > len(visutility("backtest", "events.jsonl", "--json").json["drift"])
    ran = visutility("backtest", "events.jsonl", "--set", "monitor[0].detectr.threshold=2.5")
    assert (ran.status, "did you mean monitor[0].detector?" in ran.err) == (2, True)


def test_several_settings_stand_side_by_side(files: Path) -> None:
    arguments = ("backtest", "events.jsonl", "--compare", "strict.toml", "loose.toml")
    (files / "loose.toml").write_text("[[monitor]]\ndetector = { threshold = 2.5 }\n")
    strict, loose = visutility(*arguments, "--json", "--labels", "labels.json").json["compare"]
    assert (strict["settings"], loose["settings"]) == ("strict.toml", "loose.toml")
    alone = visutility("backtest", "events.jsonl", "--config", "strict.toml", "--json").json
    assert strict["drift"] == alone["drift"] != loose["drift"]
    out = visutility(*arguments, "--labels", "labels.json").out
    (row,) = [line.split() for line in out.splitlines() if line.startswith("drift alarms")]
    assert row[2:] == [str(len(strict["drift"])), str(len(loose["drift"]))]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--labels", "absent.json"), "absent.json: cannot be read"),
        (("--labels", "other.json"), "knows none of the models in the source (digits); it knows x"),
        (("--labels", "labels.json", "--max-delay", "soon"), "--max-delay: expected a number of events"),
        (("--labels", "labels.json", "--repeats", "no"), "--repeats: expected ignored or false, got 'no'"),
        (("second.jsonl",), "one SOURCE at a time: what is second.jsonl?"),
        (("--compare", "absent.toml"), "absent.toml: cannot be read"),
    ],
)
def test_what_cannot_be_is_told_in_a_line(files: Path, arguments: tuple[str, ...], complaint: str) -> None:
    (files / "other.json").write_text('{"x": [1]}')
    ran = visutility("backtest", "events.jsonl", *arguments)
    assert ran.status == 2
    assert complaint in ran.err


def test_a_sweep_writes_settings_that_a_backtest_takes(files: Path) -> None:
    arguments = ("sweep", "outcomes.jsonl", "--labels", "labels.json", "--set", "monitor[0].metric=error",
                 "--max-delay", "100", "--detectors", "cusum,page_hinkley", "--trials", "5",
                 "--hold-back", "series")  # fmt: skip
    document = visutility(*arguments, "--write", "better.toml", "--json").json
    assert [each["detector"] for each in document["detectors"]] == ["cusum", "page_hinkley"]
    assert document["split"] == {"by": "series", "held_back": 0.5}
    winner = document["winner"]
    assert winner["fitting"]["labels"] == winner["held_back"]["labels"] == 2
    ran = visutility(
        "backtest",
        "outcomes.jsonl",
        "--config",
        "better.toml",
        "--labels",
        "labels.json",
        "--max-delay",
        "100",
        "--json",
    ).json
    series = {each["model"]: each for each in ran["scores"]["series"]}
    for part, model in (("fitting", "a"), ("held_back", "b")):
        assert winner[part] == {name: series[model][name] for name in winner[part]}
    out = visutility(*arguments).out
    assert "Pareto front" in out
    assert "max delay: 100 events" in out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--detectors", "cusm"), "unknown detector 'cusm' (did you mean 'cusum'?)"),
        (("--hold-back", "some"), "--hold-back: expected time or series, got 'some'"),
        (("--space", "absent.toml"), "absent.toml: cannot be read"),
        (("--metric", "extras.auc"), "nothing to sweep: the source has no values of extras.auc"),
    ],
)
def test_a_sweep_that_cannot_be_is_told_in_a_line(files: Path, arguments: tuple[str, ...], complaint: str) -> None:
    ran = visutility("sweep", "outcomes.jsonl", "--labels", "labels.json", "--trials", "0", *arguments)
    assert ran.status == 2
    assert complaint in ran.err


def test_each_file_of_a_folder_may_be_a_model(files: Path) -> None:
    (files / "tables").mkdir()
    for name in ("one", "two"):
        rows = "".join(f"{n},{0.5 if n > 100 else 0.9 + n % 2 / 100}\n" for n in range(120))
        (files / "tables" / f"{name}.csv").write_text("t,value\n" + rows)
    (files / "tables.json").write_text(json.dumps({"one": [101], "two": [101]}))
    document = visutility(
        "backtest",
        "tables",
        "--map",
        "accuracy=value",
        "--model",
        "{file}",
        "--labels",
        "tables.json",
        "--json",
    ).json
    assert [each["model"] for each in document["scores"]["series"]] == ["one", "two"]
    assert document["scores"]["total"]["found"] == 2
