"""What the z-score says, and how detectors are made by name."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.drift import RECOMMENDED, WindowDetector, ZScore, make_detector, z_score
from schemas.kernel import COMPILED

SERIES = st.lists(
    st.one_of(st.floats(0, 1), st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([0.9, 0.1, 1e300])),
    max_size=80,
)


def stepped(before: float, after: float, seed: int = 1) -> list[float]:
    """300 values around one mean, then 60 around another."""
    rng = np.random.default_rng(seed)
    return [*rng.normal(before, 0.01, 300), *rng.normal(after, 0.01, 60)]


@pytest.fixture(params=["by numpy", "by kernel"] if COMPILED else ["by numpy"])
def judging(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a kernel says first if any value fires."""
    if request.param == "by kernel":
        z_score.load()
    monkeypatch.setattr(z_score.load, "done", request.param == "by kernel")


@given(values=SERIES, cut=st.integers(0, 80))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.usefixtures("judging")
def test_many_at_once_is_the_same_as_one_by_one_and_as_a_restored_detector(values: list[float], cut: int) -> None:
    single, whole, restored = (ZScore(size=20, min_samples=5) for _ in range(3))
    verdicts = [single.update(value) for value in values]
    fired = [(index, verdict) for index, verdict in enumerate(verdicts) if verdict.drift]
    assert whole.update_many(values) == fired
    first = restored.update_many(values[:cut])
    restored = ZScore.from_state(restored.state())
    rest = [(index + len(values[:cut]), verdict) for index, verdict in restored.update_many(values[cut:])]
    assert first + rest == fired
    assert single.state() == whole.state() == restored.state()


def test_a_step_down_is_found_at_once() -> None:
    detector = make_detector("z_score")
    found = detector.update_many(stepped(0.93, 0.65))
    assert (300, "down") in [(index, verdict.direction) for index, verdict in found if verdict.drift]


def test_nothing_is_found_in_warm_up() -> None:
    assert make_detector("z_score", min_samples=50).update_many([0.9] * 48 + [0.1]) == []


def test_nothing_is_found_in_a_constant_series() -> None:
    assert make_detector("z_score").update_many([0.1 + 0.2] * 2000) == []


def test_memory_is_bounded() -> None:
    detector = make_detector("z_score", size=100)
    detector.update_many(np.random.default_rng(0).random(1_000))
    size = len(detector.state())
    detector.update_many(np.random.default_rng(1).random(100_000))
    assert len(detector.state()) == size


def test_it_can_share_the_window_of_its_series_and_one_with_a_state_of_its_own_cannot() -> None:
    assert isinstance(make_detector("z_score"), WindowDetector)
    assert not isinstance(make_detector("adwin"), WindowDetector)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown detector 'zscore' \(did you mean 'z_score'\?\); known: .*z_score"):
        make_detector("zscore")


def test_an_unknown_parameter_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no parameter 'treshold' \(did you mean 'threshold'\?\); known: threshold,"):
        make_detector("z_score", treshold=2)


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"threshold": 0}, "above 0, got 0"),
        ({"threshold": math.nan}, "finite"),
        ({"direction": "sideways"}, "both, up, down"),
        ({"size": 10, "min_samples": 11}, r"from 2 to size \(10\)"),
    ],
)
def test_a_bad_parameter_is_refused_with_what_was_expected(params: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        make_detector("z_score", **params)


def test_z_is_taken_in_a_window_that_includes_the_newest_value() -> None:
    values = [0.90, 0.92, 0.91, 0.93, 0.5]
    detector = ZScore(size=5, min_samples=2)
    verdicts = [detector.update(value) for value in values]
    assert verdicts[0].statistic == 0.0
    assert verdicts[-1].statistic == pytest.approx((0.5 - np.mean(values)) / np.std(values, ddof=1))


@pytest.mark.usefixtures("judging")
def test_z_is_zero_where_the_deviation_is_at_most_the_epsilon_of_float32() -> None:
    epsilon = float(np.finfo(np.float32).eps)
    below, above = ZScore(size=20, min_samples=5), ZScore(size=20, min_samples=5)
    assert below.update_many([1.0] * 19 + [1.0 + epsilon]) == []
    assert [index for index, _ in above.update_many([1.0] * 19 + [1.0 + 100 * epsilon])] == [19]


@pytest.mark.usefixtures("judging")
@pytest.mark.parametrize(("direction", "found"), [("both", [100, 201]), ("up", [201]), ("down", [100])])
def test_direction_says_which_side_counts(direction: str, found: list[int]) -> None:
    usual = [0.90, 0.92] * 50
    verdicts = make_detector("z_score", direction=direction).update_many([*usual, 0.5, *usual, 2.0])
    assert [index for index, _ in verdicts] == found


@pytest.mark.usefixtures("judging")
def test_the_first_judged_value_is_the_one_that_completes_min_samples() -> None:
    detector = make_detector("z_score", min_samples=50)
    assert [index for index, _ in detector.update_many([0.90, 0.92] * 24 + [0.91, 0.1])] == [49]


@pytest.mark.parametrize("data", [b"", b"\x07" + bytes(60)])
def test_a_state_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="format 1"):
        ZScore.from_state(data)


def test_a_state_with_a_direction_there_is_not_is_refused() -> None:
    data = make_detector("z_score").state()
    with pytest.raises(ValueError, match="direction below 3, got 3"):
        ZScore.from_state(data[:9] + b"\x03" + data[10:])


@pytest.mark.parametrize("kind", sorted(RECOMMENDED))
def test_recommended_is_the_detector_that_was_calibrated_for_the_kind(kind: Any) -> None:
    name, params = RECOMMENDED[kind]
    detector = make_detector("recommended", kind=kind)
    assert detector.name == name
    assert detector.state() == make_detector(name, **params).state()


def test_parameters_replace_the_recommended_ones() -> None:
    expected = make_detector("two_proportion", **RECOMMENDED["errors"][1] | {"threshold": 6})
    assert make_detector("recommended", threshold=6).state() == expected.state()


def test_recommended_refuses_an_unknown_kind() -> None:
    with pytest.raises(ValueError, match="kind: expected one of errors, metric, distribution, got 'f1'"):
        make_detector("recommended", kind="f1")
