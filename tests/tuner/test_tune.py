"""Tuning as a library call."""

from __future__ import annotations

from typing import Any

import pytest

from agents.tuner import InvalidSpace, RunningTrial, tune
from schemas.trials import TrialResult, TrialState

SPACE: dict[str, Any] = {"lr": {"type": "float_range", "min": 1e-3, "max": 1.0, "log": True}}


def peak(trial: RunningTrial, data: Any) -> float:
    return 1.0 - abs(float(trial.params["lr"] or 0) - 0.05)


def test_it_returns_a_result_for_each_trial_in_order_and_finds_the_peak() -> None:
    results = tune(peak, SPACE, 50, seed=3)
    assert [result.number for result in results] == list(range(50))
    best = max(results, key=lambda result: result.score or 0)
    assert abs(float(best.params["lr"] or 0) - 0.05) < 0.02
    assert len({result.trial_id for result in results}) == len({result.event_id for result in results}) == 50


def test_the_same_seed_gives_the_same_params_and_scores() -> None:
    first, second = ([(r.params, r.score) for r in tune(peak, SPACE, 8, seed=3)] for _ in range(2))
    assert first == second
    assert first != [(r.params, r.score) for r in tune(peak, SPACE, 8, seed=4)]


def test_a_trial_that_raises_has_failed_and_the_others_run() -> None:
    def moody(trial: RunningTrial, data: Any) -> float:
        if trial.number == 1:
            raise RuntimeError("not\nthis one")
        return float("nan") if trial.number == 2 else 0.5

    results = tune(moody, SPACE, 4, seed=0)
    assert [result.state for result in results] == [
        TrialState.COMPLETE,
        TrialState.FAILED,
        TrialState.FAILED,
        TrialState.COMPLETE,
    ]
    assert [result.score for result in results] == [0.5, None, None, 0.5]
    assert (results[1].error or "").startswith("RuntimeError: not this one (test_tune.py:")
    assert all(TrialResult.model_validate_json(result.to_json()).params == result.params for result in results)


def test_the_objective_gets_the_data_or_takes_the_trial_alone() -> None:
    seen: list[object] = []

    def with_data(trial: RunningTrial, data: object) -> float:
        seen.append(data)
        return 1.0

    tune(with_data, SPACE, 1, data="the data")
    assert seen == ["the data"]
    assert tune(lambda trial: trial.params["lr"], SPACE, 1, seed=1)[0].state is TrialState.COMPLETE


def test_an_objective_is_found_by_its_import_path() -> None:
    results = tune("tests.tuner.objectives:objective", SPACE, 2, seed=1, data="x")
    assert all(result.state is TrialState.COMPLETE for result in results)


@pytest.mark.parametrize("trials", [0, -1, 2.5, True, "3"])
def test_a_number_of_trials_below_one_is_refused(trials: Any) -> None:
    with pytest.raises(ValueError, match="trials: expected a whole number from 1"):
        tune(peak, SPACE, trials)


def test_what_cannot_be_used_is_refused_before_any_trial() -> None:
    with pytest.raises(InvalidSpace, match=r"space\.lr"):
        tune(peak, {"lr": [1.0, 0.0]}, 3)
    with pytest.raises(ValueError, match="unknown sampler"):
        tune(peak, SPACE, 3, sampler="magic")
    with pytest.raises(ValueError, match="something to call"):
        tune(3, SPACE, 3)  # type: ignore[arg-type]
