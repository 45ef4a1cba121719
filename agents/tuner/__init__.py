"""Tuning: what to try (spaces, samplers), how to try it (objectives, a process pool), and the stage that decides.

The names below are loaded when they are asked for: each process of the pool imports this package, and must settle how
many threads numpy gets before numpy is imported.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agents.tuner.objective import ObjectiveError, RunningTrial, TrainedModel, TrialPruned, load_objective
    from agents.tuner.pruners import make_pruner
    from agents.tuner.sampler import Sampler, SearchSpaceExhausted, Trial
    from agents.tuner.samplers import make_sampler
    from agents.tuner.space import InvalidSpace, parse_space
    from agents.tuner.tuning import tune

_HOMES = {
    "ObjectiveError": "objective",
    "RunningTrial": "objective",
    "TrainedModel": "objective",
    "TrialPruned": "objective",
    "load_objective": "objective",
    "make_pruner": "pruners",
    "Sampler": "sampler",
    "SearchSpaceExhausted": "sampler",
    "Trial": "sampler",
    "make_sampler": "samplers",
    "InvalidSpace": "space",
    "parse_space": "space",
    "tune": "tuning",
}

__all__ = [
    "InvalidSpace",
    "ObjectiveError",
    "RunningTrial",
    "Sampler",
    "SearchSpaceExhausted",
    "TrainedModel",
    "Trial",
    "TrialPruned",
    "load_objective",
    "make_pruner",
    "make_sampler",
    "parse_space",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
