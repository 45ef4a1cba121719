"""Objectives: the user's code that a study optimises. A complete one, in `shop/price.py`:

    from agents.tuner.objective import TrainedModel

    def load_data(request):                            # optional; once per request and process, not per trial
        return read_recent(request.model_name, request.model_version)

    def objective(trial, data):                        # a number, or a dict with the key "score"
        model = Model(depth=trial.params["depth"], seed=trial.seed)
        return model.cross_validate(data)

    def train(params, request):                        # optional; the final fit with the best trial's params
        model = Model(**params).fit(load_data(request))
        return TrainedModel(model.to_bytes(), {"accuracy": model.accuracy})

The settings name it `objective = "shop.price:objective"`, or by an entry point of the group `visutility.objectives`.
The name may also lead to an object (or a class, which is then called without arguments) that has `__call__`,
`load_data` and `train` itself.

- `trial.params` has the hyperparameters, `trial.seed` a seed of this trial's own, `trial.number` counts from 0,
  `trial.request` is the `RetrainRequest`, `trial.incumbent` the hyperparameters of the version now in service.
- `trial.report(step, value)` notes a value on the way; an objective that returns None scores what it reported last.
  `if trial.should_prune(): raise TrialPruned` after a report ends a trial that is not worth finishing.
- Without `load_data`, `data` is None. An objective that takes one argument is called with the trial alone.
- Without `train`, the new version's artifact is a JSON document of the hyperparameters.
- A class is given `options` of the settings as keyword arguments. `cross_validation` is a class of that kind that comes
  along: a scikit-learn estimator and data in the settings alone (`agents.tuner.cross_validation`).
- To raise, hang, crash, print or return NaN fails the trial alone: each runs in a process of a pool, with a time limit.
"""

from __future__ import annotations

import inspect
import json
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

from agents.registry.promotion import Evaluate
from agents.tuner.pruners import falls_short
from agents.tuner.space import Params
from schemas.retrain import RetrainRequest

ENTRY_POINTS = "visutility.objectives"

BUILT_IN = {"cross_validation": "agents.tuner.cross_validation:CrossValidation"}
"""Objectives that come along, by name."""


MAX_STEPS = 10_000
"""Steps that a trial may report."""


class ObjectiveError(ValueError):
    """An objective that cannot be loaded, or that broke the protocol. The text is one line."""


class TrialPruned(Exception):
    """Raised by an objective that ends early because `should_prune` said so; its score is what it reported last."""


class Channel(Protocol):
    """Where a running trial's reports go, and where the order to end comes from."""

    def send(self, step: int, value: float) -> None: ...
    def asked_to_end(self) -> bool: ...


@dataclass(slots=True)
class RunningTrial:
    """What an objective gets to know about the trial it runs.

    `bounds` are the values that the pruner wants reached, by step; `maximize` tells whether more is better. Over a
    `channel` the reports are heard while the trial runs.
    """

    number: int
    params: Params
    seed: int
    request: RetrainRequest | None = None
    incumbent: Params = field(default_factory=dict)
    reports: dict[int, float] = field(default_factory=dict)
    bounds: Mapping[int, float] = field(default_factory=dict)
    maximize: bool = True
    channel: Channel | None = None

    def report(self, step: int, value: float) -> None:
        """Note the finite score after `step` (an epoch, a fold), which counts from 0. Raises `ObjectiveError`."""
        given: Any = step  # whatever the user's code passes
        if type(given) is not int or not 0 <= given < MAX_STEPS:
            raise ObjectiveError(f"expected a step from 0 to {MAX_STEPS - 1}, reported was {step!r}")
        self.reports[step] = score = _finite(value, f"reported at step {step}")
        if self.channel is not None:
            self.channel.send(step, score)

    @property
    def latest(self) -> float | None:
        """What was reported for the last step; None before the first report."""
        return self.reports[max(self.reports)] if self.reports else None

    def should_prune(self) -> bool:
        """Whether the latest report falls short of what must have been reached by then, or the study's owner says so.

        The owner, too, goes by the reports, and knows those of trials that run at the same time; what it says comes a
        moment after the report that it is about.
        """
        if falls_short(self.reports, self.bounds, self.maximize):
            return True
        return self.channel is not None and self.channel.asked_to_end()


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """What `train` returns: the artifact's bytes, and finite numbers about the model by name."""

    artifact: bytes
    metrics: Mapping[str, float] = field(default_factory=dict)


