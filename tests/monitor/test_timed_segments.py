"""Windows by event time kept per value of a label: each segment has a time of its own, as if it were a model."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from agents.backtest import backtest
from agents.settings import Settings
from schemas.alerts import Alert
from schemas.internal import OperatorAction
from schemas.message import Message
from schemas.metrics import Label, Metrics, Prediction
from schemas.status import ModelStatus
from tests.monitor.driving import MODEL, Driven, alerts, at, of_type

WINDOW: dict[str, Any] = {"duration": "50s", "advance": "10s", "grace": "8s", "min_samples": 8}
RULE: dict[str, Any] = {"name": "watch", "window": WINDOW, "detector": {"threshold": 1.0}}
BY_REGION = Settings(monitor=[RULE | {"segment_by": "region"}])
WHOLE = Settings(monitor=[RULE])
#: How many seconds records of a region are on their way.
DELAYS = {"eu": 0, "us": 40, "in": 200}


def accuracy(value: float, second: float, version: str = "1", **labels: str) -> Metrics:
    return Metrics(model_name=MODEL, model_version=version, timestamp=at(second), accuracy=value, labels=labels)


def traffic(seed: int, count: int = 400) -> list[Metrics]:
    """Records of three regions and of none in the order in which they arrive, a few of them late within their own."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        region = str(rng.choice([*DELAYS, ""]))
        value = float(rng.normal(0.7 if rng.random() < 0.1 else 0.9, 0.02))
        version = str(1 + (number + int(rng.integers(0, 20)) > count // 2))
        record = accuracy(min(value, 1.0), number, version, **({"region": region} if region else {}))
        made.append((number + DELAYS.get(region, 0) + float(rng.choice([0, rng.uniform(0, 12)])), record))
    return [record for _, record in sorted(made, key=lambda pair: pair[0])]


def found(drifts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Findings without their names and their record's place."""
    left_out = {"event_id", "segment", "cause"}
    return [
        {key: value for key, value in drift.items() if key not in left_out} | {"cause": drift["cause"]["event_id"]}
        for drift in drifts
    ]


@profile(max_examples=8, deadline=None)
@given(st.integers(0, 10_000))
def test_a_segment_finds_to_the_digit_what_a_backtest_of_its_records_alone_finds(seed: int) -> None:
    records = traffic(seed)
    drifts = backtest(records, BY_REGION).drift
    for region in DELAYS:
        alone = backtest([record for record in records if record.labels.get("region") == region], WHOLE).drift
        assert found([drift for drift in drifts if drift["segment"] == region]) == found(alone) != []
    assert {drift["segment"] for drift in drifts} == set(DELAYS)
    assert len({drift["event_id"] for drift in drifts}) == len(drifts)


def test_what_is_late_is_late_within_its_segment_alone() -> None:
    records = traffic(7)
    driven = Driven(BY_REGION)
    driven.feed(*records)
    late = 0
    for region in DELAYS:
        alone = Driven(WHOLE)
        alone.feed(*(record for record in records if record.labels.get("region") == region))
        late += alone.state.counts.get("late_values", 0)
    assert driven.state.counts["late_values"] == late > 0


def test_segments_beyond_the_limit_are_told_once_and_the_others_go_on() -> None:
    driven = Driven(Settings(monitor=[RULE | {"segment_by": "device"}], segment_limit=2))
    for begin in range(0, 400, 40):
        driven.feed(*(accuracy(0.9, second, device=f"d{second % 4}") for second in range(begin, begin + 40)))
    (alert,) = of_type(Alert, driven.outputs)
    assert (alert.kind, alert.timestamp) == ("segment_limit", at(2))
    rules = of_type(ModelStatus, driven.outputs)[-1].rules
    assert {(rule.segment, str(rule.state)) for rule in rules} == {("d0", "ok"), ("d1", "ok")}
    assert len(driven.state.timed) == 2
    driven.feed(OperatorAction(model_name=MODEL, timestamp=at(500), action="retire", actor="ann"))
    assert alerts(driven.outputs)[-1] == ("segment_limit", "info", "resolved")
    assert driven.table == {}


def test_the_time_of_a_segment_goes_with_its_last_version() -> None:
    driven = Driven(BY_REGION)
    driven.feed(accuracy(0.9, 0, "a", region="eu"), accuracy(0.9, 1, "a", region="us"))
    driven.feed(*(accuracy(0.9, 100 + second, str(second), region="us") for second in range(3)))
    assert list(driven.state.timed) == ["region\0us"]


def test_any_record_of_a_segment_completes_its_windows_and_a_pair_is_of_the_segment_that_either_names() -> None:
    driven = Driven(Settings(monitor=[RULE | {"metric": "error", "segment_by": "region"}]))
    common: dict[str, Any] = {"model_name": MODEL, "model_version": "1"}
    pairs: list[Message] = []
    for second in range(10):
        named: dict[str, Any] = {"prediction_id": f"p{second}", "timestamp": at(second)} | common
        pairs += [Prediction(**named, y_pred=1, labels={"region": "eu"}), Label(**named, y_true=second % 2)]
    driven.feed(*pairs)
    assert not of_type(ModelStatus, driven.outputs)[-1].rules
    driven.feed(accuracy(0.9, 18, region="eu"))
    (rule,) = of_type(ModelStatus, driven.outputs)[-1].rules
    assert rule.window is not None
    assert (rule.segment, rule.window.count, rule.window.mean) == ("eu", 10, 0.5)


def test_a_part_is_written_for_the_segments_that_a_step_changed_alone() -> None:
    driven = Driven(BY_REGION)
    driven.feed(*traffic(3))
    before = dict(driven.table)
    driven.feed(accuracy(0.9, 1_000, region="eu"))
    parts = {key: value for key, value in driven.table.items() if key.startswith(b"\xffs")}
    assert len(parts) == 6
    assert sum(before[key] != value for key, value in parts.items()) == 2  # those of its two versions
