"""Tuning as a library call, without Kafka: a search in this process, one trial after the other."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from agents.tuner.objective import LoadedObjective, RunningTrial, TrialPruned, load_objective
from agents.tuner.pruners import Pruner, Reported, make_pruner
from agents.tuner.sampler import Sampler, SearchSpaceExhausted
from agents.tuner.samplers import make_sampler
from agents.tuner.worker import error_line
from schemas.ids import output_id
from schemas.trials import TrialResult, TrialState


def tune(
    objective: Callable[..., Any] | LoadedObjective | str,
    space: Mapping[str, Any],
    trials: int,
    *,
    sampler: str = "random",
    seed: int | None = None,
    data: Any = None,
    model_name: str = "local",
    direction: Literal["maximize", "minimize"] = "maximize",
    pruner: str = "none",
    pruner_params: Mapping[str, Any] | None = None,
    **sampler_params: Any,
) -> list[TrialResult]:
    """Run `trials` trials of an objective and return how each ended, in order. A trial that raises has failed.

    `objective(trial, data)` (or `objective(trial)`) returns a finite score or a dict with the key "score"; it may also
    be named by import path or entry point, or loaded already (`agents.tuner.objective`). `data` None means what its
    `load_data` gives without a request, if it was loaded. `space` is a search space as data. The same
    `seed` gives the same parameters; None takes another one each time. `direction` tells whether the sampler looks for
    the highest or the lowest score. Fewer results come back where the sampler has tried everything. It runs in this
    process, so nothing ends a trial that hangs. Raises `ValueError` for an unusable space, sampler, pruner, seed,
    objective or number of trials.

    >>> results = tune(lambda trial: -abs(trial.params["lr"] - 0.05), {"lr": [0.0, 1.0]}, trials=20, seed=1)
    >>> abs(max(results, key=lambda result: result.score).params["lr"] - 0.05) < 0.2
    True
    """
    count: Any = trials  # whatever a caller without a type checker passes
    if type(count) is not int or count < 1:
        raise ValueError(f"trials: expected a whole number from 1, got {count!r}")
    loaded = _loaded(objective)
    chooser = make_sampler(sampler, space, seed, **sampler_params)
    if direction not in ("maximize", "minimize"):
        raise ValueError(f"direction: expected maximize or minimize, got {direction!r}")
    if data is None and not callable(objective):
        data = loaded.load_data(None)
    stopper = make_pruner(pruner, **(pruner_params or {}))
    search = _Search(loaded, data, chooser, stopper, model_name, seed or 0, direction == "maximize")
    try:
        for _ in range(trials):
            search.run_next()
    except SearchSpaceExhausted:
        pass
    return search.results


class _Search:
    """A search that goes on trial by trial; `results` has those that ended."""

    def __init__(
        self,
        objective: LoadedObjective,
        data: Any,
        sampler: Sampler,
        pruner: Pruner,
        model_name: str,
        seed: int,
        maximize: bool,
    ) -> None:
        self._objective, self._data, self._sampler, self._pruner = objective, data, sampler, pruner
        self._model, self._seed, self._maximize = model_name, seed, maximize
        self._curves: list[Reported] = []
        self.results: list[TrialResult] = []

    def run_next(self) -> None:
        """Ask for a trial, run it, and tell how it ended. Raises `SearchSpaceExhausted`."""
        trial = self._sampler.ask()
        bounds = self._pruner.bounds(trial.number, self._curves, self._maximize)
        own_seed = _trial_seed(self._seed, trial.number)
        running = RunningTrial(trial.number, dict(trial.params), own_seed, bounds=bounds, maximize=self._maximize)
        score, state, error, seconds = _run(self._objective, running, self._data)
        self._curves.append(Reported(trial.number, running.reports, state is TrialState.COMPLETE))
        self._sampler.tell(trial.number, score if score is None or self._maximize else -score)
        study = self._id("study", self._seed)
        self.results.append(
            TrialResult(
                event_id=self._id("trial_result", trial.number),
                model_name=self._model,
                timestamp=datetime.now(UTC),  # noqa: TID251 (a library call, not a step)
                trial_id=f"{study}:{trial.number}",
                study_id=study,
                number=trial.number,
                params=trial.params,
                score=score,
                state=state,
                duration_seconds=seconds,
                error=error,
            )
        )

    def _id(self, kind: str, number: int) -> str:
        return output_id("tuner", self._model, "", "score", "", self._objective.name, kind, number)


def _loaded(objective: Callable[..., Any] | LoadedObjective | str) -> LoadedObjective:
    if isinstance(objective, LoadedObjective):
        return objective
    if isinstance(objective, str):
        return load_objective(objective)
    if not callable(objective):
        raise ValueError(f"objective: expected something to call or its name, got {type(objective).__name__}")
    function: Callable[..., Any] = objective() if isinstance(objective, type) else objective
    return LoadedObjective(getattr(function, "__qualname__", type(function).__name__), function)


def _run(
    objective: LoadedObjective, trial: RunningTrial, data: Any
) -> tuple[float | None, TrialState, str | None, float]:
    began = time.perf_counter()
    score, state, error = None, TrialState.COMPLETE, None
    try:
        score = objective.score(trial, data)
    except TrialPruned:
        score, state = trial.latest, TrialState.PRUNED
    except Exception as problem:  # noqa: BLE001 (whatever the user's code raises fails its trial alone)
        state, error = TrialState.FAILED, error_line(problem)
    return score, state, error, time.perf_counter() - began


def _trial_seed(seed: int, number: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed} {number}".encode()).digest()[:4], "big")
