"""What the monitor finds in values: drift, breaches, and other monitors' findings passed on."""

from __future__ import annotations

import numpy as np
import pytest

from agents.settings import Settings
from schemas.drift import DriftDetected, ExternalDrift, ThresholdBreached
from schemas.message import Message
from schemas.metrics import Metrics, Outcomes
from schemas.status import ModelStatus
from tests.monitor.driving import CALM, MODEL, Driven, accuracies, alerts, at, metrics, of_type, score, small


def test_a_value_far_from_its_window_is_drift_with_the_numbers_of_that_window() -> None:
    driven, values = Driven(small(name="watch")), [*CALM, 0.5]
    driven.feed(*accuracies(values))
    (drift,) = of_type(DriftDetected, driven.outputs)
    z = (0.5 - np.mean(values)) / np.std(values, ddof=1)
    assert (drift.metric, drift.rule, drift.detector, drift.severity) == ("accuracy", "watch", "z_score", "drift")
    assert (drift.value, drift.threshold, drift.direction) == (0.5, 3.0, "worse")
    assert drift.statistic == pytest.approx(z)
    window = drift.window
    assert (window.size, window.count, window.min, window.max) == (20, 11, 0.5, 0.92)
    assert (window.mean, window.std) == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    assert (drift.model_name, drift.model_version, drift.timestamp) == (MODEL, "1", at(10))
    assert (drift.cause.topic, drift.cause.partition, drift.cause.offset) == ("metrics", 0, 10)


def test_an_improvement_is_reported_as_better_and_leaves_the_state_as_it_is() -> None:
    driven = Driven(small())
    driven.feed(*accuracies([*CALM, *CALM, 1.0]))
    assert [drift.direction for drift in of_type(DriftDetected, driven.outputs)] == ["better"]
    assert driven.states() == ["warming", "ok"]


def test_of_errors_more_is_worse() -> None:
    driven = Driven(Settings(monitor=[{"metric": "error", "window": {"size": 20, "min_samples": 20}}]))
    driven.feed(Outcomes(model_name=MODEL, timestamp=at(0), y_true=[1] * 20, y_pred=[*[1] * 19, 0]))
    (drift,) = of_type(DriftDetected, driven.outputs)
    assert (drift.metric, drift.value, drift.direction) == ("error", 1.0, "worse")


def test_each_outcome_counts_as_one_value_of_error() -> None:
    driven = Driven(Settings(monitor=[{"metric": "error"}]))
    driven.feed(Outcomes(model_name=MODEL, timestamp=at(0), y_true=["a", 1, True, 2.5], y_pred=["a", 2, True, 2.0]))
    (status,) = of_type(ModelStatus, driven.outputs)
    assert status.rules[0].window is not None
    assert (status.rules[0].window.count, status.rules[0].window.mean) == (4, 0.5)


def test_every_number_is_kept_and_only_watched_ones_are_judged() -> None:
    driven = Driven(small())
    driven.feed(
        *(metrics(i, accuracy=0.9, f1_score=0.9, extras={"auc": value}) for i, value in enumerate([*CALM, 0.1]))
    )
    assert not of_type(DriftDetected, driven.outputs)
    series = driven.state.versions[0].series
    assert {metric: kept.window.pushed for metric, kept in series.items()} == {
        "accuracy": 11,
        "f1_score": 11,
        "extras.auc": 11,
    }


def test_an_extra_is_watched_by_its_name() -> None:
    driven = Driven(small(metric="extras.auc"))
    driven.feed(*(metrics(i, extras={"auc": value}) for i, value in enumerate([*CALM, 0.1])))
    assert [drift.metric for drift in of_type(DriftDetected, driven.outputs)] == ["extras.auc"]


def test_the_first_rule_that_matches_model_and_metric_wins() -> None:
    rules = [{"name": "other", "models": "spam-*"}, {"name": "first", "window": {"size": 20, "min_samples": 5}}, {}]
    driven = Driven(Settings(monitor=rules))
    driven.feed(*accuracies([*CALM, 0.1]))
    assert [drift.rule for drift in of_type(DriftDetected, driven.outputs)] == ["first"]


def test_a_value_below_the_minimum_is_a_breach_from_the_first_value_on() -> None:
    driven = Driven(Settings(retrain=[{"name": "floor", "min": {"accuracy": 0.8, "extras.auc": 0.9}}]))
    driven.feed(metrics(0, accuracy=0.79, extras={"auc": 0.9}), metrics(1, accuracy=0.8, extras={"auc": 0.5}))
    breaches = of_type(ThresholdBreached, driven.outputs)
    assert [(breach.metric, breach.value, breach.threshold, breach.rule) for breach in breaches] == [
        ("accuracy", 0.79, 0.8, "floor"),
        ("extras.auc", 0.5, 0.9, "floor"),
    ]


