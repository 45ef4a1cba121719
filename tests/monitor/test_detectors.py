"""Every registered detector in a monitor rule: what it finds, what is kept of it, and what it cannot be given."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.drift import DETECTORS, WindowDetector, make_detector
from agents.monitor.state import Watching
from agents.settings import Settings
from schemas.alerts import Alert
from schemas.drift import DriftDetected
from schemas.internal import OperatorAction
from schemas.message import Message
from schemas.metrics import Outcomes
from schemas.status import ModelStatus
from tests.drift.test_conformance import QUICK, pieces_of_errors
from tests.monitor.driving import MODEL, Driven, alerts, at, metrics, of_type
from tests.monitor.test_batches import VERSIONS, assert_split_makes_no_difference, retire

ALL = sorted(DETECTORS)
BOUNDED = [name for name in ALL if getattr(DETECTORS[name], "bounded", False)]


def table(name: str) -> dict[str, Any]:
    """A detector's table with which short streams make it fire."""
    of_window = ("size", "min_samples") if name == "z_score" else ()
    return {"name": name} | {key: value for key, value in QUICK[name].items() if key not in of_window}


def rules(detector: dict[str, Any], **window: int) -> Settings:
    """The detector on errors, and on an extra of which less is better too."""
    common: dict[str, Any] = {"window": {"size": 20, "min_samples": 5} | window, "detector": detector}
    extra = {"name": "extra", "metric": "extras.x", "higher_is_better": False}
    return Settings(monitor=[{"name": "errors", "metric": "error"} | common, extra | common], heartbeat_timeout="10s")


def outcomes(errors: Iterable[float], second: float = 0, version: str = "1") -> Outcomes:
    wrong: list[bool | int | float | str] = [int(error) for error in errors]
    return Outcomes(
        model_name=MODEL, model_version=version, timestamp=at(second), y_true=[0] * len(wrong), y_pred=wrong
    )


def extras(values: Iterable[float]) -> list[Message]:
    return [metrics(second, extras={"x": float(value)}) for second, value in enumerate(values)]


def kept(driven: Driven, metric: str) -> Watching:
    watching = driven.state.versions[-1].series[metric].detector
    assert isinstance(watching, Watching)
    return watching


@st.composite
def histories(draw: st.DrawFn) -> list[Message | int]:
    """Pieces of like errors and like values, of several versions, some out of range; resets, retirements, ticks."""
    items: list[Message | int] = []
    for second in range(draw(st.integers(0, 25))):
        version, kind = draw(VERSIONS), draw(st.sampled_from(["error"] * 6 + ["x"] * 6 + ["reset", "retire", "tick"]))
        if kind == "error":
            items.append(outcomes([draw(st.integers(0, 1))] * draw(st.integers(1, 25)), second, version))
        elif kind == "x":
            value = draw(st.sampled_from([0.0, 0.1, 0.9, 1.0, 1.0, 1.5, -7.0]))
            items += [metrics(second, version, extras={"x": value}) for _ in range(draw(st.integers(1, 12)))]
        elif kind == "reset":
            items.append(OperatorAction(model_name=MODEL, timestamp=at(second), action="reset", actor="ann"))
        else:
            items.append(retire(second) if kind == "retire" else 12_000)
    return items


@pytest.mark.parametrize("which", ALL)
@given(items=histories(), cuts=st.lists(st.integers(0, 200), max_size=8))
@settings(max_examples=40, deadline=None)
def test_any_split_into_steps_gives_equal_outputs_and_equal_state(
    which: str, items: list[Message | int], cuts: list[int]
) -> None:
    assert_split_makes_no_difference(items, cuts, rules(table(which)))


@pytest.mark.parametrize("which", ALL)
def test_it_finds_in_the_monitor_what_it_finds_by_itself(which: str) -> None:
    values = pieces_of_errors(8, 1_500)
    driven = Driven(rules(table(which)))
    for begin in range(0, len(values), 70):
        driven.feed(*(outcomes([value], begin + at_) for at_, value in enumerate(values[begin : begin + 70])))
    expected = make_detector(which, **table_for_errors(which)).update_many(values)
    found = of_type(DriftDetected, driven.outputs)
    assert [(drift.cause.offset, drift.severity, drift.direction, drift.statistic) for drift in found] == [
        (
            index,
            "drift" if verdict.drift else "warning",
            "better" if verdict.direction == "down" else "worse",
            verdict.statistic,
        )
        for index, verdict in expected
    ]
    assert sum(drift.severity == "drift" for drift in found) >= 2
    assert {drift.detector for drift in found} == {which}
    assert (driven.state.versions[0].series["error"].detector == b"") == isinstance(
        make_detector(which), WindowDetector
    )


def table_for_errors(which: str) -> dict[str, Any]:
    """What the rule makes of the table: of errors more is worse, for those that look one way."""
    params = dict(QUICK[which])
    return params | {"direction": "up"} if which == "threshold" else params


@pytest.mark.parametrize("which", BOUNDED)
def test_values_out_of_range_are_counted_told_once_and_not_given_to_it(which: str) -> None:
    driven, clean = Driven(rules(table(which))), Driven(rules(table(which)))
    values = pieces_of_errors(9, 60)
    mixed = np.insert(values, [3, 10, 40], [1.5, -1e300, 2.0])
    driven.feed(*extras(mixed[:20]))
    driven.feed(*extras(mixed[20:]))
    clean.feed(*extras(values))
    assert kept(driven, "extras.x").outside == 3
    assert kept(driven, "extras.x").memory == kept(clean, "extras.x").memory
    (alert,) = of_type(Alert, driven.outputs)
    assert (alert.kind, alert.severity, alert.timestamp) == ("out_of_range", "warning", at(3))
    assert alert.message.startswith(f"extras.x: 1.5 is not from 0 to 1: {which} is not given it")
    assert driven.state.versions[0].series["extras.x"].window.pushed == 63


