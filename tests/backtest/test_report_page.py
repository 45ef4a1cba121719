"""The report's page: complete, safe whatever names are in it, the same each time, and nothing fetched."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from agents.backtest import backtest
from agents.backtest.report import History, Report, Window, page, score_row, settings_text, windows_of
from agents.backtest.report.document import ModelCourse, charted, models_of, reasons_of, rounded
from agents.backtest.report.labelled import LabelLike
from agents.backtest.report.marks import KINDS, MOST_MARKS, Mark, thinned
from agents.backtest.sources import EventLike
from agents.settings import MonitorRule, RetrainRule, Settings, WindowSettings
from agents.settings.rules import DetectorSettings
from tests.backtest.events import START, metrics, quiet

EVIL = "</script><img src=x onerror=alert(1)><!--"

FALL = [metrics(second, value) for second, value in enumerate([*quiet(2), *[0.65] * 50])]


def report_of(events: Iterable[EventLike], settings: Settings | None = None, **more: Any) -> Report:
    settings = settings or Settings()
    history = History(settings)
    result = backtest(events, settings, observer=history.observe)
    return Report("events.jsonl", "ab" * 32, settings_text(settings), result, history, **more)


def data_of(html: str) -> dict[str, Any]:
    """The data in a page, by the element's id."""
    found = re.findall(r'<script type="application/json" id="([\w-]+)">(.*?)</script>', html, re.DOTALL)
    return {identity: json.loads(text) for identity, text in found}


def index_row(html: str, model: str) -> list[Any]:
    (row,) = (row for row in data_of(html)["summary"]["index"] if row[0] == model)
    return list(row)


@pytest.fixture(scope="module")
def fallen() -> str:
    return page(report_of([*FALL, "no JSON", "no JSON", {"type": "metrics"}], windows=windows_around_the_fall()))


def windows_around_the_fall() -> dict[str, Sequence[Window]]:
    return {"digits": [Window(START + timedelta(seconds=600), START + timedelta(seconds=650))], "nobody": []}


def test_the_page_has_each_models_course_with_its_marks_and_labels(fallen: str) -> None:
    data = data_of(fallen)
    (chart,) = data["model-0"]["charts"]
    (series,) = chart["series"]
    assert (chart["metric"], chart["detector"], chart["deviations"], chart["size"]) == ("accuracy", "z_score", 3.0, 500)
    assert (len(series["t"]), series["count"], series["width"]) == (650, 650, 1)
    assert series["v"][:3] == quiet(2)[:3]
    assert sum(series["t"]) == (START.timestamp() + 649) * 1000
    first = chart["marks"][0]
    assert (KINDS[first[0]], first[1], first[2]) == ("drift", (START.timestamp() + 600) * 1000, 0.65)
    assert [KINDS[mark[0]] for mark in data["model-0"]["marks"]][:1] == ["retrain"]
    assert data["model-0"]["labels"] == [[(START.timestamp() + second) * 1000 for second in (600, 650)] + [""]]


def test_the_page_tells_what_it_is_of(fallen: str) -> None:
    assert "Backtest of events.jsonl" in fallen
    assert "ab" * 32 in fallen
    assert data_of(fallen)["summary"]["events"] == 653
    assert "<td>value: expected a JSON object, got invalid JSON" in fallen
    assert "events:651, events:652" in fallen
    assert "[[monitor]]" in fallen
    assert "no event is of: nobody" in fallen


def test_nothing_is_fetched_and_no_other_script_may_run(fallen: str) -> None:
    assert (
        re.findall(r"""\b(?:src|href)\s*=\s*["']?[a-z/]""", re.sub(r"<script.*?</script>", "", fallen, flags=re.DOTALL))
        == []
    )
    assert set(re.findall(r"""https?://[^"'\s]*""", fallen)) == {"http://www.w3.org/2000/svg"}
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', fallen)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


def test_names_and_reasons_can_end_no_script_and_begin_no_element() -> None:
    report = report_of(
        [
            metrics(1, 0.9, EVIL, model_version=EVIL, extras={EVIL: 1.0}),
            {"type": "inference_failure", "model_name": EVIL, "timestamp": START.isoformat(), "error": EVIL},
            {"type": EVIL, "model_name": "x"},
        ],
        Settings(monitor=[MonitorRule(models=EVIL)]),
        windows={EVIL + "2": [Window(START, START)]},
        scores=[{"Settings": EVIL}],
    )
    html = page(replace(report, source=EVIL))
    assert "<img" not in html
    assert "<!--" not in html
    assert html.count("</script>") == html.count("<script")
    assert index_row(html, EVIL)[0] == EVIL
    (chart, *_) = data_of(html)["model-0"]["charts"]
    assert chart["series"][0]["version"] == EVIL


