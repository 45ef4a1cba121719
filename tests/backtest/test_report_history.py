"""The history behind a report: the values that the monitor saw, in the windows that it had."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest

from agents.backtest import BacktestResult, backtest
from agents.backtest.report import History
from agents.backtest.report.history import SeriesKey
from agents.backtest.report.sampling import MEAN, STD, TIME, VALUE, Rows
from agents.settings import MonitorRule, RetrainRule, Settings, WindowSettings
from agents.settings.rules import DetectorSettings
from tests.backtest.events import START, metrics, quiet

SMALL = WindowSettings(size=60, min_samples=5)
SETTINGS = Settings(
    monitor=[
        MonitorRule(window=SMALL, detector=DetectorSettings(name="z_score", threshold=1.5)),
        MonitorRule(metric="error", window=SMALL, detector=DetectorSettings(name="z_score", threshold=1.5)),
        MonitorRule(metric="rmse", window=SMALL, detector=DetectorSettings(name="z_score", threshold=1.5)),
        MonitorRule(metric="predictions.score", window=SMALL, detector=DetectorSettings(name="z_score", threshold=1.5)),
    ],
    retrain=[RetrainRule(min={"recall": 0.9}, min_average_precision_recall=0.9)],
)

Series = dict[SeriesKey, Rows]


def run(events: Iterable[Any], settings: Settings = SETTINGS) -> tuple[BacktestResult, Series]:
    history = History(settings)
    result = backtest(events, settings, observer=history.observe)
    return result, {course.key: course.rows for course in history.courses()}


def check_against_messages(result: BacktestResult, series: Series) -> int:
    """Each finding's window is that of a row, digit for digit; returns how many."""
    findings = [message for message in result.drift if message.get("window")]
    for message in findings:
        segment = message["segment"]
        label = "region" if segment else ""
        key = SeriesKey(message["model_name"], message["model_version"], message["metric"], segment, label)
        seen = {(row[VALUE], row[MEAN], row[STD]) for row in series[key]}
        window = message["window"]
        assert (message["value"], window["mean"], window["std"]) in seen, message
    return len(findings)


@pytest.mark.parametrize("compact", [True, False])
def test_means_and_deviations_are_the_monitors_own(compact: bool) -> None:
    values = [*quiet(1, 300), *[0.7] * 30, *quiet(2, 100)]
    events = [metrics(at, value, recall=value, precision=1 - value / 9) for at, value in enumerate(values)]
    if compact:  # what has its time in epoch seconds is decoded the quick way
        events = [event | {"timestamp": START.timestamp() + at} for at, event in enumerate(events)]
    result, series = run(events)
    assert check_against_messages(result, series) > 40
    assert {key.metric for key in series} == {"accuracy", "recall", "precision", "average_precision_recall"}
    rows = series[SeriesKey("digits", "", "accuracy")]
    assert rows[:, VALUE].tolist() == values
    assert rows[[0, -1], TIME].tolist() == [START.timestamp() * 1000, (START.timestamp() + len(values) - 1) * 1000]


def test_versions_that_the_monitor_forgot_begin_a_window_anew() -> None:
    random = Random(3)
    events: list[dict[str, Any]] = []
    for round_number in range(3):
        for version in "abcde":
            for _ in range(30):
                at = len(events)
                events.append(metrics(at, 0.9 + random.gauss(0, 0.01) - 0.1 * round_number, model_version=version))
    result, series = run(events)
    assert check_against_messages(result, series) > 30
    assert all(len(series[SeriesKey("digits", version, "accuracy")]) == 90 for version in "abcde")


def test_a_version_not_seen_for_too_long_begins_a_window_anew() -> None:
    settings = SETTINGS.model_copy(update={"version_retention": timedelta(seconds=50)})
    events = []
    for first, version, level in ((0, "a", 0.9), (100, "b", 0.9), (200, "a", 0.7), (240, "b", 0.7), (280, "a", 0.8)):
        values = quiet(first + 1, 30)
        events += [metrics(first + at, value - 0.93 + level, model_version=version) for at, value in enumerate(values)]
    for compact in (False, True):
        given = [event | {"timestamp": _seconds(event)} for event in events] if compact else events
        result, series = run(given, settings)
        assert check_against_messages(result, series) > 10
        assert len(series[SeriesKey("digits", "a", "accuracy")]) == 90


def _seconds(event: dict[str, Any]) -> float:
    return datetime.fromisoformat(event["timestamp"]).timestamp()


