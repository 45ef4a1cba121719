"""How many trials a sampler needs to come close to the minimum of two well-known functions, over many seeds.

Branin: two parameters, minimum 0.397887. Hartmann 6: six parameters, minimum -3.32237. Both as in L. Dixon and
G. Szegö, "Towards Global Optimisation 2", 1978. A sampler that has not reached the target after `TRIALS` counts with
that number.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from agents.tuner import make_sampler
from agents.tuner.space import Params
from benchmarks.run import Json, LocalRun

TRIALS = 200
SAMPLERS = ("random", "tpe", "cmaes", "qmc")

_ALPHA = np.array([1.0, 1.2, 3.0, 3.2])
_A = np.array(
    [
        [10.0, 3.0, 17.0, 3.5, 1.7, 8.0],
        [0.05, 10.0, 17.0, 0.1, 8.0, 14.0],
        [3.0, 3.5, 1.7, 10.0, 17.0, 8.0],
        [17.0, 8.0, 0.05, 10.0, 0.1, 14.0],
    ]
)
_P = 1e-4 * np.array(
    [
        [1312.0, 1696.0, 5569.0, 124.0, 8283.0, 5886.0],
        [2329.0, 4135.0, 8307.0, 3736.0, 1004.0, 9991.0],
        [2348.0, 1451.0, 3522.0, 2883.0, 3047.0, 6650.0],
        [4047.0, 8828.0, 8732.0, 5743.0, 1091.0, 381.0],
    ]
)


def branin(params: Params) -> float:
    """Branin's function of `x` in [-5, 10] and `y` in [0, 15]; its minimum is 0.397887."""
    x, y = float(params["x"] or 0), float(params["y"] or 0)
    bowl = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return bowl**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


def hartmann6(params: Params) -> float:
    """Hartmann's function of `x0` to `x5` in [0, 1]; its minimum is -3.32237."""
    point = np.array([float(params[f"x{n}"] or 0) for n in range(6)])
    return -float(_ALPHA @ np.exp(-np.sum(_A * (point - _P) ** 2, axis=1)))


@dataclass(frozen=True)
class Problem:
    """A function to minimise, its space, and the value that counts as close."""

    function: Callable[[Params], float]
    space: Mapping[str, Any]
    target: float


PROBLEMS = {
    "branin": Problem(branin, {"x": [-5.0, 10.0], "y": [0.0, 15.0]}, 0.6),
    "hartmann6": Problem(hartmann6, {f"x{n}": [0.0, 1.0] for n in range(6)}, -2.3),
}


def trials_to_target(sampler: str, problem: Problem, seed: int, most: int = TRIALS) -> int:
    """The number of trials until the target is reached, at most `most`."""
    chooser = make_sampler(sampler, problem.space, seed)
    for count in range(1, most + 1):
        trial = chooser.ask()
        value = problem.function(trial.params)
        if value <= problem.target:
            return count
        chooser.tell(trial.number, -value)
    return most


def samplers(run: LocalRun) -> Json:
    """The mean number of trials to the target over `records` seeds, by problem and sampler, and of random search's."""
    results: Json = {}
    for problem_name, problem in PROBLEMS.items():
        means = {}
        for name in SAMPLERS:
            means[name] = statistics.fmean(trials_to_target(name, problem, seed) for seed in range(run.records))
            run.say(f"{problem_name}, {name}: {means[name]:.1f} trials")
        results[problem_name] = means
        results[f"{problem_name}, of random search"] = {
            name: round(mean / means["random"], 3) for name, mean in means.items() if name != "random"
        }
    return results
