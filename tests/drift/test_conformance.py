"""What every registered detector keeps to; a new one is checked by registering it."""

from __future__ import annotations

import doctest
import math
import sys
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.drift import DETECTORS, Detector, Verdict, make_detector
from agents.drift.distribution import DistributionDetector
from agents.drift.stream_detector import StreamDetector
from tests.drift.streams import Floats

SIZES = {"reference": 15, "size": 8, "stride": 3}
#: Parameters with which short streams make each of them fire; of the others the defaults do.
QUICK: dict[str, dict[str, Any]] = {
    "adwin": {"clock": 1, "delta": 0.5, "grace_period": 5},
    "chi2": SIZES | {"bins": 3, "threshold": 4.0},
    "cusum": {"threshold": 2.0, "min_instances": 5},
    "ddm": {"warm_start": 5},
    "eddm": {"warm_start": 3},
    "ewma": {"min_instances": 5},
    "fhddm": {"sliding_window_size": 10, "short_window_size": 4, "confidence_level": 0.2, "direction": "both"},
    "hddm_a": {"drift_confidence": 0.2, "warning_confidence": 0.4, "direction": "both"},
    "hddm_w": {"drift_confidence": 0.2, "warning_confidence": 0.4, "direction": "both"},
    "hellinger": SIZES | {"bins": 3, "threshold": 0.25},
    "jensen_shannon": SIZES | {"bins": 3, "threshold": 0.25},
    "ks": SIZES | {"threshold": 0.4},
    "kswin": {"window_size": 16, "stat_size": 5, "alpha": 0.1},
    "page_hinkley": {"threshold": 1.0, "min_instances": 5},
    "psi": SIZES | {"bins": 3, "threshold": 0.6},
    "rddm": {"min_instances": 10, "min_concept_size": 12, "max_concept_size": 20, "max_warnings": 3},
    "stepd": {"window_size": 5, "alpha_drift": 0.1, "alpha_warning": 0.2},
    "threshold": {"limit": 0.5, "breaches": 2, "of": 3},
    "two_proportion": {"reference_size": 15, "min_reference": 10, "window_size": 8, "min_samples": 3, "threshold": 1.5},
    "wasserstein": SIZES | {"threshold": 0.4},
    "z_score": {"size": 20, "min_samples": 5, "threshold": 2.0},
}

#: The number of values before which each of them, with its defaults, never fires.
WARM_UP = {
    "adwin": 11,
    "chi2": 1500,
    "cusum": 100,
    "ddm": 31,
    "eddm": 31,
    "ewma": 30,
    "fhddm": 100,
    "hddm_a": 2,
    "hddm_w": 2,
    "hellinger": 1500,
    "jensen_shannon": 1500,
    "ks": 1500,
    "kswin": 100,
    "page_hinkley": 30,
    "psi": 1500,
    "rddm": 129,
    "stepd": 60,
    "threshold": 3,
    "two_proportion": 550,
    "wasserstein": 1500,
    "z_score": 50,
}

VALUES = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1))
#: Pieces, so that there is something to find.
SERIES = st.lists(st.tuples(VALUES, st.integers(1, 25)), max_size=12).map(
    lambda pieces: [value for value, times in pieces for _ in range(times)]
)

ALL = sorted(DETECTORS)
KERNELS = [name for name in ALL if issubclass(DETECTORS[name], StreamDetector)]
OF_DISTRIBUTION = [name for name in ALL if issubclass(DETECTORS[name], DistributionDetector)]

#: What the state of a detector with its defaults takes at most, in bytes: of some it holds a reference and a window.
LARGEST_STATE = dict.fromkeys(OF_DISTRIBUTION, 9_000) | {"ks": 10_000, "wasserstein": 13_000}