class LoadedObjective:
    """An objective with its optional companions. Raises `ObjectiveError` where they break the protocol."""

    def __init__(self, name: str, function: Callable[..., Any], companions: object = None) -> None:
        self.name = name
        self._function = function
        self._load_data: Callable[..., Any] | None = _companion("load_data", function, companions)
        self._train: Callable[..., Any] | None = _companion("train", function, companions)
        self.evaluate: Evaluate | None = _companion("evaluate", function, companions)
        self._takes_data = _positional(function) != 1

    def load_data(self, request: RetrainRequest | None) -> Any:
        """The data for the trials of this request; None if the objective has no `load_data`.

        Without Kafka there is no request either.
        """
        return None if self._load_data is None else self._load_data(request)

    def score(self, trial: RunningTrial, data: Any) -> float:
        """Run one trial and return its score, a finite number. Raises `TrialPruned` if the trial ended early."""
        result = self._function(trial, data) if self._takes_data else self._function(trial)
        if result is None and trial.latest is not None:
            return trial.latest
        if isinstance(result, Mapping):
            if "score" not in result:
                raise ObjectiveError(f"returned a dict without the key 'score'; its keys: {sorted(map(str, result))}")
            result = result["score"]
        return _finite(result, "returned")

    def train(self, params: Params, request: RetrainRequest) -> TrainedModel:
        """Fit the model that is registered; without a `train` of its own, the artifact is the params as JSON."""
        if self._train is None:
            return TrainedModel(json.dumps(params, sort_keys=True).encode())
        model = self._train(params, request)
        if not isinstance(model, TrainedModel) or not isinstance(model.artifact, bytes):
            raise ObjectiveError(f"train must return a TrainedModel with bytes, got {type(model).__name__}")
        metrics = {str(name): _finite(value, f"as metric {name!r}") for name, value in model.metrics.items()}
        return TrainedModel(model.artifact, metrics)


def load_objective(name: str, options: Mapping[str, Any] | None = None) -> LoadedObjective:
    """The objective of an import path `package.module:function` or of an entry point of `visutility.objectives`.

    `options` are keyword arguments for an objective that is a class. The working folder counts as a place for modules,
    after all others. Raises `ObjectiveError`.
    """
    name = BUILT_IN.get(name, name)
    if ":" in name:
        return _by_import_path(name, options or {})
    found = {point.name: point.value for point in entry_points(group=ENTRY_POINTS)}
    if name not in found:
        known = ", ".join(sorted(found)) or "none is installed"
        raise ObjectiveError(
            f"objective {name!r}: expected 'package.module:function' or an entry point of {ENTRY_POINTS} ({known})"
        )
    return _by_import_path(found[name].split("[")[0].strip(), options or {})


def import_by_path(name: str) -> Any:
    """What an import path `package.module:attribute` leads to. Raises `ObjectiveError`."""
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise ObjectiveError(f"{name!r}: expected 'package.module:attribute'")
    return _resolved(name, module_name, attribute)[1]


def _by_import_path(name: str, options: Mapping[str, Any]) -> LoadedObjective:
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise ObjectiveError(f"objective {name!r}: expected 'package.module:function'")
    module, found = _resolved(name, module_name, attribute)
    if inspect.isclass(found):
        found = _instance(name, found, options)
    elif options:
        raise ObjectiveError(f"objective {name!r}: options are for a class, this is a {type(found).__name__}")
    if not callable(found):
        raise ObjectiveError(f"objective {name!r}: expected something to call, got {type(found).__name__}")
    # Companions of a function are looked for in its module; an object's or a nested function's only in itself.
    return LoadedObjective(name, found, module if inspect.isfunction(found) and "." not in attribute else None)


def _instance(name: str, kind: type, options: Mapping[str, Any]) -> Any:
    try:
        return kind(**options)
    except ObjectiveError as problem:
        raise ObjectiveError(f"objective {name!r}: {problem}") from problem
    except TypeError as problem:
        raise ObjectiveError(f"objective {name!r}: its options do not fit: {problem}") from problem


def _resolved(name: str, module_name: str, attribute: str) -> tuple[Any, Any]:
    """The module, and what its attribute leads to."""
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)  # a console script's path does not hold it, and that is where users' code lies
    module = found = _module(name, module_name)
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise ObjectiveError(f"objective {name!r}: {module_name} has no {attribute!r}")
        found = getattr(found, part)
    return module, found


def _module(name: str, module_name: str) -> Any:
    try:
        return import_module(module_name)
    except ModuleNotFoundError as problem:
        if problem.name and (module_name == problem.name or module_name.startswith(f"{problem.name}.")):
            hint = "is it installed, or in the folder where this runs?"
            raise ObjectiveError(f"objective {name!r}: no module named {problem.name!r}; {hint}") from problem
        raise ObjectiveError(f"objective {name!r}: {module_name} needs a missing module: {problem}") from problem
    except Exception as problem:
        text = f"objective {name!r}: importing {module_name} failed: {type(problem).__name__}: {problem}"
        raise ObjectiveError(" ".join(text.split())) from problem


def _companion(name: str, function: object, module: object) -> Callable[..., Any] | None:
    found = getattr(function, name, None) or getattr(module, name, None)
    return found if callable(found) else None


def _positional(function: Callable[..., Any]) -> int:
    """How many positional arguments it takes; 2 where that cannot be told."""
    try:
        kinds = [parameter.kind for parameter in inspect.signature(function).parameters.values()]
    except (TypeError, ValueError):
        return 2
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return 2
    return sum(kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD) for kind in kinds)


def _finite(value: Any, what: str) -> float:
    try:
        number = float(value) if not isinstance(value, str | bytes | bool) else None
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None:
        raise ObjectiveError(f"expected a number, {what} was {type(value).__name__}")
    if not math.isfinite(number):
        raise ObjectiveError(f"expected a finite number, {what} was {number}")
    return number