def test_the_alert_of_values_out_of_range_ends_with_retirement() -> None:
    driven = Driven(rules(table("stepd")))
    driven.feed(*extras([0.5, 1.5]), retire(2))
    assert alerts(driven.outputs) == [("out_of_range", "warning", "firing"), ("out_of_range", "info", "resolved")]


def test_a_warning_is_a_phase_that_ends_with_drift_or_after_enough_values_without_one() -> None:
    driven, errors = Driven(rules({"name": "ddm"})), [*[0, 0, 0, 1] * 50, *[1] * 12, *[0] * 100, *[1] * 60]
    driven.feed(*(outcomes([error], second) for second, error in enumerate(errors)))
    assert driven.states() == ["warming", "ok", "warning", "ok", "warning", "drift"]
    found = of_type(DriftDetected, driven.outputs)
    assert [drift.severity for drift in found] == ["warning", "warning", "drift"]
    alone = make_detector("ddm")
    warns = [alone.update(error).warning for error in errors]
    begin = warns.index(True)
    end = warns.index(False, begin)
    assert end - begin > 10  # longer than the five values after its end with which it is over
    changes = [status.timestamp for status in of_type(ModelStatus, driven.outputs)]
    assert changes[2:4] == [at(begin), at(end + 4)]


def test_a_warning_that_began_in_the_warm_up_shows_when_that_is_over() -> None:
    driven = Driven(rules({"name": "ddm"}, size=500, min_samples=215))
    driven.feed(*(outcomes([error], second) for second, error in enumerate([*[0, 0, 0, 1] * 50, *[1] * 12, *[0] * 30])))
    assert driven.states() == ["warming", "warning"]


def test_a_model_recovers_once_its_errors_are_as_few_as_before_and_not_while_they_are_many() -> None:
    rng = np.random.default_rng(7)
    parts = [(rng.random(size) < rate).astype(float) for rate, size in ((0.1, 800), (0.3, 1_500), (0.1, 600))]
    driven = Driven(rules({"name": "adwin", "direction": "up"}, size=500, min_samples=100))
    driven.feed(*(outcomes([value], second) for second, value in enumerate(np.concatenate(parts[:2]))))
    assert driven.states() == ["warming", "ok", "drift"]
    driven.feed(*(outcomes([value], 2_300 + second) for second, value in enumerate(parts[2])))
    assert driven.states() == ["warming", "ok", "drift", "recovered", "ok"]


def test_a_constant_metric_recovers_although_sums_of_it_differ_in_their_last_digits() -> None:
    detector = {"name": "threshold", "breaches": 1, "limit": 0.85}
    window = {"size": 40, "min_samples": 5}
    driven = Driven(Settings(monitor=[{"metric": "extras.x", "window": window, "detector": detector}]))
    driven.feed(*extras([0.9] * 33 + [0.5] + [0.9] * 20))
    assert driven.states() == ["warming", "ok", "drift", "recovered", "ok"]


def test_the_very_first_value_may_be_drift() -> None:
    detector = {"name": "threshold", "breaches": 1, "of": 1, "limit": 0.5}
    driven = Driven(Settings(monitor=[{"metric": "extras.x", "detector": detector}]))
    driven.feed(*extras([0.1]))
    assert driven.states() == ["drift"]


def test_other_settings_let_it_begin_anew_and_the_same_do_not() -> None:
    driven, values = Driven(rules(table("cusum"))), pieces_of_errors(10, 30)
    driven.feed(outcomes(values))
    driven.stage = Driven(rules(table("cusum"))).stage
    driven.feed(outcomes(values))
    assert alerts(driven.outputs) == []
    driven.stage = Driven(rules(table("cusum") | {"slack": 0.2})).stage
    driven.feed(outcomes(values))
    assert alerts(driven.outputs) == [("settings_changed", "info", "firing")]
    fresh = Driven(rules(table("cusum") | {"slack": 0.2}))
    fresh.feed(outcomes(values))
    assert kept(driven, "error") == kept(fresh, "error")


@pytest.mark.parametrize("which", [name for name in ALL if name not in BOUNDED])
def test_what_it_finds_in_huge_values_can_be_reported(which: str) -> None:
    driven = Driven(rules(table(which)))
    driven.feed(*extras(np.random.default_rng(6).choice([0.0, 1e-300, 1e300, -1e300, 1.7e308, -1.7e308], 500)))
    driven.feed(*extras([0.0] * 100 + [1.7e308] * 100))
    assert driven.state.versions[0].series["extras.x"].window.pushed == 700


def test_an_accuracy_that_falls_is_worse_for_those_that_look_one_way() -> None:
    for name in ("fhddm", "hddm_a", "hddm_w", "threshold"):
        driven = Driven(Settings(monitor=[{"detector": {"name": name}}]))
        driven.feed(*(metrics(second, accuracy=value) for second, value in enumerate([0.95] * 300 + [0.2] * 300)))
        drifts = [drift for drift in of_type(DriftDetected, driven.outputs) if drift.severity == "drift"]
        assert [drift.direction for drift in drifts] == ["worse"]