def test_what_an_operator_resets_begins_a_window_anew() -> None:
    order = {"type": "operator_action", "model_name": "digits", "action": "reset", "actor": "ann"}
    for action in ("reset", "retire"):
        halves = [
            [metrics(at, value - shift) for at, value in enumerate(quiet(1, 80), start=first)]
            for first, shift in ((0, 0.0), (100, 0.3))
        ]
        middle = {**order, "action": action, "timestamp": metrics(90, 1)["timestamp"]}
        result, series = run([*halves[0], middle, *halves[1]])
        assert check_against_messages(result, series) > 2
        assert result.dead_letters == []


def test_outcomes_and_late_labels_are_in_the_window_of_the_version_that_predicted() -> None:
    random, events = Random(4), []
    for number in range(240):
        time = metrics(number, 1)["timestamp"]
        common = {"model_name": "m", "timestamp": time}
        truth, guess = random.random(), random.random()
        if number % 2:
            events.append({"type": "outcomes", "y_true": [1, 0, truth], "y_pred": [1, 0, guess], **common})
        events.append({"type": "prediction", "prediction_id": str(number), "y_pred": guess, "score": guess,
                       "model_version": str(number // 120), **common})  # fmt: skip
        if number >= 20:
            events.append({"type": "label", "prediction_id": str(number - 20), "y_true": truth, **common})
    result, series = run(events)
    assert check_against_messages(result, series) > 10
    assert {key.metric for key in series} == {"error", "rmse", "predictions.score"}
    assert {key.version for key in series} == {"", "0", "1"}


def test_an_outcome_lies_at_its_own_time_where_it_has_one() -> None:
    moments = [metrics(second, 1)["timestamp"] for second in (3, 5)]
    own = {"type": "outcomes", "model_name": "m", "timestamp": moments[1], "y_true": [1, 1], "y_pred": [1, 0]}
    _, series = run([{**own, "timestamps": moments}, own])
    (rows,) = (rows for key, rows in series.items() if key.metric == "error")
    assert ((rows[:, TIME] / 1000 - START.timestamp()).round()).tolist() == [3, 5, 5, 5]


def test_segments_have_courses_of_their_own_as_far_as_the_monitor_keeps_them() -> None:
    rule = SETTINGS.monitor[0].model_dump(exclude={"name"}) | {"segment_by": "region"}
    by_region = [*SETTINGS.monitor, MonitorRule(**rule)]
    by_region.append(MonitorRule(**(rule | {"metric": "error"})))
    settings = SETTINGS.model_copy(update={"monitor": by_region, "segment_limit": 2})
    random, events = Random(8), []
    for number, value in enumerate(quiet(8, 300)):
        region: dict[str, Any] = {"labels": {"region": "abc"[number % 3]}}
        common = {"model_name": "digits"}
        time = metrics(number, 1)["timestamp"]
        events.append(metrics(number, value - 0.1 * (number > 200), **region))
        half = {"prediction_id": str(number), "timestamp": time, **common}
        if number % 5 == 0:  # compact outcomes: no labels, epoch seconds
            own = {"timestamp": START.timestamp() + number, "y_true": [1, 0], "y_pred": [1, number % 2]}
            events.append({"type": "outcomes", **common, **own})
        events.append({"type": "prediction", "y_pred": 1, **half, **region})
        events.append({"type": "label", "y_true": int(random.random() < 0.9), **half})
    result, series = run(events, settings)
    assert check_against_messages(result, series) > 20
    assert {message["segment"] for message in result.drift} == {"", "a", "b"}
    assert {(key.metric, key.segment) for key in series} >= {("accuracy", "a"), ("accuracy", "b"), ("error", "b")}
    assert {key.segment for key in series} == {"", "a", "b"}


def test_metrics_beyond_those_that_the_monitor_keeps_are_left_out() -> None:
    extras = {f"x{number}": 1.0 for number in range(60)}
    _, series = run([metrics(0, 0.9, extras=extras) | {"timestamp": START.timestamp()}])
    assert len(series) == 50


def test_series_share_what_a_page_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.backtest.report.history.ALL_BUCKETS", 128)
    events = [metrics(at, value, model) for at, value in enumerate(quiet(5, 500)) for model in "abcd"]
    _, series = run(events)
    assert all(100 < len(rows) <= 6 * 32 for rows in series.values())
    _, alone = run([event for event in events if event["model_name"] == "a"])
    assert len(alone[SeriesKey("a", "", "accuracy")]) == 500
