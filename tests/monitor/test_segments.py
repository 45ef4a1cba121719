"""Rules kept per value of a label: each segment as if it were a model of its own, the whole as if there were none."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.settings import Settings
from schemas.alerts import Alert
from schemas.drift import DriftDetected, ThresholdBreached
from schemas.internal import OperatorAction
from schemas.message import Message
from schemas.metrics import Label, Metrics, Outcomes, Prediction
from schemas.status import ModelStatus
from tests.monitor.driving import MODEL, Driven, alerts, at, of_type

RULE: dict[str, Any] = {"window": {"size": 20, "min_samples": 5}}
SEGMENTED = Settings(monitor=[RULE | {"name": "regions", "segment_by": "region"}, RULE | {"name": "whole"}])
REGIONS = ("eu", "us", "in")


def accuracy(value: float, second: float, version: str = "1", **labels: str) -> Metrics:
    return Metrics(model_name=MODEL, model_version=version, timestamp=at(second), accuracy=value, labels=labels)


def traffic(seed: int = 3, count: int = 300) -> list[Metrics]:
    """Records of three regions and of none, which now and then are bad."""
    rng = np.random.default_rng(seed)
    places = rng.choice([*REGIONS, ""], count)
    values = np.where(rng.random(count) < 0.02, 0.5, rng.normal(0.9, 0.01, count)).tolist()
    return [
        accuracy(value, second, **({"region": place} if place else {}))
        for second, (value, place) in enumerate(zip(values, places.tolist(), strict=True))
    ]


def drifts(driven: Driven, rule: str) -> list[DriftDetected]:
    return [drift for drift in of_type(DriftDetected, driven.outputs) if drift.rule == rule]


def found(drift: DriftDetected) -> dict[str, Any]:
    """A finding without its names and its record's place."""
    return drift.model_dump(exclude={"event_id", "segment", "rule", "cause"})


def test_a_segment_is_watched_as_a_model_that_sends_its_records_alone() -> None:
    driven, records = Driven(SEGMENTED), traffic()
    for begin in range(0, len(records), 25):
        driven.feed(*records[begin : begin + 25])
    total = 0
    for region in REGIONS:
        alone = Driven(Settings(monitor=[RULE | {"name": "whole"}]))
        alone.feed(*(record for record in records if record.labels.get("region") == region))
        segment = [drift for drift in drifts(driven, "regions") if drift.segment == region]
        assert [found(drift) for drift in segment] == [found(drift) for drift in drifts(alone, "whole")]
        total += len(segment)
    assert 0 < total == len(drifts(driven, "regions"))
    ids = [drift.event_id for drift in of_type(DriftDetected, driven.outputs)]
    assert len(set(ids)) == len(ids)


def test_the_whole_is_watched_as_if_there_were_no_segments() -> None:
    driven, plain = Driven(SEGMENTED), Driven(Settings(monitor=[RULE | {"name": "whole"}]))
    driven.feed(*traffic())
    plain.feed(*traffic())
    assert drifts(driven, "whole") == drifts(plain, "whole") != []
    assert driven.state.versions[0].series["accuracy"].window == plain.state.versions[0].series["accuracy"].window


def test_a_minimum_is_of_the_whole() -> None:
    asked = Settings(monitor=[RULE | {"segment_by": "region"}], retrain=[{"min": {"accuracy": 0.8}}])
    driven = Driven(asked)
    driven.feed(accuracy(0.7, 0, region="eu"))
    (breach,) = of_type(ThresholdBreached, driven.outputs)
    assert breach.segment == ""


def test_the_status_tells_each_segment_and_is_the_worst_of_them() -> None:
    driven = Driven(SEGMENTED)
    for second in range(20):
        driven.feed(
            accuracy(0.9 + second % 3 / 100, second, region="eu"), accuracy(0.9 + second % 2 / 100, second, region="us")
        )
    driven.feed(accuracy(0.7, 21, region="us"))
    last = of_type(ModelStatus, driven.outputs)[-1]
    assert last.state == "drift"
    assert {(rule.rule, rule.segment): str(rule.state) for rule in last.rules} == {
        ("whole", ""): "drift",
        ("regions", "eu"): "ok",
        ("regions", "us"): "drift",
    }


def test_segments_beyond_the_limit_are_told_once_and_the_others_go_on() -> None:
    driven = Driven(Settings(monitor=[RULE | {"segment_by": "device"}], segment_limit=2))
    driven.feed(*(accuracy(0.9, second, device=f"d{second % 4}") for second in range(400)))
    driven.feed(*(accuracy(0.9, second, "2", device=f"d{second % 4}") for second in range(400, 420)))
    (alert,) = of_type(Alert, driven.outputs)
    assert (alert.kind, alert.timestamp) == ("segment_limit", at(2))
    assert "'d2'" in alert.message
    assert {rule.segment for rule in of_type(ModelStatus, driven.outputs)[-1].rules} == {"d0", "d1"}
    driven.feed(OperatorAction(model_name=MODEL, timestamp=at(500), action="retire", actor="ann"))
    assert alerts(driven.outputs)[-1] == ("segment_limit", "info", "resolved")
    assert driven.table == {}


def test_segments_go_with_their_version_and_leave_nothing_behind() -> None:
    driven = Driven(SEGMENTED)
    sizes = []
    for version in range(12):
        driven.feed(
            *(accuracy(0.9, 100 * version + second, str(version), region=REGIONS[second % 3]) for second in range(70))
        )
        sizes.append(len(driven.table))
    assert sizes[3:] == [sizes[3]] * 9


def test_joined_labels_and_outcomes_count_for_the_segment_of_either() -> None:
    rules = [{"metric": "outcomes.recall", "segment_by": "region", "positive": "bad"} | RULE]
    driven = Driven(Settings(monitor=rules))
    common: dict[str, Any] = {"model_name": MODEL, "model_version": "1", "timestamp": at(0)}
    eu, us = {"region": "eu", "tier": "1"}, {"region": "us"}
    messages: list[Message] = [
        Prediction(**common, prediction_id="a", y_pred="bad", labels=eu),
        Label(**common, prediction_id="a", y_true="bad"),
        Label(**common, prediction_id="b", y_true="bad", labels=us),
        Prediction(**common, prediction_id="b", y_pred="good"),
        Outcomes(**common, y_true=["bad", "good", "bad"], y_pred=["good", "good", "bad"], labels=us),
    ]
    driven.feed(*messages)
    status = driven.feed(*(Outcomes(**common, y_true=["bad"] * 5, y_pred=["bad"] * 5, labels=eu),))
    rules_told = {rule.segment: rule.window for rule in of_type(ModelStatus, status)[-1].rules}
    told = {segment: (window.count, window.mean) for segment, window in rules_told.items() if window is not None}
    assert told == {"eu": (6, 1.0), "us": (3, 1 / 3)}


def test_a_part_is_written_for_the_segments_that_a_step_changed_alone() -> None:
    driven = Driven(SEGMENTED)
    driven.feed(*traffic(count=100))
    before = dict(driven.table)
    driven.feed(accuracy(0.9, 200, region="eu"))
    assert len({key for key, value in driven.table.items() if before.get(key) != value}) == 1
