"""What the monitor takes from scores before labels are known: their distribution, and the accuracy to be expected."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable
from itertools import islice
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import isotonic_regression

from agents.monitor.calibration import fitted, isotonic
from agents.monitor.scores import band_of
from agents.monitor.state import window_of
from agents.settings import MonitorRule, Settings, SettingsError, load_settings
from schemas.drift import DriftDetected, ThresholdBreached
from schemas.metrics import Outcomes, Prediction
from schemas.status import ModelStatus
from streams.windows import Summary
from tests.monitor.driving import MODEL, Driven, alerts, at, of_type

LOANS = Path(__file__).parents[3] / "shared" / "data" / "monitoring"
needs_loans = pytest.mark.skipif(not LOANS.is_dir(), reason=f"no recorded predictions in {LOANS}")

SMALL: dict[str, Any] = {"window": {"size": 100, "min_samples": 10}}
KS: dict[str, Any] = {"name": "ks", "reference": 200, "size": 100}


def prediction(number: int, score: float | None, predicted: bool | float | str = 1) -> Prediction:
    return Prediction(model_name=MODEL, timestamp=at(number), prediction_id=str(number), y_pred=predicted, score=score)


def predictions(scores: Iterable[float]) -> list[Prediction]:
    return [prediction(number, float(score), int(score >= 0.5)) for number, score in enumerate(scores)]


def rule(metric: str, **table: Any) -> Settings:
    return Settings(monitor=[SMALL | {"name": "watch", "metric": metric} | table])


def test_scores_are_kept_only_where_a_rule_asks_for_them() -> None:
    driven = Driven()
    driven.feed(*predictions([0.1, 0.9]))
    assert driven.state.versions == []
    driven = Driven(rule("predictions.score"))
    driven.feed(prediction(0, 0.25), prediction(1, None), prediction(2, 0.75))
    assert list(driven.state.versions[0].series) == ["predictions.score"]
    assert driven.state.versions[0].series["predictions.score"].window.pushed == 2


def test_a_changed_distribution_of_scores_is_drift_for_the_worse_and_over_once_it_lasts() -> None:
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.uniform(0, 1, 600), rng.uniform(0.3, 0.7, 700)])
    driven = Driven(rule("predictions.score", detector=KS))
    for begin in range(0, len(scores), 90):
        driven.feed(*predictions(scores)[begin : begin + 90])
    (drift,) = of_type(DriftDetected, driven.outputs)
    assert (drift.metric, drift.detector, drift.direction, drift.severity) == (
        "predictions.score",
        *("ks", "worse"),
        "drift",
    )
    assert drift.statistic > drift.threshold > 0
    assert drift.p_value is not None
    assert drift.p_value < 0.0001
    assert drift.window.band is None
    assert 600 < drift.cause.offset < 700
    # Over when a new reference has been learnt and the first window has been held against it: 200 and 100 values.
    changes = [(status.state, status.timestamp) for status in of_type(ModelStatus, driven.outputs)]
    assert [str(state) for state, _ in changes] == ["warming", "ok", "drift", "recovered", "ok"]
    assert changes[3][1] == at(drift.cause.offset + 300)


def test_the_recommended_detector_of_scores_is_one_of_distributions() -> None:
    given = {"metric": "predictions.score", "detector": {"name": "recommended"}}
    assert MonitorRule.model_validate(given).detector_meant[0] == "ks"


def test_the_estimate_is_the_chance_that_each_prediction_is_right_and_comes_with_a_band() -> None:
    driven = Driven(
        Settings(
            monitor=[SMALL | {"metric": "estimated_accuracy", "positive": "fraud", "detector": {"name": "cusum"}}],
            retrain=[{"min": {"estimated_accuracy": 0.78}, "of": "mean"}],
        )
    )
    driven.feed(
        *[prediction(second, 0.9, "fraud") for second in range(6)],
        *[prediction(second, 0.4, "fine") for second in range(6, 14)],
    )
    breach, *_ = of_type(ThresholdBreached, driven.outputs)
    assert breach.cause.offset == 10  # six of 0.9 and five of 0.6 have a mean below 0.78
    assert breach.window is not None
    mean, error = (6 * 0.9 + 5 * 0.6) / 11, sqrt(6 * 0.9 * 0.1 + 5 * 0.6 * 0.4) / 11
    assert breach.window.mean == pytest.approx(mean)
    assert breach.window.band == pytest.approx((mean - 3 * error, 1.0))


def test_outcomes_have_scores_too() -> None:
    driven = Driven(rule("estimated_accuracy"))
    driven.feed(
        Outcomes(model_name=MODEL, timestamp=at(0), y_true=[1, 0, 1], y_pred=[1, 0, 0], scores=[0.9, 0.2, 0.4]),
        Outcomes(model_name=MODEL, timestamp=at(1), y_true=[1], y_pred=[1]),
    )
    series = driven.state.versions[0].series
    assert series["estimated_accuracy"].window.pushed == 3
    assert series["error"].window.pushed == 4
    (status, *_) = of_type(ModelStatus, driven.outputs)
    assert status.rules[0].window is not None
    assert status.rules[0].window.mean == pytest.approx((0.9 + 0.8 + 0.6) / 3)


def test_scores_that_are_no_probabilities_are_told_once_and_not_given_to_the_detector() -> None:
    driven = Driven(rule("estimated_accuracy", detector={"name": "cusum"}))
    driven.feed(prediction(0, 0.9), prediction(1, -3.5), prediction(2, 7.0))
    assert alerts(driven.outputs) == [("out_of_range", "warning", "firing")]


def test_the_band_of_even_chances_and_of_certainty() -> None:
    assert band_of(Summary(100, 0.5, 0.0, 0.5, 0.5)) == pytest.approx((0.35, 0.65))
    assert band_of(Summary(1, 1.0, 0.0, 1.0, 1.0)) == (1.0, 1.0)
    # Scores of 0 and 1 leave nothing to chance.
    assert band_of(Summary(2, 0.5, sqrt(0.5), 0.0, 1.0)) == pytest.approx((0.5, 0.5), abs=1e-6)


def test_the_calibration_is_isotonic_regression() -> None:
    for seed in range(50):
        rng = np.random.default_rng(seed)
        scores = np.round(rng.random(80), 2)
        hits = rng.random(80) < scores**2
        curve = isotonic(scores.tolist(), hits.tolist())
        distinct, places, sizes = np.unique(scores, return_inverse=True, return_counts=True)
        theirs = isotonic_regression(np.bincount(places, weights=hits) / sizes, weights=sizes).x
        assert curve.of(distinct.tolist()) == pytest.approx(theirs.tolist(), abs=1e-12)
        assert curve.of([-5.0, 5.0]) == [curve.probabilities[0], curve.probabilities[-1]]


def reference(folder: Path, rows: Iterable[tuple[float, object]]) -> str:
    path = folder / "reference.csv"
    path.write_text("score,label\n" + "".join(f"{score},{label}\n" for score, label in rows))
    return str(path)


@pytest.mark.parametrize(
    ("labels", "positive"), [(("1.0", "0"), 1), (("True", "false"), True), (("bad", "good"), "bad")]
)
def test_labels_in_a_file_are_read_as_the_class_that_is_positive(
    tmp_path: Path, labels: tuple[str, str], positive: bool | int | str
) -> None:
    file = reference(tmp_path, [(score, labels[index % 4 == 0]) for score in (0.2, 0.7) for index in range(100)])
    assert fitted(file, "score", "label", positive) == ((0.2, 0.7), (0.75, 0.75))


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({}, r"monitor\[0\].calibration: expected the metric \"estimated_accuracy\" beside it, got 'error'"),
        ({"file": "gone.csv"}, r"monitor\[0\].calibration: gone.csv cannot be read: .*No such file"),
        ({"score": "sore"}, r"calibration: .*reference.csv has no column 'sore'; it has score, label"),
        ({"label": "score"}, r"calibration: .*reference.csv: in column 'score' no label is 1"),
        ({"file": None}, r"monitor\[0\].calibration.file: expected a value, but the key is missing"),
    ],
)
def test_a_calibration_that_cannot_be_made_is_refused_with_what_is_wrong(
    tmp_path: Path, table: dict[str, str | None], reason: str
) -> None:
    file = reference(tmp_path, [(0.2 + index / 1_000, index % 2) for index in range(120)])
    given = {"file": file, "score": "score", "label": "label"} | table
    calibration = {key: value for key, value in given.items() if value is not None}
    metric = "estimated_accuracy" if table else "error"
    with pytest.raises(SettingsError, match=reason):
        load_settings(monitor=[{"metric": metric, "calibration": calibration}])


def test_another_calibration_lets_the_estimate_begin_anew(tmp_path: Path) -> None:
    names = {"score": "score", "label": "label"}
    files = [tmp_path / name for name in ("a", "b")]
    for number, folder in enumerate(files):
        folder.mkdir()
        reference(folder, [(0.2 + number / 10, index % 2) for index in range(120)])
    driven = Driven(rule("estimated_accuracy", calibration=names | {"file": str(files[0] / "reference.csv")}))
    driven.feed(*predictions([0.9, 0.9]))
    driven.stage = Driven(
        rule("estimated_accuracy", calibration=names | {"file": str(files[1] / "reference.csv")})
    ).stage
    driven.feed(*predictions([0.9]))
    assert alerts(driven.outputs) == [("settings_changed", "info", "firing")]


@needs_loans
def test_the_fall_of_the_loans_accuracy_is_seen_without_a_label() -> None:
    calibration = {
        "file": str(LOANS / "synthetic_car_loan_reference.csv.gz"),
        "score": "y_pred_proba",
        "label": "repaid",
    }
    watch = {"metric": "estimated_accuracy", "detector": {"name": "recommended"}, "calibration": calibration}
    driven = Driven(Settings(monitor=[watch | {"window": {"size": 2_500, "min_samples": 50}}]))
    begin, change = 21_000, 25_000
    with gzip.open(LOANS / "synthetic_car_loan_analysis.csv.gz", "rt") as lines:
        rows = list(islice(csv.DictReader(lines), begin, change + 3_000))
    with gzip.open(LOANS / "synthetic_car_loan_analysis_target.csv.gz", "rt") as lines:
        labels = [row["repaid"] for row in islice(csv.DictReader(lines), begin, change + 3_000)]
    driven.feed(*(prediction(n, float(row["y_pred_proba"]), int(row["y_pred"])) for n, row in enumerate(rows)))
    (drift,) = of_type(DriftDetected, driven.outputs)
    assert (drift.direction, drift.severity) == ("worse", "drift")
    assert 0 < drift.cause.offset + begin - change < 300
    # The accuracy that the labels show later lies within the band: around the change, and well after it.
    right = [row["y_pred"] == label for row, label in zip(rows, labels, strict=True)]
    assert drift.window.band is not None
    number = drift.cause.offset + 1
    assert drift.window.band[0] < np.mean(right[number - 2_500 : number]) < drift.window.band[1]
    version = driven.state.versions[-1]
    summary = window_of(version.series["estimated_accuracy"], driven._model.parts).summary()
    assert summary is not None
    last = band_of(summary)
    assert 0.89 < last[0] < np.mean(right[-2_500:]) < last[1] < 0.93


def test_scores_of_a_segment_are_kept_by_themselves_too() -> None:
    watch = {"metric": "estimated_accuracy", "segment_by": "region", "detector": {"name": "cusum"}}
    north = {"region": "north"}
    outcome = Outcomes(model_name=MODEL, timestamp=at(1), y_true=[0], y_pred=[0], scores=[0.3], labels=north)
    for message in (prediction(0, 0.9).model_copy(update={"labels": north}), outcome):
        driven = Driven(Settings(monitor=[SMALL | watch]))
        driven.feed(prediction(0, 0.9), message)
        *_, status = of_type(ModelStatus, driven.outputs)
        assert [(rule.metric, rule.segment) for rule in status.rules] == [("estimated_accuracy", "north")]
