"""Predictions and labels that come apart: which are joined, what is told of the others, and what comes of the pairs."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.backtest import backtest
from agents.monitor.state import Series, window_of
from agents.settings import Settings
from schemas.drift import DriftDetected
from schemas.internal import OperatorAction
from schemas.message import Message
from schemas.metrics import Label, Outcomes, Prediction
from schemas.status import ModelStatus
from streams.parts import Parts
from streams.stage import Tick
from tests.monitor.driving import MODEL, Driven, alerts, at, heartbeat, metrics, of_type

HOUR = 3_600
DATA = Path(__file__).parents[3] / "shared" / "data" / "monitoring"


def prediction(
    name: str, y_pred: Any = 1, second: float = 0, version: str = "1", score: float | None = None
) -> Message:
    common: dict[str, Any] = {"model_name": MODEL, "model_version": version, "timestamp": at(second)}
    return Prediction(**common, prediction_id=name, y_pred=y_pred, score=score)


def label(name: str, y_true: Any = 1, second: float = 0) -> Label:
    return Label(model_name=MODEL, timestamp=at(second), prediction_id=name, y_true=y_true)


def counts(driven: Driven) -> dict[str, int]:
    """Those of the join that are not 0."""
    return {kind: count for kind, count in driven.state.counts.items() if count and kind not in ("prediction", "label")}


def errors(driven: Driven, version: str = "1") -> list[float]:
    return held(driven, "error", version)


def held(driven: Driven, metric: str, version: str = "1") -> list[float]:
    """The values in a window."""
    found: dict[str, Series] = next(each.series for each in driven.state.versions if each.name == version)
    values: list[float] = window_of(found[metric], Parts(driven.table)).values.tolist()
    return values


def test_a_prediction_and_its_label_are_an_outcome_whichever_comes_first() -> None:
    driven = Driven(Settings(label_horizon="1h"))
    driven.feed(prediction("a", 1), prediction("b", 1, 1), label("c", 0, 2))
    driven.feed(label("b", 0, 3), label("a", 1, 4), prediction("c", 0, 5))
    assert errors(driven) == [1.0, 0.0, 0.0]  # in the order in which they were complete
    assert counts(driven) == {"joined": 3}


def test_the_outcome_is_of_the_version_that_predicted_whatever_the_label_says() -> None:
    driven = Driven(Settings(label_horizon="1h"))
    driven.feed(prediction("a", version="1"), prediction("b", version="2", second=1))
    driven.feed(Label(model_name=MODEL, model_version="9", timestamp=at(2), prediction_id="b", y_true=0), label("a", 1))
    assert errors(driven, "2") == [1.0]
    assert errors(driven, "1") == [0.0]


def test_what_is_said_of_a_joined_outcome_names_the_version_that_predicted() -> None:
    driven = Driven(Settings(monitor=[{"metric": "error", "window": {"size": 20, "min_samples": 5}}]))
    for number in range(20):
        driven.feed(prediction(f"p{number}", 1, number), label(f"p{number}", int(number < 19), number))
    (drift,) = of_type(DriftDetected, driven.outputs)
    assert (drift.model_version, drift.metric, drift.direction, drift.timestamp) == ("1", "error", "worse", at(19))
    assert drift.cause.offset == 39  # the label


def test_a_second_prediction_or_label_of_an_id_counts_as_a_duplicate_and_the_first_stands() -> None:
    driven = Driven(Settings(label_horizon="1h"))
    driven.feed(prediction("a", 1), prediction("a", 0, 1), label("b", 1, 2), label("b", 0, 3))
    driven.feed(label("a", 1, 4), label("a", 0, 5), prediction("a", 0, 6))
    assert errors(driven) == [0.0]
    assert counts(driven) == {"joined": 1, "duplicate_predictions": 2, "duplicate_labels": 2, "unmatched_labels": 1}


def test_a_label_comes_too_late_once_the_models_time_is_a_horizon_further_on() -> None:
    for late, joined in ((HOUR, True), (HOUR + 0.001, False)):
        driven = Driven(Settings(label_horizon="1h"))
        driven.feed(prediction("a"), label("a", 1, late))
        assert ("joined" in counts(driven)) == joined
        assert counts(driven) == {"joined": 1} if joined else {"expired_predictions": 1, "unmatched_labels": 1}


def test_a_label_is_too_late_although_there_was_no_time_yet_to_remove_what_it_would_have_joined() -> None:
    driven = Driven(Settings(label_horizon="1h"))
    driven.feed(*(prediction(f"p{number}") for number in range(40)), label("p39", 1, HOUR + 1))
    assert counts(driven) == {"expired_predictions": 17, "unmatched_predictions": 23, "unmatched_labels": 1}
    driven.feed(label("x", 1, HOUR + 2), label("y", 1, HOUR + 3))
    assert driven.state.counts["expired_predictions"] == 40


def test_expiry_is_told_with_a_status_that_shows_the_counts() -> None:
    driven = Driven(Settings(label_horizon="1h"))
    driven.feed(*(prediction(f"p{number}", second=number) for number in range(30)), label("x", 1, 40))
    driven.feed(*(metrics(2 * HOUR + number) for number in range(3)))
    assert [kind for kind, _, _ in alerts(driven.outputs)] == [
        "expired_predictions",
        "expired_predictions",
        "expired_labels",
    ]
    status = of_type(ModelStatus, driven.outputs)[-1]
    assert (status.counts["expired_predictions"], status.counts["expired_labels"]) == (30, 1)
    assert status.counts["unmatched_predictions"] == 0
    assert [key for key in driven.table if key] == []  # nothing is left beside the state


def test_of_a_model_with_heartbeats_time_without_records_expires_too_a_bounded_number_a_tick() -> None:
    driven = Driven(Settings(label_horizon="1h"))
    driven.feed(*(prediction(f"p{number}") for number in range(2_500)))
    assert driven.deadline is None  # its next record would tell as well
    driven.feed(heartbeat(), Tick(300_000))
    assert driven.states()[-1] == "silent"
    assert driven.deadline == HOUR * 1_000 + 1
    driven.feed(Tick(HOUR * 1_000))
    assert counts(driven) == {"unmatched_predictions": 2_500, "heartbeat": 1}
    for tick, left in ((HOUR * 1_000 + 1, 1_500), (HOUR * 1_000 + 900, 500), (HOUR * 1_000 + 1_800, 0)):
        assert driven.deadline is not None
        assert driven.deadline <= tick
        driven.feed(Tick(tick))
        assert driven.state.counts["unmatched_predictions"] == left
        assert driven.deadline is None or driven.deadline > tick
    assert driven.deadline is None


def test_beyond_the_limit_the_oldest_are_given_up_and_that_is_told_once() -> None:
    driven = Driven(Settings(label_horizon="1h", label_limit=3))
    driven.feed(*(prediction(f"p{number}", second=number) for number in range(6)), label("p0"), label("p5"))
    assert ("waiting_limit", "warning", "firing") in alerts(driven.outputs)
    assert sum(kind == "waiting_limit" for kind, _, _ in alerts(driven.outputs)) == 1
    assert counts(driven) == {"unmatched_predictions": 1, "expired_predictions": 4, "unmatched_labels": 1, "joined": 1}


def test_retirement_deletes_what_waits_and_ends_its_alerts() -> None:
    driven = Driven(Settings(label_horizon="1h"))
    driven.feed(*(prediction(f"p{number}", second=number) for number in range(100)), label("p7", 1, 2 * HOUR))
    driven.feed(OperatorAction(model_name=MODEL, timestamp=at(2 * HOUR), action="retire", actor="ann"))
    assert alerts(driven.outputs)[-1] == ("expired_predictions", "info", "resolved")
    assert driven.data is None
    assert driven.table == {}


# The pairs are what `outcomes` would have been.

WATCHED = (
    "error",
    "log_loss",
    "rmse",
    "mae",
    *(f"outcomes.{name}" for name in ("accuracy", "precision", "recall", "f1_score")),
)
SMALL = {"window": {"size": 6, "min_samples": 3}, "detector": {"threshold": 1.2}}
ALL = Settings(monitor=[{"metric": metric, "name": metric} | SMALL for metric in WATCHED], label_horizon="1h")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1), st.sampled_from([0.0, 0.2, 0.9])), max_size=40),
    st.randoms(use_true_random=False),
)
def test_joined_pairs_give_what_outcomes_in_their_order_give(pairs: list[tuple[int, int, float]], random: Any) -> None:
    halves = [half for number in range(len(pairs)) for half in ((number, "p"), (number, "l"))]
    random.shuffle(halves)
    joined, complete, seen = Driven(ALL), list[tuple[int, int]](), set[int]()
    for second, (number, kind) in enumerate(halves):
        true, predicted, score = pairs[number]
        name = str(number)
        joined.feed(prediction(name, predicted, second, score=score) if kind == "p" else label(name, true, second))
        if number in seen:
            complete.append((number, second))
        seen.add(number)
    given_whole = Driven(ALL)
    for number, second in complete:
        true, predicted, score = pairs[number]
        common: dict[str, Any] = {"model_name": MODEL, "model_version": "1", "timestamp": at(second)}
        given_whole.feed(Outcomes(**common, y_true=[true], y_pred=[predicted], scores=[score]))
    assert [found_of(drift) for drift in of_type(DriftDetected, joined.outputs)] == [
        found_of(drift) for drift in of_type(DriftDetected, given_whole.outputs)
    ]
    if pairs:
        assert joined.state.versions[0].series == given_whole.state.versions[0].series
        windows = {key: value for key, value in joined.table.items() if not key.startswith(b"\xff")}
        assert windows == given_whole.table


def found_of(drift: DriftDetected) -> dict[str, Any]:
    """A finding without what depends on when and where its record came."""
    return drift.model_dump(exclude={"cause", "timestamp"})


def test_windows_of_outcome_metrics_have_the_numbers_that_scikit_learn_gives() -> None:
    from sklearn import metrics as reference

    rng = np.random.default_rng(4)
    true = rng.integers(0, 2, 200)
    scores = np.clip(0.3 + 0.4 * true + rng.normal(0, 0.2, 200), 0.01, 0.99)
    predicted = (scores > 0.5).astype(int)
    wide = {"window": {"size": 1_000, "min_samples": 2}}
    driven = Driven(Settings(monitor=[{"metric": metric} | wide for metric in WATCHED]))
    common: dict[str, Any] = {"model_name": MODEL, "model_version": "1", "timestamp": at(0)}
    driven.feed(Outcomes(**common, y_true=true.tolist(), y_pred=predicted.tolist(), scores=scores.tolist()))
    rules = {rule.metric: rule.window for rule in of_type(ModelStatus, driven.outputs)[-1].rules}
    means = {metric: window.mean for metric, window in rules.items() if window is not None}
    assert means == pytest.approx(
        {
            "error": reference.zero_one_loss(true, predicted),
            "log_loss": reference.log_loss(true, scores),
            "rmse": reference.root_mean_squared_error(true, predicted),
            "mae": reference.mean_absolute_error(true, predicted),
            "outcomes.accuracy": reference.accuracy_score(true, predicted),
            "outcomes.precision": reference.precision_score(true, predicted),
            "outcomes.recall": reference.recall_score(true, predicted),
            "outcomes.f1_score": reference.f1_score(true, predicted),
        },
        rel=1e-9,
    )


def test_a_finding_of_rmse_is_in_the_unit_of_the_errors() -> None:
    driven = Driven(Settings(monitor=[{"metric": "rmse", "window": {"size": 20, "min_samples": 5}}]))
    common: dict[str, Any] = {"model_name": MODEL, "model_version": "1", "timestamp": at(0)}
    driven.feed(Outcomes(**common, y_true=[0.0] * 20, y_pred=[*[1.0, 2.0] * 9, 1.0, 40.0]))
    (drift,) = of_type(DriftDetected, driven.outputs)
    assert (drift.value, drift.window.max, drift.window.min) == (40.0, 40.0, 1.0)
    assert drift.window.mean == pytest.approx(((9 * 5 + 1 + 1_600) / 20) ** 0.5)


def test_precision_is_of_the_class_that_the_rule_names() -> None:
    driven = Driven(Settings(monitor=[{"metric": "outcomes.precision", "positive": "fraud"}]))
    common: dict[str, Any] = {"model_name": MODEL, "model_version": "1", "timestamp": at(0)}
    driven.feed(Outcomes(**common, y_true=["fraud", "ok", "ok"], y_pred=["fraud", "fraud", "ok"]))
    assert held(driven, "outcomes.precision") == [1.0, 0.0]


def test_what_is_no_number_and_has_no_score_says_nothing_of_losses() -> None:
    driven = Driven(Settings(monitor=[{"metric": "mae"}, {"metric": "log_loss"}]))
    common: dict[str, Any] = {"model_name": MODEL, "model_version": "1", "timestamp": at(0)}
    driven.feed(Outcomes(**common, y_true=["a", 1], y_pred=["b", 4.5]))
    assert held(driven, "mae") == [3.5]
    assert "log_loss" not in driven.state.versions[0].series


# Recorded models with late labels.


def rows(name: str) -> Iterator[dict[str, str]]:
    file = DATA / name
    if not file.exists():
        pytest.skip(f"{file} is missing")
    with gzip.open(file, "rt") as lines:
        names = next(lines).rstrip("\n").split(",")
        for line in lines:
            yield dict(zip(names, line.rstrip("\n").split(","), strict=True))


def with_late_labels(name: str, target: str, begin: int, end: int, delay: int) -> Iterator[dict[str, object]]:
    """Predictions in their order, each one's label `delay` rows later: those of the rows [begin, end)."""
    truth = [row[target] for row in rows(f"{name}_target{'' if target == 'repaid' else 's'}.csv.gz")]
    waiting: list[tuple[str, float]] = []
    for number, row in enumerate(rows(f"{name}.csv.gz")):
        if not begin <= number < end:
            continue
        time = datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC).isoformat()
        common: dict[str, object] = {"model_name": "m", "model_version": "1", "timestamp": time}
        score = {"score": float(row["y_pred_proba"])} if "y_pred_proba" in row else {}
        yield common | score | {"type": "prediction", "prediction_id": row["id"], "y_pred": float(row["y_pred"])}
        waiting.append((row["id"], float(truth[number])))
        if len(waiting) > delay:
            identity, y_true = waiting.pop(0)
            yield common | {"type": "label", "prediction_id": identity, "y_true": y_true}


