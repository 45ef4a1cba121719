"""Samplers kept between calls ask what samplers made anew would."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agents.tuner import sampling
from agents.tuner.sampler import Told, Trial
from agents.tuner.sampling import KEPT, SamplingCall, choose

SPACE: dict[str, Any] = {"x": [0.0, 1.0], "n": [1, 50]}


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    sampling._kept.clear()


def call(*history: Trial | Told, study: str = "s", sampler: str = "tpe", count: int = 1) -> SamplingCall:
    return SamplingCall(study, sampler, SPACE, 7, {}, list(history), count)


def grown(sampler: str, kept: bool) -> list[Trial | Told]:
    """A study of twenty trials, with the sampler kept from call to call or made anew each time."""
    history: list[Trial | Told] = []
    for number in range(20):
        if not kept:
            sampling._kept.clear()
        trial = Trial(number, choose(call(*history, sampler=sampler)).params[0])
        history += [trial, Told(number, -abs(float(trial.params["x"] or 0) - 0.5))]
    return history


@pytest.mark.parametrize("sampler", ["random", "grid", "tpe", "cmaes", "qmc"])
def test_a_sampler_that_was_kept_asks_what_one_made_anew_asks(sampler: str) -> None:
    assert grown(sampler, kept=True) == grown(sampler, kept=False)


def test_what_was_chosen_and_never_committed_is_chosen_again() -> None:
    first = choose(call(count=3))
    assert choose(call(count=3)) == first


def test_a_history_that_went_another_way_is_believed() -> None:
    history = grown("tpe", kept=True)
    other: list[Trial | Told] = [*history[:-2], Trial(19, {"x": 0.5, "n": 25}), Told(19, 0.0)]
    wanted = choose(call(*other, study="made anew"))
    assert choose(call(*other)) == wanted


def test_only_so_many_are_kept() -> None:
    for number in range(KEPT + 5):
        choose(replace(call(sampler="random"), study=str(number)))
    assert len(sampling._kept) == KEPT


def test_a_sampler_that_runs_dry_gives_what_it_has_and_the_reason() -> None:
    chosen = choose(replace(call(sampler="grid", count=10), options={"points": 2}))
    assert len(chosen.params) == 4
    assert chosen.exhausted == "all 4 combinations of the grid were asked"
