"""Rules whose windows go by event time: what they find, whatever the order within grace, and what is late."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from agents.backtest import backtest
from agents.settings import Settings
from schemas.drift import DriftDetected
from schemas.metrics import Metrics
from schemas.status import ModelStatus
from tests.monitor.driving import Driven, at, metrics, of_type

SLIDING = {"duration": "10m", "advance": "1m", "grace": "2m"}


def rules(window: dict[str, Any], **detector: Any) -> Settings:
    return Settings(monitor=[{"window": window, "detector": {"name": "z_score"} | detector}])


def traffic(seed: int, minutes: int = 40, a_minute: int = 20) -> list[Metrics]:
    """Accuracies of 0.9, but for one minute of 0.85, in the order of their times."""
    rng = np.random.default_rng(seed)
    seconds = np.sort(rng.uniform(0, minutes * 60, minutes * a_minute))
    levels = np.where(seconds // 60 == minutes - 5, 0.85, 0.9)
    values = rng.normal(levels, 0.03).clip(0, 1)
    return [metrics(second, accuracy=value) for second, value in zip(seconds.tolist(), values.tolist(), strict=True)]


def between(messages: list[Metrics], begin: int, end: int) -> list[float]:
    """The accuracies of the minutes [begin, end)."""
    return [m.accuracy for m in messages if m.accuracy is not None and at(begin * 60) <= m.timestamp < at(end * 60)]


def minute_of(drift: DriftDetected) -> int:
    """The minute whose pane the finding is about."""
    assert drift.window.end is not None
    return round((drift.window.end - at(0)).total_seconds()) // 60 - 1


def test_a_pane_whose_mean_is_off_is_drift_with_the_exact_numbers_of_the_window_by_time() -> None:
    driven, messages = Driven(rules(SLIDING, threshold=5.0)), traffic(3)
    driven.feed(*messages)
    (drift,) = of_type(DriftDetected, driven.outputs)
    assert minute_of(drift) == 35
    inside, newest = between(messages, 26, 36), between(messages, 35, 36)
    mean, std = np.mean(inside), np.std(inside, ddof=1)
    assert (drift.window.count, drift.window.size) == (len(inside), len(inside))
    assert (drift.window.mean, drift.window.std) == pytest.approx((mean, std), rel=1e-12)
    assert (drift.window.min, drift.window.max) == (min(inside), max(inside))
    assert (drift.window.begin, drift.window.end) == (at(26 * 60), at(36 * 60))
    assert drift.value == pytest.approx(np.mean(newest), rel=1e-12)
    assert drift.statistic == pytest.approx((drift.value - mean) / (std / len(newest) ** 0.5), rel=1e-9)
    assert drift.timestamp >= at(38 * 60)  # it was complete when two minutes of grace had gone by
    assert [state for state in driven.states() if state != "warming"][:2] == ["ok", "drift"]


def findings(settings: Settings, messages: list[Metrics]) -> list[tuple[Any, ...]]:
    """What is found, without which record showed that the time had come."""
    driven = Driven(settings)
    for begin in range(0, len(messages), 37):
        driven.feed(*messages[begin : begin + 37])
    driven.feed(metrics(10_000, f1_score=0.5))
    assert "late_values" not in driven.state.counts
    return [
        (drift.event_id, drift.statistic, drift.value, drift.window) for drift in of_type(DriftDetected, driven.outputs)
    ]


@profile(max_examples=15, deadline=None)
@given(st.integers(0, 1_000), st.sampled_from(["sliding", "tumbling", "hopping"]))
def test_any_order_within_grace_finds_the_same(seed: int, kind: str) -> None:
    window = {"sliding": SLIDING, "tumbling": {"duration": "1m", "advance": "1m", "grace": "2m"}}.get(
        kind, {"duration": "5m", "advance": "150s", "grace": "2m"}
    )
    name = {"name": "cusum", "threshold": 2.0} if kind == "tumbling" else {"threshold": 1.5}
    messages, rng = traffic(seed), np.random.default_rng(seed)
    arrived = sorted(messages, key=lambda m: (m.timestamp - at(0)).total_seconds() + rng.uniform(0, 119))
    assert arrived != messages
    found = findings(rules(window, **name), messages)
    assert findings(rules(window, **name), arrived) == found
    assert found or kind != "sliding"


def test_what_comes_after_its_pane_was_complete_is_counted_and_changes_nothing() -> None:
    settings, messages = rules(SLIDING, threshold=5.0), traffic(3)
    driven, without = Driven(settings), Driven(settings)
    late = [metrics(second, accuracy=0.1) for second in (60, 1_000, 2_099)]
    without.feed(*messages)
    for message in messages[: len(messages) * 3 // 4]:
        driven.feed(message)
    driven.feed(*(metrics(second - 1_200, accuracy=0.1) for second in (1_260, 1_500)))
    driven.feed(*messages[len(messages) * 3 // 4 :], *late)
    assert driven.state.counts["late_values"] == 5
    panes = driven.state.versions[0].series["accuracy"].panes
    assert panes == without.state.versions[0].series["accuracy"].panes
    assert [drift.statistic for drift in of_type(DriftDetected, driven.outputs)] == [
        drift.statistic for drift in of_type(DriftDetected, without.outputs)
    ]


def test_a_backtest_of_year_old_records_says_what_was_said_step_by_step() -> None:
    settings, messages = rules(SLIDING, threshold=2.5), traffic(5)
    driven = Driven(settings)
    for message in messages:
        driven.feed(message)
    told = [drift.model_dump(mode="json", exclude={"cause"}) for drift in of_type(DriftDetected, driven.outputs)]
    replayed = backtest(messages, settings).drift
    assert [{key: value for key, value in drift.items() if key != "cause"} for drift in replayed] == told != []


def test_any_record_of_the_model_completes_a_window_and_of_no_other_metric_is_anything_held_up() -> None:
    driven = Driven(rules(SLIDING))
    driven.feed(*(metrics(second, accuracy=0.9 + second % 7 / 100) for second in range(60)))
    (rule,) = of_type(ModelStatus, driven.outputs)[-1].rules
    assert (str(rule.state), rule.window) == ("warming", None)
    driven.feed(metrics(180, f1_score=0.5))
    (rule,) = of_type(ModelStatus, driven.outputs)[-1].rules
    assert rule.window is not None
    assert (str(rule.state), rule.window.count) == ("ok", 60)


def test_the_state_does_not_grow_with_what_comes_into_a_pane() -> None:
    driven = Driven(rules(SLIDING))
    sizes = []
    for begin in range(0, 12_000, 600):
        driven.feed(*(metrics(begin / 2 + number / 2, accuracy=0.9 + number % 7 / 100) for number in range(600)))
        assert driven.data is not None
        sizes.append(len(driven.data))
    assert max(sizes) < 1_700
    assert driven.table == {}


@pytest.mark.parametrize(
    ("window", "reason"),
    [
        ({"duration": "10m", "size": 500}, "either size or duration"),
        ({"grace": "1m"}, "expected a duration beside"),
        ({"duration": "10m", "advance": "3m"}, "1 to 100 times advance"),
        ({"duration": "10m", "grace": "2h"}, "grace of at most 100 times"),
        ({"duration": "10m", "advance": "10m"}, "an advance below the duration"),
    ],
)
def test_windows_that_make_no_sense_are_refused_with_the_reason(window: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        rules(window)


def test_a_status_in_between_tells_the_window_that_was_complete_last() -> None:
    other = {"metric": "f1_score", "window": {"size": 20, "min_samples": 5}}
    driven = Driven(Settings(monitor=[{"window": SLIDING}, other]))
    driven.feed(*(metrics(second, accuracy=0.9 + second % 7 / 100, f1_score=0.9) for second in range(300)))
    driven.feed(metrics(299.5, accuracy=0.5, f1_score=0.1))  # no pane is complete by this one
    last = of_type(ModelStatus, driven.outputs)[-1]
    windows = {rule.metric: rule.window for rule in last.rules}
    assert windows["accuracy"] is not None
    assert (last.timestamp, windows["accuracy"].count, windows["accuracy"].max) == (at(299.5), 120, 0.96)
