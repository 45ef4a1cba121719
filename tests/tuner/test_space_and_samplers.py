"""Search spaces and samplers: what they accept, what they refuse, and that they reproduce."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.tuner import make_sampler
from agents.tuner.sampler import Told
from agents.tuner.space import IntRange, InvalidSpace, parse_space, sample_at

MIXED: dict[str, Any] = {
    "lr": {"type": "float_range", "min": 1e-4, "max": 0.3, "log": True},
    "depth": {"type": "int_range", "min": 2, "max": 12},
    "kernel": {"type": "choice", "choices": ["rbf", "linear", None]},
    "shuffle": {"type": "flag"},
}

GOLDEN = [
    {"a": 0.9167441575549085, "b": 911, "c": True},
    {"a": 0.4674907799518424, "b": 46, "c": True},
    {"a": 0.07123920291270869, "b": 710, "c": False},
]

positions = st.floats(0, 1, exclude_max=True)
finite = st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None)
@given(finite, finite, positions)
def test_a_float_range_never_leaves_its_bounds(a: float, b: float, position: float) -> None:
    if a != b:
        low, high = sorted((a, b))
        value = sample_at(parse_space({"x": {"type": "float_range", "min": low, "max": high}}), [position])["x"]
        assert isinstance(value, float)
        assert low <= value <= high


@settings(deadline=None)
@given(
    st.floats(1e-300, 1e300),
    st.floats(1e-300, 1e300),
    positions,
)
def test_a_logarithmic_float_range_never_leaves_its_bounds(a: float, b: float, position: float) -> None:
    if a != b:
        low, high = sorted((a, b))
        space = parse_space({"x": {"type": "float_range", "min": low, "max": high, "log": True}})
        value = sample_at(space, [position])["x"]
        assert isinstance(value, float)
        assert low <= value <= high


@settings(deadline=None)
@given(st.integers(-(2**63), 2**63 - 2), st.integers(1, 2**40), st.integers(1, 1000), positions)
def test_an_int_range_gives_whole_numbers_on_its_grid(low: int, width: int, step: int, position: float) -> None:
    high = min(low + width, 2**63 - 1)
    value = sample_at(parse_space({"x": {"type": "int_range", "min": low, "max": high, "step": step}}), [position])["x"]
    assert type(value) is int
    assert low <= value <= high
    assert (value - low) % step == 0


def test_every_number_of_an_int_range_gets_the_same_share() -> None:
    numbers = IntRange(min=1, max=4)
    assert Counter(numbers.at(i / 1000) for i in range(1000)) == {1: 250, 2: 250, 3: 250, 4: 250}


def test_a_step_reaches_the_upper_bound_in_spite_of_rounding() -> None:
    space = parse_space({"x": {"type": "float_range", "min": 0.1, "max": 0.3, "step": 0.1}})
    found = {round(float(sample_at(space, [i / 30])["x"] or 0), 6) for i in range(30)}
    assert found == {0.1, 0.2, 0.3}


def test_a_logarithmic_range_puts_half_of_its_values_below_the_geometric_middle() -> None:
    sampler = make_sampler("random", {"lr": {"type": "float_range", "min": 1e-4, "max": 1.0, "log": True}}, seed=0)
    values = [float(sampler.ask().params["lr"] or 0) for _ in range(400)]
    assert 160 < sum(value < 1e-2 for value in values) < 240


def test_the_short_form_is_a_range_of_the_bounds_own_kind() -> None:
    space = parse_space({"lr": [0.1, 0.9], "depth": (2, 12), "mixed": [0, 0.5]})
    assert [parameter.type for parameter in space.values()] == ["float_range", "int_range", "float_range"]


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        ([0.1], "two numbers"),
        (["a", "b"], "two numbers"),
        ([True, False], "two numbers"),
        ([0.5, 0.5], "must be below"),
        ([3, 2], "must be below"),
        ({"type": "choice", "choices": []}, "choices"),
        ({"type": "choice"}, "choices"),
        ({"type": "float_range", "min": 0.0, "max": 1.0, "log": True}, "above 0"),
        ({"type": "int_range", "min": -1, "max": 5, "log": True}, "above 0"),
        ({"type": "float_range", "min": math.nan, "max": 1.0}, "min"),
        ({"type": "float_range", "min": 0.0, "max": math.inf}, "max"),
        ({"type": "float_range", "min": "0", "max": 1.0}, "min"),
        ({"type": "int_range", "min": 0.5, "max": 3}, "min"),
        ({"type": "int_range", "min": True, "max": 3}, "min"),
        ({"type": "int_range", "min": 0, "max": 3, "step": 0}, "step"),
        ({"type": "float_range", "min": 0.1, "max": 3.0, "step": 0.1, "log": True}, "exclude"),
        ({"type": "float_range", "min": 0.1, "max": 3.0, "lgo": True}, "lgo"),
        ({"type": "gaussian"}, "int_range, float_range, choice, flag"),
        ({"min": 1, "max": 2}, "type"),
        (0.5, "expected a table"),
        (None, "expected a table"),
    ],
)
def test_an_unusable_parameter_is_named_in_one_line(parameter: object, expected: str) -> None:
    with pytest.raises(InvalidSpace) as caught:
        parse_space({"good": [0, 1], "broken": parameter})
    text = str(caught.value)
    assert text.startswith("space.broken: ")
    assert expected in text
    assert "\n" not in text


def test_the_same_seed_gives_the_same_trials_and_another_seed_others() -> None:
    first, second, other = (make_sampler("random", MIXED, seed=seed) for seed in (7, 7, 8))
    drawn = [first.ask() for _ in range(30)]
    assert drawn == [second.ask() for _ in range(30)]
    assert drawn != [other.ask() for _ in range(30)]
    assert [trial.number for trial in drawn] == list(range(30))


@settings(deadline=None)
@given(st.integers(0, 20), st.integers(0, 2**64))
def test_random_search_asks_the_same_whatever_was_told(count: int, seed: int) -> None:
    whole = make_sampler("random", MIXED, seed)
    trials = [whole.ask() for _ in range(count + 3)]
    restored = make_sampler("random", MIXED, seed)
    restored.replay([event for trial in trials[:count] for event in (trial, Told(trial.number, 0.5))])
    assert [restored.ask() for _ in range(3)] == trials[count:]


def test_other_processes_with_other_hash_seeds_draw_the_same_trials() -> None:
    program = (
        "import json; from agents.tuner import make_sampler; "
        f"s = make_sampler('random', {MIXED!r}, 3); print(json.dumps([s.ask().params for _ in range(5)]))"
    )
    root = Path(__file__).parents[2]
    drawn = [
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=root,
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    sampler = make_sampler("random", MIXED, 3)
    assert [json.loads(text) for text in drawn] == [[sampler.ask().params for _ in range(5)]] * 2


def test_the_drawn_values_are_those_of_earlier_releases() -> None:
    sampler = make_sampler("random", {"a": [0.0, 1.0], "b": [0, 1000], "c": {"type": "flag"}}, seed=42)
    assert [sampler.ask().params for _ in range(3)] == GOLDEN


@pytest.mark.parametrize("name", ["random", "Random", " RANDOM ", "random_search", "Random-Search", "RandomSearch"])
def test_a_sampler_is_found_by_its_name_or_an_alias_in_any_case(name: str) -> None:
    assert make_sampler(name, MIXED, seed=1).ask() == make_sampler("random", MIXED, seed=1).ask()


def test_an_unknown_sampler_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown sampler 'annealing'; known are: bayesian, cma_es, cmaes, decay, "):
        make_sampler("annealing", MIXED)


def test_a_parameter_that_a_sampler_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="no parameter 'temperature'"):
        make_sampler("random", MIXED, temperature=3)


@pytest.mark.parametrize("seed", [-1, 0.5, True, "7"])
def test_a_seed_that_is_no_whole_number_from_0_is_refused(seed: Any) -> None:
    with pytest.raises(ValueError, match="seed: expected a whole number"):
        make_sampler("random", MIXED, seed=seed)


def test_without_a_seed_two_samplers_differ_and_the_snapshot_tells_the_seed() -> None:
    first, second = make_sampler("random", MIXED), make_sampler("random", MIXED)
    trials = [first.ask() for _ in range(5)]
    assert trials != [second.ask() for _ in range(5)]
    seed = json.loads(first.snapshot())["seed"]
    again = make_sampler("random", MIXED, seed=seed)
    assert trials == [again.ask() for _ in range(5)]


def test_the_snapshot_is_json_and_shows_every_trial_with_its_first_score() -> None:
    sampler = make_sampler("random", MIXED, seed=5)
    asked = [sampler.ask() for _ in range(4)]
    sampler.tell(0, 0.25)
    sampler.tell(0, 0.75)
    sampler.tell(1, math.nan)
    sampler.tell(2, None)
    document = json.loads(sampler.snapshot())
    assert document["sampler"] == "random"
    assert document["seed"] == 5
    assert parse_space(document["space"]) == parse_space(MIXED)
    assert [trial["params"] for trial in document["trials"]] == [trial.params for trial in asked]
    assert [(trial["score"], trial["told"]) for trial in document["trials"]] == [
        (0.25, True),
        (None, True),
        (None, True),
        (None, False),
    ]


def test_a_score_for_a_trial_that_was_never_asked_is_refused() -> None:
    sampler = make_sampler("random", MIXED, seed=5)
    with pytest.raises(ValueError, match="trial 3 was never asked"):
        sampler.tell(3, 0.5)
