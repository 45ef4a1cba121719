"""Pruners: which running trials are not worth finishing, judged by what they report on the way.

A pruner makes a trial's bounds from the reports of others: the least value (or the greatest, where less is better)
that it must have reached by a step. A trial is given those of the time when it begins, and so can end without asking
anybody; while it runs, the study's owner judges each of its reports by those of that moment.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, Protocol

from agents.tuner.sampler import seed_of

Curve = Mapping[int, float]
"""What one trial reported: value by step, steps counting from 0."""

Bounds = dict[int, float]
"""By step, the value that a trial must have reached there at least (at most, where less is better)."""


@dataclass(frozen=True, slots=True)
class Reported:
    """A trial that reported; `complete` tells whether it went to its end."""

    number: int
    curve: Curve
    complete: bool


class Pruner(Protocol):
    """Makes the bounds of a trial."""

    def bounds(self, number: int, others: list[Reported], maximize: bool) -> Bounds:
        """The bounds of trial `number`, given what others reported. None at the beginning."""
        ...


class NoPruner:
    """Every trial goes to its end."""

    def bounds(self, number: int, others: list[Reported], maximize: bool) -> Bounds:
        """None."""
        return {}


class MedianPruner:
    """A trial ends where its best value so far is worse than the median of the completed trials at that step.

    Golovin and others, "Google Vizier: A Service for Black-Box Optimization", KDD 2017, section 3.5. Nothing is pruned
    before `n_startup_trials` trials completed, nor at the first `n_warmup_steps` steps.

    >>> curves = [Reported(n, {0: 0.1 * n}, True) for n in range(5)]
    >>> MedianPruner().bounds(5, curves, maximize=True)
    {0: 0.2}
    """

    def __init__(self, n_startup_trials: int = 5, n_warmup_steps: int = 0) -> None:
        self._startup, self._warmup = _whole("n_startup_trials", n_startup_trials), _whole("n_warmup", n_warmup_steps)

    def bounds(self, number: int, others: list[Reported], maximize: bool) -> Bounds:
        """The medians of the completed trials."""
        curves = [trial.curve for trial in others if trial.complete and trial.curve]
        if len(curves) < max(self._startup, 1):
            return {}
        steps = sorted({step for curve in curves for step in curve if step >= self._warmup})
        return {step: median(curve[step] for curve in curves if step in curve) for step in steps}


class HyperbandPruner:
    """Successive halving in several brackets, which differ in how early they begin to end trials.

    Li and others, "Hyperband", JMLR 18 (2018), in the asynchronous form of Li and others, "A System for Massively
    Parallel Hyperparameter Tuning", MLSys 2020: at each rung a trial goes on if it is among the best
    1/`reduction_factor` of its bracket's trials that reached the rung. Rungs are at `min_resource` times powers of the
    factor, in steps; the resource of a whole trial is `max_resource`, by default the longest curve so far.
    """

    def __init__(self, min_resource: int = 1, max_resource: int | None = None, reduction_factor: int = 3) -> None:
        self._least = _whole("min_resource", min_resource, 1)
        self._most = None if max_resource is None else _whole("max_resource", max_resource, 1)
        self._factor = _whole("reduction_factor", reduction_factor, 2)

    def bounds(self, number: int, others: list[Reported], maximize: bool) -> Bounds:
        """The value of the last trial that would be promoted, at each rung of the trial's bracket."""
        most = self._most or max((max(trial.curve) + 1 for trial in others if trial.curve), default=0)
        if most < self._least:
            return {}
        brackets = 1
        while self._least * self._factor**brackets <= most:
            brackets += 1
        bracket = self._bracket(number, brackets)
        peers = [trial.curve for trial in others if self._bracket(trial.number, brackets) == bracket]
        found: Bounds = {}
        resource = self._least * self._factor**bracket
        while resource < most:
            step = resource - 1
            values = [_best(curve, step, maximize) for curve in peers if _reached(curve, step)]
            promoted = max((len(values) + 1) // self._factor, 1)
            if len(values) >= self._factor - 1:
                found[step] = sorted(values, reverse=maximize)[promoted - 1]
            resource *= self._factor
        return found

    def _bracket(self, number: int, brackets: int) -> int:
        """The bracket of a trial: those that begin earliest get the most trials."""
        sizes = [math.ceil(brackets * self._factor**left / (left + 1)) for left in reversed(range(brackets))]
        place = seed_of("bracket", number) % sum(sizes)
        for bracket, size in enumerate(sizes):
            if place < size:
                return bracket
            place -= size
        raise AssertionError(place)


PRUNERS: dict[str, Callable[..., Pruner]] = {"none": NoPruner, "median": MedianPruner, "hyperband": HyperbandPruner}


def pruner_name(name: str) -> str:
    """The name a pruner is registered under, from that name in any case. Raises `ValueError`."""
    key = str(name).strip().lower()
    if key not in PRUNERS:
        raise ValueError(f"unknown pruner {name!r}; known are: {', '.join(sorted(PRUNERS))}")
    return key


def make_pruner(name: str, **params: Any) -> Pruner:
    """A pruner by name, whose case does not count: `none`, `median`, `hyperband`. Raises `ValueError`."""
    factory = PRUNERS[pruner_name(name)]
    accepted = [] if factory is NoPruner else list(inspect.signature(factory).parameters)
    for given in params:
        if given not in accepted:
            raise ValueError(f"pruner {name!r} has no parameter {given!r}; it has: {sorted(accepted) or 'none'}")
    return factory(**params)


def falls_short(curve: Curve, bounds: Mapping[int, float], maximize: bool) -> bool:
    """Whether a trial with these reports misses a bound of its own: by its best value up to the bound's step.

    A bound counts at the first report at or after its step, but only until the next report: what was passed is passed.
    """
    if not curve:
        return False
    last = max(curve)
    before = max((step for step in curve if step < last), default=-1)
    best = max(curve.values()) if maximize else min(curve.values())
    due = [bound for step, bound in bounds.items() if before < step <= last]
    return any(best < bound if maximize else best > bound for bound in due)


def _reached(curve: Curve, step: int) -> bool:
    return bool(curve) and max(curve) >= step and min(curve) <= step


def _best(curve: Curve, step: int, maximize: bool) -> float:
    values = (value for at, value in curve.items() if at <= step)
    return max(values) if maximize else min(values)


def _whole(name: str, value: Any, least: int = 0) -> int:
    if type(value) is not int or value < least:
        raise ValueError(f"pruner: expected a whole number from {least} as {name}, got {value!r}")
    return value
