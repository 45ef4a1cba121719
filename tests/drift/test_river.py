"""Alarms and warnings at the very values at which river's detectors give them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from river import drift
from river.drift import binary

from agents.drift import make_detector
from tests.drift.streams import Floats, errors, errors_of, needs_predictions, numbers, recorded, shares

FHDDM: dict[str, Any] = {"sliding_window_size": 50, "short_window_size": 20, "confidence_level": 0.01}
HINKLEY: dict[str, Any] = {"threshold": 2, "alpha": 0.99, "delta": 0.1}

Case = tuple[str, dict[str, Any], Callable[[], Any], Callable[[int], Floats]]

DEFAULTS: list[Case] = [
    ("adwin", {}, drift.ADWIN, numbers),
    ("ddm", {}, binary.DDM, shares),
    ("eddm", {}, binary.EDDM, errors),
    ("fhddm", {}, binary.FHDDM, shares),
    ("hddm_a", {}, binary.HDDMA, shares),
    ("hddm_w", {}, binary.HDDMW, shares),
    ("page_hinkley", {}, drift.PageHinkley, numbers),
]

VARIANTS: list[Case] = [
    ("adwin", {"clock": 1, "delta": 0.05}, partial(drift.ADWIN, clock=1, delta=0.05), numbers),
    ("fhddm", FHDDM, partial(binary.FHDDM, **FHDDM), errors),
    ("hddm_a", {"direction": "both"}, partial(binary.HDDMA, two_sided_test=True), shares),
    ("hddm_w", {"direction": "both"}, partial(binary.HDDMW, two_sided_test=True), shares),
    ("page_hinkley", {"threshold": 5}, partial(drift.PageHinkley, threshold=5), numbers),
    ("page_hinkley", HINKLEY | {"direction": "up"}, partial(drift.PageHinkley, **HINKLEY, mode="up"), numbers),
    ("page_hinkley", HINKLEY | {"direction": "down"}, partial(drift.PageHinkley, **HINKLEY, mode="down"), numbers),
]


def of_river(detector: Any, values: Floats) -> list[tuple[int, str]]:
    """Where it fires, and where a warning begins."""
    found, warned = [], False
    whole = set(values.tolist()) <= {0.0, 1.0}
    for index, value in enumerate((values.astype(int) if whole else values).tolist()):
        detector.update(value)
        warns = getattr(detector, "warning_detected", False) and not detector.drift_detected
        if detector.drift_detected or (warns and not warned):
            found.append((index, "drift" if detector.drift_detected else "warning"))
        warned = warns
    return found


def of_ours(name: str, params: dict[str, Any], values: Floats) -> list[tuple[int, str]]:
    found = make_detector(name, **params).update_many(values)
    return [(index, "drift" if verdict.drift else "warning") for index, verdict in found]


def fire_alike(case: Case, seeds: range) -> None:
    name, params, theirs, stream = case
    fired = 0
    for seed in seeds:
        values = stream(seed)
        found = of_ours(name, params, values)
        assert found == of_river(theirs(), values), f"seed {seed}"
        fired += len(found)
    assert fired >= 20


@pytest.mark.parametrize("case", DEFAULTS, ids=lambda case: case[0])
def test_a_thousand_random_streams_fire_where_river_fires(case: Case) -> None:
    fire_alike(case, range(1000))


@pytest.mark.parametrize("case", VARIANTS, ids=lambda case: case[0])
def test_other_parameters_fire_where_river_fires_with_them(case: Case) -> None:
    fire_alike(case, range(150))


@needs_predictions
@pytest.mark.parametrize("stream", recorded())
@pytest.mark.parametrize("case", DEFAULTS, ids=lambda case: case[0])
def test_recorded_predictions_fire_where_river_fires(case: Case, stream: str) -> None:
    name, params, theirs, _ = case
    values = errors_of(stream)
    assert of_ours(name, params, values) == of_river(theirs(), values)


def test_a_value_that_is_not_a_number_is_refused_where_rivers_adwin_never_fires_again() -> None:
    theirs = drift.ADWIN()
    ours = make_detector("adwin")
    with pytest.raises(ValueError, match="nan"):
        ours.update(float("nan"))
    theirs.update(float("nan"))
    values = np.repeat([0.0, 1.0, 0.0], 500)
    assert of_river(theirs, values) == []
    assert len(ours.update_many(values)) == 2


def test_numbers_whose_squares_overflow_begin_adwin_anew_where_rivers_never_fires_again() -> None:
    values = np.concatenate([[1e300, -1e300], np.repeat([0.0, 1.0], 500)])
    assert of_river(drift.ADWIN(), values) == []
    assert len(make_detector("adwin").update_many(values)) == 1