def one_by_one(detector: Detector, values: Floats | list[float]) -> list[tuple[int, Verdict]]:
    """What `update_many` is to say of these values, from `update`."""
    found, warned = [], False
    for index, value in enumerate(values):
        verdict = detector.update(value)
        assert not (verdict.drift and verdict.warning)
        if verdict.drift or (verdict.warning and not warned):
            found.append((index, verdict))
        warned = verdict.warning
    return found


def ends_of_warnings(detector: Detector, values: Floats) -> list[int]:
    """Where a warning is over without a drift, from `update`."""
    verdicts = [detector.update(value) for value in values]
    return [
        index
        for index, (before, verdict) in enumerate(pairwise(verdicts), start=1)
        if before.warning and not verdict.warning and not verdict.drift
    ]


def pieces_of_errors(seed: int, length: int) -> Floats:
    rng = np.random.default_rng(seed)
    rates = np.repeat(rng.random(length // 50 + 1), 50)[:length]
    return (rng.random(length) < rates).astype(np.float64)


@pytest.fixture(params=ALL)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_tables_of_this_file_know_every_detector() -> None:
    assert sorted(QUICK) == sorted(WARM_UP) == ALL


def test_its_name_is_the_one_it_is_registered_by(name: str) -> None:
    assert make_detector(name).name == name


def test_its_docstring_has_an_example_that_is_true(name: str) -> None:
    made = DETECTORS[name]
    tests = doctest.DocTestFinder().find(made, globs=vars(sys.modules[made.__module__]) | {made.__name__: made})
    results = [doctest.DocTestRunner().run(test) for test in tests]
    assert sum(result.attempted for result in results) >= 1
    assert not any(result.failed for result in results)


@given(values=SERIES, cuts=st.lists(st.integers(0, 300), max_size=3))
@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("which", ALL)
def test_any_split_into_calls_and_restores_gives_the_same_verdicts_and_state(
    which: str, values: list[float], cuts: list[int]
) -> None:
    single, whole, parts = (make_detector(which, **QUICK[which]) for _ in range(3))
    expected = one_by_one(single, values)
    assert whole.update_many(values) == expected
    found, start = [], 0
    for end in [*sorted(min(cut, len(values)) for cut in cuts), len(values)]:
        found += [(start + index, verdict) for index, verdict in parts.update_many(values[start:end])]
        parts, start = type(parts).from_state(parts.state()), end
    assert found == expected
    assert single.state() == whole.state() == parts.state()


def test_long_streams_in_blocks_give_the_same_as_values_one_by_one(name: str) -> None:
    values = pieces_of_errors(1, 20_000)
    single, whole = make_detector(name, **QUICK[name]), make_detector(name, **QUICK[name])
    found = whole.update_many(values)
    assert sum(verdict.drift for _, verdict in found) >= 5
    assert found == one_by_one(single, values)
    assert single.state() == whole.state()
    assert {verdict.direction for _, verdict in found} <= ({"none"} if name in OF_DISTRIBUTION else {"up", "down"})


def test_ends_of_warnings_are_told_where_they_are_asked_for(name: str) -> None:
    values = pieces_of_errors(1, 20_000)
    first, second, third = (make_detector(name, **QUICK[name]) for _ in range(3))
    found = first.update_many(values, with_ends=True)
    assert [index for index, verdict in found if not (verdict.drift or verdict.warning)] == ends_of_warnings(
        second, values
    )
    assert [each for each in found if each[1].drift or each[1].warning] == third.update_many(values)
    assert first.state() == third.state()


@pytest.mark.parametrize("which", KERNELS)
def test_the_interpreter_gives_the_same_bits_as_machine_code(which: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    rng = np.random.default_rng(2)
    values = np.concatenate([pieces_of_errors(3, 2000), rng.random(2000)])
    compiled = make_detector(which, **QUICK[which])
    monkeypatch.setattr("agents.drift.kernel.COMPILED", False)
    interpreted = make_detector(which, **QUICK[which])
    found = interpreted.update_many(values)
    assert found
    assert found == compiled.update_many(values)
    assert interpreted.state() == compiled.state()


def test_two_of_the_same_say_the_same(name: str) -> None:
    values = pieces_of_errors(4, 3000)
    assert make_detector(name).update_many(values) == make_detector(name).update_many(values)


def test_nothing_is_found_in_warm_up(name: str) -> None:
    turns = [[0.0, 1.0], [1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    for values in [*(turn * 1000 for turn in turns), [0.0] * 20 + [1.0] * 2000, [1.0] * 20 + [0.0] * 2000]:
        found = make_detector(name).update_many(values[: WARM_UP[name] - 1])
        assert not [index for index, verdict in found if verdict.drift]


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1 + 0.2])
def test_nothing_is_found_in_a_constant_series(name: str, value: float) -> None:
    params = {"threshold": {"limit": 0.0}}.get(name, {})
    assert make_detector(name, **params).update_many([value] * 5000) == []


def test_memory_is_bounded_over_a_million_values(name: str) -> None:
    detector = make_detector(name)
    largest = 0
    for part in range(20):
        detector.update_many(pieces_of_errors(part, 50_000))
        largest = max(largest, len(detector.state()))
    assert largest <= LARGEST_STATE.get(name, 4_200)


@pytest.mark.parametrize("which", [name for name in ALL if not getattr(DETECTORS[name], "bounded", False)])
def test_extreme_values_neither_fail_nor_blind_it(which: str) -> None:
    rng = np.random.default_rng(6)
    extreme = rng.choice([0.0, 5e-324, 1e-300, -1e-300, 1e300, -1e300, 1.7e308, -1.7e308], 500)
    detector = make_detector(which)
    detector.update_many(extreme)
    detector = type(detector).from_state(detector.state())
    usual = rng.normal(0.9, 0.01, 5000)
    detector.update_many(usual)
    assert [index for index, verdict in detector.update_many(np.full(2000, -50.0)) if verdict.drift]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_refused_and_changes_nothing(name: str, value: float) -> None:
    detector = make_detector(name)
    detector.update_many([0.5, 1.0])
    before = detector.state()
    with pytest.raises(ValueError, match="finite"):
        detector.update(value)
    with pytest.raises(ValueError, match="finite"):
        detector.update_many([1.0, value])
    assert detector.state() == before


@pytest.mark.parametrize("which", [name for name in ALL if getattr(DETECTORS[name], "bounded", False)])
def test_a_detector_of_errors_refuses_what_is_none(which: str) -> None:
    with pytest.raises(ValueError, match=r"from 0 to 1, got 1\.5 at index 1"):
        make_detector(which).update_many([1.0, 1.5])


@pytest.mark.parametrize("which", [*OF_DISTRIBUTION, *sorted(set(KERNELS) - {"rddm", "threshold", "kswin"})])
def test_after_a_drift_it_is_as_good_as_new(which: str) -> None:
    values = pieces_of_errors(5, 4000)
    detector = make_detector(which, **QUICK[which])
    first = next(index for index, verdict in detector.update_many(values) if verdict.drift)
    detector = make_detector(which, **QUICK[which])
    detector.update_many(values[: first + 1])
    assert detector.state() == make_detector(which, **QUICK[which]).state()


@pytest.mark.parametrize("which", [*OF_DISTRIBUTION, *KERNELS])
def test_a_reset_forgets_every_value(which: str) -> None:
    detector = make_detector(which, **QUICK[which])
    assert isinstance(detector, StreamDetector | DistributionDetector)
    detector.update_many(pieces_of_errors(7, 333))
    detector.reset()
    assert detector.state() == make_detector(which, **QUICK[which]).state()


@pytest.mark.parametrize("which", [*OF_DISTRIBUTION, *KERNELS])
def test_a_state_carries_the_parameters(which: str) -> None:
    detector = make_detector(which, **QUICK[which])
    restored = DETECTORS[which].from_state(detector.state())
    assert isinstance(restored, StreamDetector | DistributionDetector)
    assert restored.parameters.items() >= QUICK[which].items()


@pytest.mark.parametrize("threshold", [3, 3.0])
def test_a_restored_detector_writes_the_state_it_was_read_from(threshold: float) -> None:
    detector = make_detector("cusum", threshold=threshold)
    detector.update_many([0.5, 0.7])
    first, second = (type(detector).from_state(detector.state()) for _ in range(2))
    assert first.state() == second.state() == detector.state()
    first.update(0.1)
    assert second.state() == detector.state() != first.state()


def test_a_state_of_another_detector_or_none_is_refused(name: str) -> None:
    other = make_detector("ddm" if name != "ddm" else "eddm").state()
    for data in (b"", b"\x07" + bytes(60), b"\x02\xff", other, make_detector(name).state()[:3]):
        with pytest.raises(ValueError, match=name):
            DETECTORS[name].from_state(data)


@pytest.mark.parametrize("name", ["cusum", "ks"])
def test_a_state_that_is_nested_deeply_is_refused(name: str) -> None:
    begins = make_detector(name).state()
    with pytest.raises(ValueError, match=name):
        DETECTORS[name].from_state(begins[: begins.index(name.encode()) + len(name)] + b"\x91" * 5_000)


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("adwin", {"delta": 0}, "delta: expected a number between 0 and 1"),
    ("adwin", {"clock": 0}, "clock: expected a whole number from 1"),
    ("chi2", {"stride": 501}, "stride: expected a whole number from 1 to 500, got 501"),
    ("cusum", {"slack": -1}, "slack: expected a finite number, at least 0"),
    ("ddm", {"warning_threshold": 4}, r"warning_threshold: expected at most drift_threshold \(3.0\), got 4"),
    ("eddm", {"beta": 0.99}, "beta: expected at most alpha"),
    ("ewma", {"average_run_length": 500}, "average_run_length: expected one of 100, 400, 1000, got 500"),
    ("fhddm", {"short_window_size": 101}, "short_window_size: expected a whole number from 1 to 100"),
    ("hddm_a", {"direction": "sideways"}, "direction: expected one of both, up, down, got 'sideways'"),
    ("hddm_w", {"lambda_val": 1}, "lambda_val: expected a number between 0 and 1"),
    (
        "ks",
        {"reference": 10, "size": 5},
        "size: 10 and 5 values never differ at a level of 5e-06: expected more values",
    ),
    ("ks", {"column": "x"}, "column: expected reference_file beside it"),
    ("kswin", {"window_size": 50}, "window_size: expected a whole number from 60"),
    ("page_hinkley", {"alpha": 1.5}, "alpha: expected a number from 0 to 1"),
    ("page_hinkley", {"threshold": math.nan}, "threshold: expected a finite number above 0"),
    ("psi", {"bins": 1}, "bins: expected a whole number from 2 to 100, got 1"),
    ("psi", {"size": 100, "bins": 30}, "size: expected at least 5 values for each of 30 bins, got 100"),
    ("rddm", {"min_concept_size": 50_000}, "min_concept_size: expected at most max_concept_size"),
    ("stepd", {"alpha_drift": 0.5}, "alpha_drift: expected at most alpha_warning"),
    ("threshold", {"of": math.inf}, "of: expected a whole number from 1 to 1000000, got inf"),
    ("threshold", {"breaches": 6}, "breaches: expected a whole number from 1 to 5, got 6"),
    ("threshold", {"recovery": 0.7}, r"recovery: expected a value that is not beyond limit \(0.8\), got 0.7"),
    ("wasserstein", {"alpha": 1}, "alpha: expected a number between 0 and 1"),
    ("two_proportion", {"min_samples": 501}, "min_samples: expected a whole number from 1 to 500"),
]


@pytest.mark.parametrize(("which", "params", "reason"), BAD)
def test_a_bad_parameter_is_refused_with_what_was_expected(which: str, params: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        make_detector(which, **params)
