"""Alarms and warnings at the very values at which frouros' detectors gave them (`frouros_alarms.py`)."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from agents.drift import make_detector
from tests.drift.frouros_alarms import FILE, STREAMS

ALARMS: dict[str, list[list[list[Any]]]] = json.loads(FILE.read_text())

PARAMS: dict[str, dict[str, Any]] = {
    "cusum": {"threshold": 5.0, "slack": 0.005, "deviation": 1.0, "min_instances": 30, "direction": "up"},
    "ewma": {},
    "stepd": {},
}


def found(name: str, seed: int, **params: Any) -> list[list[Any]]:
    verdicts = make_detector(name, **params).update_many(STREAMS[name](seed))
    return [[index, "drift" if verdict.drift else "warning"] for index, verdict in verdicts]


@pytest.mark.parametrize("name", sorted(PARAMS))
def test_it_fires_and_warns_where_frouros_does(name: str) -> None:
    assert sum(len(alarms) for alarms in ALARMS[name]) >= 20
    for seed, theirs in enumerate(ALARMS[name]):
        assert found(name, seed, **PARAMS[name]) == theirs, f"seed {seed}"


def test_rddm_agrees_with_frouros_up_to_the_first_drift_after_which_frouros_keeps_the_old_concept() -> None:
    drifts = 0
    for seed, theirs in enumerate(ALARMS["rddm"]):
        first = next((at for at, (_, kind) in enumerate(theirs) if kind == "drift"), len(theirs))
        assert found("rddm", seed)[: first + 1] == theirs[: first + 1], f"seed {seed}"
        drifts += first < len(theirs)
    assert drifts >= 5


def test_stepd_finds_nothing_where_all_values_are_alike_or_differ_by_less_than_the_correction() -> None:
    # frouros divides by a variance of 0, or takes the absolute value of what the correction made negative, and fires.
    assert make_detector("stepd").update_many(np.zeros(1000)) == []
    assert make_detector("stepd").update_many(np.ones(1000)) == []
    rare = np.zeros(3000)
    rare[1] = 1.0
    assert make_detector("stepd").update_many(rare) == []
