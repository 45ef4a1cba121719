"""Samplers of Optuna, by its ask-and-tell interface over a study in memory.

Optuna keeps nothing for us: the study is made anew from the history wherever it is not in memory. Each trial gets a
fresh sampler seeded by the study's seed and the trial's number, so that what is asked depends on those and the history
alone, not on how often somebody asked before a crash.
"""

from __future__ import annotations

import inspect
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from agents.tuner.sampler import AskAndTell, Trial, seed_of
from agents.tuner.space import Choice, Flag, FloatRange, Parameter, Params, ParamValue, Space, step_count

EXTRA = "tuning"


@dataclass(frozen=True, slots=True)
class Kind:
    """One of Optuna's samplers: its class, and the modules beyond Optuna that it needs.

    With `own_state` it keeps state in the trials it asked, and a history is replayed through it; else finished trials
    are simply added. With `one_seed` it goes through one sequence, whose place it keeps in the study.
    """

    factory: str
    needs: tuple[str, ...] = ()
    own_state: bool = False
    one_seed: bool = False


KINDS = {
    "tpe": Kind("TPESampler"),
    "cmaes": Kind("CmaEsSampler", needs=("cmaes",), own_state=True),
    "qmc": Kind("QMCSampler", needs=("scipy",), own_state=True, one_seed=True),
    "nsgaii": Kind("NSGAIISampler", own_state=True),
}
"""A further sampler of Optuna is one line here."""

_DEFAULTS = {
    "cmaes": {"warn_independent_sampling": False},
    "qmc": {"warn_independent_sampling": False, "warn_asynchronous_seeding": False, "scramble": True},
}


class OptunaSearch(AskAndTell):
    """One of `KINDS`. `options` are keyword arguments of Optuna's class, for instance `n_startup_trials` for `tpe`.

    Raises `ValueError` if Optuna is not installed or its class takes no such option. A failed trial is told to Optuna
    as failed, a pruned one with the score it had.

    >>> from agents.tuner.space import parse_space
    >>> sampler = OptunaSearch(parse_space({"lr": [0.0, 1.0]}), seed=3, kind="tpe")
    >>> sampler.tell(sampler.ask().number, 0.5)
    >>> 0.0 <= sampler.ask().params["lr"] <= 1.0
    True
    """

    def __init__(self, space: Space, seed: int | None = None, *, kind: str, **options: Any) -> None:
        super().__init__(space, seed)
        self.name, self._kind, self._given = kind, KINDS[kind], options
        if missing := [module for module in ("optuna", *self._kind.needs) if find_spec(module) is None]:
            remedy = f"pip install 'visutility-streams[{EXTRA}]'" + (" scipy" if "scipy" in missing else "")
            raise ValueError(f"sampler {kind!r} needs {' and '.join(missing)}: {remedy}")
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._optuna = optuna
        self._factory = getattr(optuna.samplers, self._kind.factory)
        accepted = set(inspect.signature(self._factory).parameters) - {"seed"}
        for option in options:
            if option not in accepted:
                raise ValueError(f"sampler {kind!r} has no parameter {option!r}; it has: {sorted(accepted)}")
        self._distributions = {name: _distribution(parameter) for name, parameter in space.items()}
        self._study = optuna.create_study(direction="maximize")
        self._sampler(0)  # an option with a bad value is told now
        self._trials: dict[int, Any] = {}

    def _choose(self, number: int) -> Params:
        drawn = self._drawn(number)
        return {name: _value(parameter, drawn[name]) for name, parameter in self.space.items()}

    def _force(self, trial: Trial) -> None:
        inner = {name: _inner(parameter, trial.params[name]) for name, parameter in self.space.items()}
        if self._kind.own_state:
            self._study.enqueue_trial(inner)
            self._drawn(trial.number)
        else:
            self._study.add_trial(
                self._optuna.create_trial(
                    state=self._optuna.trial.TrialState.RUNNING, params=inner, distributions=self._distributions
                )
            )
            self._trials[trial.number] = trial.number

    def _learn(self, number: int, score: float | None) -> None:
        trial = self._trials.pop(number)
        if score is None:
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(trial, score)

    def _options(self) -> dict[str, Any]:
        return {"options": {name: repr(value) for name, value in sorted(self._given.items())}}

    def _drawn(self, number: int) -> dict[str, Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that an interface is experimental is a matter of our tests, not of users
            self._study.sampler = self._sampler(number)
            self._trials[number] = trial = self._study.ask()
            # First, or a trial whose params are given would be drawn with them in sight, or not be drawn at all.
            _ = trial.relative_params
            return {name: _suggest(trial, name, each) for name, each in self._distributions.items()}

    def _sampler(self, number: int) -> Any:
        seed = seed_of(self.seed) if self._kind.one_seed else seed_of(self.seed, number)
        options = {**_DEFAULTS.get(self.name, {}), **self._given}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return self._factory(seed=seed, **options)
            except (TypeError, ValueError, AssertionError) as problem:
                raise ValueError(f"sampler {self.name!r}: {problem}") from problem


def _distribution(parameter: Parameter) -> Any:
    from optuna import distributions

    if isinstance(parameter, Choice):
        # By index: Optuna compares values, and takes 1, 1.0 and True for the same choice.
        return distributions.CategoricalDistribution(tuple(range(len(parameter.choices))))
    if isinstance(parameter, Flag):
        return distributions.CategoricalDistribution((False, True))
    if isinstance(parameter, FloatRange) and parameter.step is None:
        return distributions.FloatDistribution(parameter.min, parameter.max, log=parameter.log)
    if isinstance(parameter, FloatRange):
        # By index: a sum of steps may miss the last value by a rounding error.
        return distributions.IntDistribution(0, step_count(parameter) - 1)
    last = parameter.max - (parameter.max - parameter.min) % parameter.step
    return distributions.IntDistribution(parameter.min, last, log=parameter.log, step=parameter.step)


def _value(parameter: Parameter, drawn: Any) -> ParamValue:
    """A value of the space from one of Optuna's."""
    if isinstance(parameter, Choice):
        return parameter.choices[int(drawn)]
    if isinstance(parameter, FloatRange):
        value = float(drawn) if parameter.step is None else parameter.min + parameter.step * drawn
        return min(max(value, parameter.min), parameter.max)
    same: ParamValue = drawn
    return same


def _inner(parameter: Parameter, value: ParamValue) -> Any:
    """One of Optuna's values from a value of the space."""
    if isinstance(parameter, Choice):
        alike = (n for n, choice in enumerate(parameter.choices) if type(choice) is type(value) and choice == value)
        return next(alike)
    if isinstance(parameter, FloatRange) and parameter.step is not None:
        return round((float(value or 0) - parameter.min) / parameter.step)
    return value


def _suggest(trial: Any, name: str, distribution: Any) -> Any:
    if hasattr(distribution, "choices"):
        return trial.suggest_categorical(name, distribution.choices)
    suggest = trial.suggest_int if type(distribution.low) is int else trial.suggest_float
    return suggest(name, distribution.low, distribution.high, step=distribution.step, log=distribution.log)
