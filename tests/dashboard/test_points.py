"""A chart's points: the newest values, each with the window that the monitor would have had there."""

from __future__ import annotations

import numpy as np
import pytest

from agents.dashboard.points import KEPT_METRICS, KEPT_VALUES, Series
from schemas.metrics import Heartbeat, Metrics, Outcomes
from tests.dashboard.making import made


def values_of(version: str, *values: float) -> list[Metrics]:
    return [made(Metrics, model_version=version, accuracy=value) for value in values]


def test_windows_are_those_of_numpy_and_each_version_has_its_own() -> None:
    rng, series = np.random.default_rng(3), Series()
    old, new = rng.random(30), rng.random(10)
    for message in (*values_of("1", *old), *values_of("2", *new), *values_of("1", 0.5)):
        series.take(message)
    points = series.points("digits", "accuracy", 8, 1_000).points
    assert [point.model_version for point in points] == ["1"] * 30 + ["2"] * 10 + ["1"]
    assert points[29].mean == pytest.approx(old[-8:].mean())
    assert points[29].std == pytest.approx(old[-8:].std(ddof=1))
    assert points[32].mean == pytest.approx(new[:3].mean())
    assert points[40].mean == pytest.approx(np.append(old[-7:], 0.5).mean())


def test_every_kind_of_number_is_a_metric_and_a_heartbeat_is_none() -> None:
    series = Series()
    series.take(made(Metrics, precision=0.8, recall=0.6, extras={"auc": 0.7}))
    series.take(made(Outcomes, y_true=[1, 0, 1], y_pred=[1, 1, 1]))
    assert not series.take(made(Heartbeat))
    assert series.metrics == ["average_precision_recall", "error", "extras.auc", "precision", "recall"]
    assert [point.value for point in series.points("m", "error", 2, 9).points] == [0.0, 1.0, 0.0]


def test_only_the_newest_values_and_so_many_metrics_are_kept() -> None:
    series = Series()
    series.take(made(Outcomes, y_true=[0] * (KEPT_VALUES + 500), y_pred=[0] * KEPT_VALUES + [1] * 500))
    series.take(made(Metrics, extras={f"m{number}": 1.0 for number in range(KEPT_METRICS + 20)}))
    assert len(series.metrics) == KEPT_METRICS
    points = series.points("m", "error", 2, 10 * KEPT_VALUES).points
    assert (len(points), points[-1].value) == (KEPT_VALUES, 1.0)
    assert len(series.points("m", "error", 2, 7).points) == 7


def test_without_a_metric_the_first_that_came_is_shown_and_an_unknown_one_has_no_points() -> None:
    series = Series()
    for message in values_of("1", 0.5):
        series.take(message)
    assert series.points("m", None, 2, 9).metric == "accuracy"
    assert series.points("m", "nothing", 2, 9).points == []
    assert Series().points("m", None, 2, 9).points == []
