"""What holds for every sampler: its values lie in the space, it reproduces, and it goes on after a crash."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from typing import Any

import pytest

from agents.tuner import SearchSpaceExhausted, make_sampler, optuna_search
from agents.tuner.sampler import Sampler, Told, Trial
from agents.tuner.samplers import ALIASES, SAMPLERS
from agents.tuner.space import Choice, Flag, IntRange, Params, Space, parse_space

SPACE: dict[str, Any] = {
    "lr": {"type": "float_range", "min": 1e-4, "max": 0.3, "log": True},
    "momentum": {"type": "float_range", "min": 0.1, "max": 0.35, "step": 0.1},
    "depth": {"type": "int_range", "min": 2, "max": 12, "step": 3},
    "units": {"type": "int_range", "min": 8, "max": 512, "log": True},
    "kernel": {"type": "choice", "choices": ["rbf", 1, True, 1.0, None]},
    "shuffle": {"type": "flag"},
}

every_sampler = pytest.mark.parametrize("name", sorted(SAMPLERS))


def score_of(trial: Trial) -> float:
    """Best at lr = 0.05 and few units."""
    return -abs(math.log10(float(trial.params["lr"] or 0) / 0.05)) - float(trial.params["units"] or 0) / 512


def driven(sampler: Sampler, count: int, seed: int = 1) -> Iterator[Trial | Told]:
    """A study of three trials at once that end in any order, one in ten failed: what was asked and told."""
    chance, running = random.Random(seed), list[Trial]()
    for _ in range(count):
        running.append(trial := sampler.ask())
        yield trial
        if len(running) == 3:
            ended = running.pop(chance.randrange(3))
            score = None if chance.random() < 0.1 else score_of(ended)
            sampler.tell(ended.number, score)
            yield Told(ended.number, score)


def is_in(space: Space, params: dict[str, Any]) -> bool:
    """Whether all values lie in the space, types included."""
    for name, parameter in space.items():
        value = params[name]
        if isinstance(parameter, Choice):
            good = any(type(value) is type(choice) and value == choice for choice in parameter.choices)
        elif isinstance(parameter, Flag):
            good = type(value) is bool
        elif isinstance(parameter, IntRange):
            good = type(value) is int and value in range(parameter.min, parameter.max + 1, parameter.step)
        else:
            steps = 0.0 if parameter.step is None else (value - parameter.min) / parameter.step
            good = type(value) is float and parameter.min <= value <= parameter.max and abs(steps - round(steps)) < 1e-9
        if not good:
            return False
    return set(params) == set(space)


@every_sampler
def test_it_asks_for_values_of_the_space_numbered_from_0(name: str) -> None:
    space = parse_space(SPACE)
    asked = [event for event in driven(make_sampler(name, SPACE, seed=5), 25) if isinstance(event, Trial)]
    assert [trial.number for trial in asked] == list(range(25))
    below = {"lr"} if name == "decay" else set()  # it has a floor of its own
    assert all(is_in(space, {**trial.params, **dict.fromkeys(below, 0.1)}) for trial in asked)


@every_sampler
def test_the_same_seed_and_scores_give_the_same_trials(name: str) -> None:
    first, second = (list(driven(make_sampler(name, SPACE, seed=5), 25)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("name", sorted(set(SAMPLERS) - {"decay"}))
def test_another_seed_gives_others(name: str) -> None:
    first, second = ([make_sampler(name, SPACE, seed=seed).ask() for _ in range(3)] for seed in (5, 6))
    assert first != second


@every_sampler
@pytest.mark.parametrize("cut", [1, 4, 21, 40])
def test_a_sampler_made_anew_from_the_history_asks_what_the_first_one_would(name: str, cut: int) -> None:
    history = list(driven(make_sampler(name, SPACE, seed=5), 26))
    again = make_sampler(name, SPACE, seed=5)
    again.replay(history[:cut])
    following = next(event for event in history[cut:] if isinstance(event, Trial))
    told_before = [event for event in history[cut : history.index(following)] if isinstance(event, Told)]
    again.replay(told_before)
    assert again.ask() == following


@every_sampler
def test_what_others_asked_counts_as_asked(name: str) -> None:
    sampler = make_sampler(name, SPACE, seed=5)
    params: Params = {"lr": 0.01, "momentum": 0.2, "depth": 5, "units": 64, "kernel": 1.0, "shuffle": True}
    sampler.replay([Trial(0, params), Told(0, 0.25), Trial(1, params)])
    assert sampler.ask().number == 2
    shown = json.loads(sampler.snapshot())["trials"]
    assert [(trial["params"], trial["score"], trial["told"]) for trial in shown[:2]] == [
        (params, 0.25, True),
        (params, None, False),
    ]


@every_sampler
def test_the_snapshot_is_json_with_the_first_score_of_each_trial(name: str) -> None:
    sampler = make_sampler(name, SPACE, seed=5)
    asked = [sampler.ask() for _ in range(3)]
    for number, score in ((0, 0.25), (0, 0.75), (1, math.nan)):
        sampler.tell(number, score)
    document = json.loads(sampler.snapshot())
    assert (document["sampler"], document["seed"]) == (name, 5)
    assert parse_space(document["space"]) == parse_space(SPACE)
    assert [trial["params"] for trial in document["trials"]] == [trial.params for trial in asked]
    assert [(trial["score"], trial["told"]) for trial in document["trials"]] == [
        (0.25, True),
        (None, True),
        (None, False),
    ]
    with pytest.raises(ValueError, match="trial 3 was never asked"):
        sampler.tell(3, 0.5)


@every_sampler
def test_a_history_with_a_gap_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="trial 1 is not the next one of the history, 0 is"):
        make_sampler(name, SPACE, seed=5).replay([Trial(1, {"lr": 0.01})])


@every_sampler
def test_a_parameter_that_it_does_not_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"sampler '{name}' has no parameter 'temperature'"):
        make_sampler(name, SPACE, temperature=3)


@pytest.mark.parametrize("alias", sorted(ALIASES))
def test_an_alias_leads_to_its_sampler_in_any_case(alias: str) -> None:
    sampler = make_sampler(f" {alias.upper().replace('_', '-')} ", SPACE, seed=1)
    assert json.loads(sampler.snapshot())["sampler"] == ALIASES[alias]


def test_tpe_and_cmaes_learn_what_random_search_does_not() -> None:
    def mean_of_last(name: str) -> float:
        space = {"lr": SPACE["lr"], "units": SPACE["units"]}
        found = []
        for seed in range(3):
            history = list(driven(make_sampler(name, space, seed), 60))
            found += [event.score for event in history if isinstance(event, Told) and event.score is not None][-15:]
        return sum(found) / len(found)

    by_chance = mean_of_last("random")
    assert mean_of_last("tpe") > by_chance + 0.3
    assert mean_of_last("cmaes") > by_chance + 0.3


def test_a_grid_has_every_combination_once_and_then_ends() -> None:
    space = {"lr": [0.0, 1.0], "depth": [1, 3], "kernel": SPACE["kernel"], "momentum": SPACE["momentum"]}
    sampler = make_sampler("grid", space, seed=7, points=4)
    asked = [sampler.ask().params for _ in range(4 * 3 * 5 * 3)]
    assert len({tuple(map(repr, params.values())) for params in asked}) == len(asked)
    assert sorted({float(params["lr"] or 0) for params in asked}) == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert {params["depth"] for params in asked} == {1, 2, 3}
    with pytest.raises(SearchSpaceExhausted, match="all 180 combinations"):
        sampler.ask()


def test_a_part_of_a_grid_is_not_one_of_its_edges() -> None:
    sampler = make_sampler("grid", {"a": [0.0, 1.0], "b": [0.0, 1.0]}, seed=3, points=10)
    part = [sampler.ask().params for _ in range(20)]
    assert len({params["a"] for params in part}) > 5
    assert len({params["b"] for params in part}) > 1


@pytest.mark.parametrize("points", [1, 1001, 2.0, True])
def test_a_grid_of_no_usable_size_is_refused(points: Any) -> None:
    with pytest.raises(ValueError, match="points: expected a whole number from 2 to 1000"):
        make_sampler("grid", SPACE, points=points)


def test_decay_takes_four_fifths_of_the_incumbents_rate_each_time_and_keeps_the_rest() -> None:
    incumbent = {"lr": 0.1, "depth": 7, "note": "kept"}
    sampler = make_sampler("decay", {"lr": [1e-4, 0.3]}, incumbent=incumbent)
    asked = [sampler.ask().params for _ in range(3)]
    assert [params["lr"] for params in asked] == pytest.approx([0.08, 0.064, 0.0512])
    assert all({**params, "lr": 0.1} == incumbent for params in asked)


def test_decay_without_an_incumbent_starts_from_the_spaces_defaults() -> None:
    sampler = make_sampler("decay", {"lr": SPACE["lr"], "depth": [2, 12]})
    params = sampler.ask().params
    assert params["lr"] == pytest.approx(0.8 * math.sqrt(1e-4 * 0.3))
    assert params["depth"] == 7


def test_decay_stops_at_its_floor() -> None:
    sampler = make_sampler("decay", {"lr": [1e-6, 0.3]}, incumbent={"lr": 1.5e-5})
    assert [sampler.ask().params["lr"] for _ in range(2)] == [pytest.approx(1.2e-5), 1e-5]
    with pytest.raises(SearchSpaceExhausted, match="lr is at its floor of 1e-05"):
        sampler.ask()


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"factor": 1.0}, "factor in"),
        ({"factor": "half"}, "expected a number as factor"),
        ({"floor": 0.0}, "floor above 0"),
        ({"parameter": "rate"}, "expected a positive number as 'rate', got None"),
        ({"incumbent": {"lr": "fast"}}, "expected a positive number as 'lr', got 'fast'"),
    ],
)
def test_a_decay_that_cannot_be_is_refused(params: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        make_sampler("decay", {"lr": [1e-6, 0.3]}, **params)


def test_an_option_goes_to_optuna_and_a_bad_one_comes_back_in_one_line() -> None:
    few, many = (make_sampler("tpe", {"lr": [0.0, 1.0]}, 3, n_startup_trials=count) for count in (1, 100))
    for sampler in (few, many):
        for _ in range(20):
            trial = sampler.ask()
            sampler.tell(trial.number, float(trial.params["lr"] or 0))
    assert few.ask() != many.ask()
    with pytest.raises(ValueError, match=r"sampler 'qmc': .*lottery"):
        make_sampler("qmc", SPACE, qmc_type="lottery")


def test_without_optuna_its_samplers_say_what_to_install_and_the_others_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optuna_search, "find_spec", lambda module: None)
    with pytest.raises(ValueError, match=r"needs optuna and cmaes: pip install 'visutility-streams\[tuning\]'"):
        make_sampler("cmaes", SPACE)
    for name in ("random", "grid", "decay"):
        assert make_sampler(name, SPACE, seed=1).ask().number == 0