def test_a_minimum_of_the_mean_waits_for_the_warm_up_and_then_looks_at_the_window() -> None:
    settings = Settings(
        monitor=[{"window": {"size": 20, "min_samples": 3}}], retrain=[{"min": {"accuracy": 0.8}, "of": "mean"}]
    )
    driven = Driven(settings)
    driven.feed(*accuracies([0.5, 0.9, 0.8, 0.95, 0.4]))
    breaches = of_type(ThresholdBreached, driven.outputs)
    assert [breach.timestamp for breach in breaches] == [at(2), at(3), at(4)]
    assert [breach.value for breach in breaches] == pytest.approx([2.2 / 3, 0.7875, 0.71])


def test_a_validation_score_has_a_minimum_of_its_own() -> None:
    driven = Driven(Settings(retrain=[{"min": {"validation_score": 0.8}}]))
    driven.feed(score(0.8), score(0.7, 1))
    (breach,) = of_type(ThresholdBreached, driven.outputs)
    assert (breach.value, breach.threshold) == (0.7, 0.8)


def test_the_average_of_precision_and_recall_has_a_minimum() -> None:
    driven = Driven(Settings(retrain=[{"min_average_precision_recall": 0.75}]))
    driven.feed(metrics(0, precision=0.9, recall=0.6), metrics(1, precision=0.9, recall=0.5), metrics(2, precision=0.1))
    (breach,) = of_type(ThresholdBreached, driven.outputs)
    assert (breach.metric, breach.value, breach.threshold) == ("average_precision_recall", 0.7, 0.75)


def test_the_average_of_precision_and_recall_counts_as_drift_where_configured() -> None:
    rule = {"min_average_precision_recall": 0.75, "average_precision_recall_is_drift": True, "min": {"recall": 0.6}}
    driven = Driven(Settings(retrain=[rule]))
    driven.feed(metrics(1, precision=0.9, recall=0.5))
    (drift,) = of_type(DriftDetected, driven.outputs)
    assert (drift.detector, drift.statistic, drift.threshold, drift.severity) == ("threshold", 0.7, 0.75, "drift")
    assert [breach.metric for breach in of_type(ThresholdBreached, driven.outputs)] == ["recall"]


def test_another_monitors_p_value_is_passed_on_with_its_cause() -> None:
    driven = Driven()
    driven.feed(ExternalDrift(event_id="e-7", model_name=MODEL, model_version="3", timestamp=at(0), p_value=0.01))
    ((output,),) = [driven.outputs]
    assert output.topic == "drift"
    assert isinstance(output.message, ExternalDrift)
    assert (output.message.p_value, output.message.model_version) == (0.01, "3")
    assert output.message.cause is not None
    assert (output.message.cause.event_id, output.message.event_id == "e-7") == ("e-7", False)


def test_a_cause_has_the_id_that_the_record_brought_or_one_made_from_its_content() -> None:
    named = Metrics(event_id="mine", model_name=MODEL, model_version="1", timestamp=at(10), accuracy=0.1)
    causes = []
    for last in (named, metrics(10, accuracy=0.1), metrics(10, accuracy=0.1), metrics(10, accuracy=0.2)):
        driven = Driven(small())
        driven.feed(*accuracies([*CALM, *CALM]), last)
        causes.append(of_type(DriftDetected, driven.outputs)[-1].cause.event_id)
    assert causes[0] == "mine"
    assert causes[1] == causes[2] != causes[3]


def test_metrics_beyond_the_cap_are_not_kept_and_that_is_told_once() -> None:
    driven = Driven()
    driven.feed(metrics(0, extras={f"m{number}": 0.5 for number in range(60)}))
    driven.feed(metrics(1, extras={"one_more": 0.5}))
    assert alerts(driven.outputs) == [("metric_limit", "warning", "firing")]
    assert len(driven.state.versions[0].series) == 50


@pytest.mark.parametrize("message", [metrics(accuracy=1.0, extras={"huge": 1e308}), metrics(extras={"huge": -1e308})])
def test_huge_numbers_are_kept_and_reported_like_others(message: Message) -> None:
    driven = Driven(Settings(monitor=[{"metric": "extras.huge", "window": {"size": 5, "min_samples": 2}}]))
    driven.feed(*[message] * 3, metrics(extras={"huge": 1e-300}), metrics(extras={"huge": 1.7e308}))
    assert driven.states()[-1] in {"ok", "drift"}