def test_the_same_events_give_the_same_bytes_however_they_are_batched(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [metrics(at, value, model) for at, value in enumerate(quiet(6, 200)) for model in ("b", "a", "c")]
    whole = page(report_of(events))
    monkeypatch.setattr("agents.backtest.replay.BATCH_RECORDS", 7)
    monkeypatch.setattr("agents.backtest.report.history._WAITING", 5)
    monkeypatch.setattr("agents.backtest.report.history._ALL_WAITING", 11)
    assert page(report_of(events)) == whole


def test_the_index_counts_what_was_said_of_each_model(fallen: str) -> None:
    row, result = index_row(fallen, "digits"), report_of(FALL).result
    drifts = [message for message in result.drift if message["direction"] == "worse"]
    assert row[:4] == ["digits", 1, 1, 650]
    assert (row[4][KINDS.index("drift")], row[4][KINDS.index("retrain")]) == (len(drifts), 1)
    assert row[5] == (START.timestamp() + 600) * 1000
    assert len(row[6]) == 48


def test_a_page_without_any_event_can_be_made() -> None:
    html = page(report_of([]))
    assert data_of(html)["summary"]["index"] == []


def test_of_too_many_charts_those_with_findings_are_kept() -> None:
    events = [metrics(at, 0.9, f"m{number}") for at in range(2) for number in range(5)]
    report = report_of(events, Settings(retrain=[RetrainRule(models="m3", min={"accuracy": 0.95})]))
    assert charted(models_of(report), 1) == {"m3"}
    assert charted(models_of(report), 5) == {f"m{number}" for number in range(5)}


def test_of_too_many_marks_the_extremes_are_kept() -> None:
    marks = [Mark("breach", at, "", "accuracy", "", 0.5, None, "") for at in range(5_000)]
    marks[1234] = marks[1234]._replace(value=0.1)
    marks += [Mark("drift", 77, "", "accuracy", "", 0.9, None, "")]
    kept = thinned(marks)
    assert len(kept) <= MOST_MARKS + 1
    assert {mark.value for mark in kept} == {0.1, 0.5, 0.9}
    assert [mark.time for mark in kept] == sorted(mark.time for mark in kept)


def test_findings_of_a_metric_stay_with_it_and_requests_are_the_models() -> None:
    model = ModelCourse("m", {("accuracy", ""): []})
    own = Mark("drift", 0, "", "accuracy", "", 1.0, None, "")
    other, request = own._replace(metric="gone"), own._replace(kind="retrain")
    model.marks = [own, other, request]
    assert model.of_chart("accuracy", "") == [own]
    assert model.of_whole == [other, request]


def test_dead_letters_are_counted_by_reason_the_most_frequent_first() -> None:
    letters = [{"reason": reason, "topic": "f", "offset": at} for at, reason in enumerate("abbbbbbb")]
    assert reasons_of(letters) == [("b", 7, "f:1, f:2, f:3, f:4, f:5"), ("a", 1, "f:0")]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ([0.123456789, 1.123456789], [0.123457, 1.123457]),
        ([1e9 + 0.25, 1e9 + 1.25], [1e9 + 0.25, 1e9 + 1.25]),
        ([1 / 3, 1 / 3], [1 / 3, 1 / 3]),
        ([-1.7e308, 1.7e308], [-1.7e308, 1.7e308]),
        ([1e-200, 3e-200], [1e-200, 3e-200]),
    ],
)
def test_numbers_are_rounded_to_a_millionth_of_their_range(column: list[float], expected: list[float]) -> None:
    assert rounded(np.array(column)) == expected


def test_labels_become_windows_of_time() -> None:
    class Point:
        def __init__(self, begin: Any, end: Any, metric: str = "") -> None:
            self.begin, self.end, self.metric = begin, end, metric

    labels: list[LabelLike] = [Point(3, 5), Point(START, None, "f1_score")]
    assert windows_of(labels, lambda number: START + timedelta(days=number)) == [
        Window(START + timedelta(days=3), START + timedelta(days=5), ""),
        Window(START, START, "f1_score"),
    ]


def test_scores_are_a_table_with_a_dash_where_there_is_no_figure() -> None:
    score = {"labels": 4, "found": 3, "precision": 0.75, "delay": {"events": {"median": 12.0, "p90": None}}}
    row = score_row("z_score", score)
    assert (row["Settings"], row["Found"], row["Median delay"], row["F1"]) == ("z_score", 3, 12.0, None)
    html = page(replace(report_of([]), scores=[row]))
    assert re.search(r"<td>z_score</td><td class=\"n\">4</td><td class=\"n\">3</td>.*<td class=\"n\">–</td>", html)


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(
            monitor=[
                MonitorRule(models='a"\\\x7f*', metric="extras.größe", window=WindowSettings(size=20, min_samples=5)),
                MonitorRule(name="own", metric="error", detector=DetectorSettings(name="ddm")),
                MonitorRule(detector=DetectorSettings(name="z_score", threshold=1e-7)),
            ],
            retrain=[
                RetrainRule(external_drift=None, min={"extras.a.b": 1e20}, cooldown=timedelta(hours=1, seconds=3))
            ],
            retrain_budget_per_hour=3,
        ),
    ],
)
def test_the_settings_of_a_report_read_back_as_the_same(settings: Settings) -> None:
    text = settings_text(settings)
    read = Settings(**tomllib.loads(text))
    assert (read.monitor, read.retrain) == (settings.monitor, settings.retrain)
    assert read.retrain_budget_per_hour == settings.retrain_budget_per_hour
    assert settings_text(read) == text
