"""Pruners: what a trial must have reached, and when one ends early."""

from __future__ import annotations

from typing import Any

import pytest

from agents.tuner import RunningTrial, TrialPruned, make_pruner, tune
from agents.tuner.pruners import Reported, falls_short
from schemas.trials import TrialState


def climbing(number: int, slope: float, steps: int = 9, complete: bool = True) -> Reported:
    """A trial whose reports rise by `slope`."""
    return Reported(number, {step: slope * (step + 1) for step in range(steps)}, complete)


def test_the_median_of_completed_trials_must_be_reached() -> None:
    ended = [climbing(number, 0.1 * number) for number in range(5)] + [climbing(5, 9.0, complete=False)]
    bounds = make_pruner("median").bounds(6, ended, maximize=True)
    assert bounds == pytest.approx({step: 0.2 * (step + 1) for step in range(9)})


def test_the_median_waits_for_enough_trials_and_for_the_warm_up() -> None:
    ended = [climbing(number, 0.1) for number in range(4)]
    assert make_pruner("Median").bounds(4, ended, maximize=True) == {}
    warmed = make_pruner("median", n_startup_trials=4, n_warmup_steps=7).bounds(4, ended, maximize=True)
    assert sorted(warmed) == [7, 8]


def test_hyperband_halves_at_the_rungs_of_a_trials_bracket() -> None:
    pruner = make_pruner("hyperband", min_resource=1, max_resource=9, reduction_factor=3)
    ended = [climbing(number, 0.01 * number) for number in range(300)]
    rungs = {number: tuple(pruner.bounds(number, ended, maximize=True)) for number in range(300, 400)}
    assert set(rungs.values()) == {(0, 2), (2,), ()}
    counts = {rung: list(rungs.values()).count(rung) for rung in set(rungs.values())}
    assert counts[(0, 2)] > counts[(2,)] > counts[()] > 0
    number = next(number for number, rung in rungs.items() if rung == (0, 2))
    bound = pruner.bounds(number, ended, maximize=True)[0]
    assert bound == pytest.approx(2.0, abs=0.2)  # a third of slopes spread evenly up to 3 lies above 2


def test_hyperband_asks_nothing_of_the_first_trials() -> None:
    pruner = make_pruner("hyperband")
    assert pruner.bounds(0, [], maximize=True) == {}
    assert all(pruner.bounds(number, [climbing(0, 1.0)], maximize=True) == {} for number in range(1, 9))


@pytest.mark.parametrize(
    ("reports", "maximize", "short"),
    [
        ({}, True, False),
        ({0: 0.4}, True, False),
        ({0: 0.4, 1: 0.4}, True, True),
        ({0: 0.6, 1: 0.4}, True, False),
        ({0: 0.4, 3: 0.4}, True, True),
        ({0: 0.4, 1: 0.6, 2: 0.1}, True, False),
        ({0: 0.6, 1: 0.6}, False, True),
        ({0: 0.4, 1: 0.6}, False, False),
    ],
)
def test_a_bound_is_held_against_the_best_value_at_the_first_report_from_its_step_on(
    reports: dict[int, float], maximize: bool, short: bool
) -> None:
    assert falls_short(reports, {1: 0.5}, maximize) is short


def test_a_study_with_a_pruner_ends_poor_trials_early_and_finds_the_same_best() -> None:
    steps = 0

    def curve(trial: RunningTrial) -> float | None:
        nonlocal steps
        for step in range(20):
            steps += 1
            trial.report(step, -abs(float(trial.params["x"] or 0) - 0.5) * (step + 1))
            if trial.should_prune():
                raise TrialPruned
        return None

    whole = tune(curve, {"x": [0.0, 1.0]}, 40, seed=2)
    assert steps == 800
    best = max(whole, key=lambda result: result.score or -99)
    for pruner in ("median", "hyperband"):
        steps = 0
        results = tune(curve, {"x": [0.0, 1.0]}, 40, seed=2, pruner=pruner)
        assert steps < 700
        pruned = [result for result in results if result.state is TrialState.PRUNED]
        assert pruned
        assert all(result.score is not None and result.error is None for result in pruned)
        complete = [result for result in results if result.state is TrialState.COMPLETE]
        assert max(complete, key=lambda result: result.score or -99).params == best.params


@pytest.mark.parametrize(
    ("name", "params", "expected"),
    [
        ("halving", {}, "unknown pruner 'halving'; known are: hyperband, median, none"),
        ("none", {"n_startup_trials": 1}, "has no parameter 'n_startup_trials'; it has: none"),
        ("median", {"patience": 3}, "pruner 'median' has no parameter 'patience'"),
        ("median", {"n_startup_trials": -1}, "from 0 as n_startup_trials, got -1"),
        ("hyperband", {"reduction_factor": 1}, "from 2 as reduction_factor, got 1"),
        ("hyperband", {"min_resource": 1.5}, "from 1 as min_resource, got 1.5"),
    ],
)
def test_a_pruner_that_cannot_be_is_refused(name: str, params: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        make_pruner(name, **params)