def row_of(found: dict[str, Any], begin: int, delay: int) -> int:
    """The row whose label a finding is about, from the record's number: first predictions alone, then both in turn."""
    return begin + (int(found["cause"]["offset"]) - delay) // 2


def test_a_change_of_the_car_loan_model_is_found_from_labels_that_come_5000_rows_late() -> None:
    begin, end, delay = 15_000, 33_000, 5_000
    detector = {"name": "two_proportion", "window_size": 2_000, "reference_size": 10_000}
    asked = Settings(monitor=[{"metric": "error", "detector": detector}], label_horizon="90d")
    found = backtest(with_late_labels("synthetic_car_loan_analysis", "repaid", begin, end, delay), asked).drift
    (drift,) = found
    assert (drift["metric"], drift["direction"], drift["severity"]) == ("error", "worse", "drift")
    assert 25_000 < row_of(drift, begin, delay) < 27_000


def test_an_improvement_of_the_regression_model_is_reported_as_better() -> None:
    begin, end, delay = 25_000, 36_000, 2_000
    asked = Settings(monitor=[{"metric": "mae", "detector": {"name": "recommended"}}], label_horizon="90d")
    result = backtest(with_late_labels("regression_synthetic_analysis", "y_true", begin, end, delay), asked)
    assert [(drift["metric"], drift["direction"]) for drift in result.drift][:1] == [("mae", "better")]
    assert 30_000 < row_of(result.drift[0], begin, delay) < 32_000
    assert result.retrain == []
