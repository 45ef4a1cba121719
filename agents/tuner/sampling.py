"""Asks a study's sampler, which is kept in memory between calls and made anew from the history where it is not."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agents.tuner.optuna_search import KINDS
from agents.tuner.sampler import History, Sampler, SearchSpaceExhausted, Told, Trial
from agents.tuner.samplers import make_sampler
from agents.tuner.space import Params

KEPT = 8
"""Samplers that are kept in memory."""

SAMPLING_SECONDS = 120.0
"""What one call may take. Many seconds are needed only to make a sampler anew from the history of a long study."""


@dataclass(frozen=True, slots=True)
class SamplingCall:
    """Ask the sampler of `study` for `count` trials, given its whole history."""

    study: str
    sampler: str
    space: Mapping[str, Any]
    seed: int
    options: Mapping[str, Any]
    history: History
    count: int
    limit_seconds: float = SAMPLING_SECONDS


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was chosen, perhaps less than `count`: then `exhausted` says why."""

    params: list[Params]
    exhausted: str | None = None


_kept: OrderedDict[str, tuple[Sampler, list[Trial | Told]]] = OrderedDict()


def is_light(sampler: str) -> bool:
    """Whether asking takes microseconds, and so may be done where others wait."""
    return sampler not in KINDS


def choose(call: SamplingCall) -> Chosen:
    """The next trials. Raises `ValueError` for a sampler that cannot be made."""
    sampler, applied = _kept.pop(call.study) if call.study in _kept else _made(call)
    if applied != list(call.history[: len(applied)]):
        sampler, applied = _made(call)  # what we asked last was never committed, or a lost trial came between
    sampler.replay(call.history[len(applied) :])
    applied = list(call.history)
    chosen, exhausted = list[Params](), None
    for _ in range(call.count):
        try:
            trial = sampler.ask()
        except SearchSpaceExhausted as problem:
            exhausted = str(problem)
            break
        applied.append(trial)
        chosen.append(trial.params)
    _kept[call.study] = sampler, applied
    while len(_kept) > KEPT:
        _kept.popitem(last=False)
    return Chosen(chosen, exhausted)


def _made(call: SamplingCall) -> tuple[Sampler, list[Trial | Told]]:
    return make_sampler(call.sampler, call.space, call.seed, **call.options), []
