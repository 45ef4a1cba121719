"""The detector of a monitor rule: which one is meant, its parameters where the rule is silent, and what is wrong."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Final, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic_core import InitErrorDetails, PydanticCustomError

from agents.drift import DETECTORS, RECOMMENDED, WindowDetector, make_detector

#: Stands for another detector, by its parameter `kind` or else by the metric.
RECOMMENDED_NAME: Final = "recommended"

#: The type of the errors made here, whose messages are complete.
WRONG: Final = "wrong_detector"

_ERROR: Final = "error"
_SCORES: Final = "predictions.score"

#: Metrics that are streams of zeros and ones, for which `recommended` takes the detector of errors.
_BINARY: Final = (_ERROR, "outcomes.accuracy", "outcomes.precision", "outcomes.recall", "outcomes.f1_score")

#: What a detector that looks at the rule's window takes from there.
_OF_WINDOW: Final = ("size", "min_samples")


def meant(name: str, given: Mapping[str, Any], metric: str, higher_wins: bool) -> tuple[str, dict[str, Any]]:
    """The detector that a checked rule means, and all of its parameters but those that are the window's.

    Of a detector that looks one way unless told otherwise, `direction` is by default the way that is worse.
    """
    name, parameters = _silent(name, given, metric, higher_wins)
    return name, parameters | {param: value for param, value in given.items() if param != "kind"}


def checked(name: str, given: Mapping[str, Any], metric: str, higher_wins: bool) -> dict[str, Any]:
    """The parameters in `given` that say something new, as the detector's own types.

    Raises ValidationError, located within the detector's table, if the detector cannot be made of them or cannot watch
    the metric.
    """
    _check_name(name, given)
    made, silent = _silent(name, given, metric, higher_wins)
    known = [*silent, *(["kind"] if name == RECOMMENDED_NAME else [])]
    for param in given:
        if param not in known:
            raise _wrong(f"{name} has no parameter {param!r}{_hint(param, known)}; known: {', '.join(known)}")
    typed = _parameters_of(made).model_validate({param: given[param] for param in given if param != "kind"})
    own = {param: getattr(typed, param) for param in given if param != "kind"}
    try:
        detector = make_detector(made, **silent | own)
    except ValueError as problem:
        param = str(problem).partition(":")[0]
        if param not in own:
            raise _wrong(str(problem)) from None
        raise _wrong(str(problem).partition(": ")[2], param) from None
    if getattr(detector, "errors_only", False):
        _check_errors(made, metric, higher_wins)
    kind = {"kind": given["kind"]} if given.get("kind", _kind(metric)) != _kind(metric) else {}
    return kind | {param: value for param, value in own.items() if value != silent[param]}


def _silent(name: str, given: Mapping[str, Any], metric: str, higher_wins: bool) -> tuple[str, dict[str, Any]]:
    """The detector's own name, and its parameters as they are if the rule does not give them."""
    recommended: dict[str, Any] = {}
    if name == RECOMMENDED_NAME:
        name, recommended = RECOMMENDED[given.get("kind", _kind(metric))]
    parameters = _defaults(name) | recommended
    if parameters.get("direction", "both") != "both":
        parameters["direction"] = "down" if higher_wins else "up"
    return name, parameters


def _kind(metric: str) -> Any:
    if metric == _SCORES:
        return "distribution"
    return "errors" if metric in _BINARY else "metric"


@lru_cache
def _defaults(name: str) -> dict[str, Any]:
    of_window = _OF_WINDOW if isinstance(make_detector(name), WindowDetector) else ()
    parameters = inspect.signature(DETECTORS[name]).parameters
    return {param: info.default for param, info in parameters.items() if param not in of_window}


@lru_cache
def _parameters_of(name: str) -> type[BaseModel]:
    """A model of the parameters, with the types of the detector's `__init__`, which an int is a float for."""
    hints = get_type_hints(DETECTORS[name].__init__)
    fields: dict[str, Any] = {param: (hints[param], default) for param, default in _defaults(name).items()}
    return create_model(name, __config__=ConfigDict(strict=True, allow_inf_nan=False), **fields)


def _check_name(name: str, given: Mapping[str, Any]) -> None:
    try:
        kind = {"kind": given["kind"]} if name == RECOMMENDED_NAME and "kind" in given else {}
        if kind and not isinstance(given["kind"], str):
            raise ValueError(f"kind: expected one of {', '.join(RECOMMENDED)}, got {given['kind']!r}")
        make_detector(name, **kind)
    except ValueError as problem:
        raise _wrong(str(problem)) from None


def _check_errors(name: str, metric: str, higher_wins: bool) -> None:
    """A detector that looks for more errors finds nothing in accuracies, and takes their rise for a fault."""
    if metric != _ERROR and not metric.startswith("extras."):
        raise _wrong(
            f'{name} takes errors (0 or 1): expected the metric "error" or an "extras.NAME" of such, got {metric!r}; '
            'for that take "recommended"'
        )
    if higher_wins:
        raise _wrong(f"{name} looks for more errors: expected higher_is_better = false beside it")


def _hint(word: str, known: list[str]) -> str:
    close = get_close_matches(word, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _wrong(text: str, *location: str) -> ValidationError:
    error = PydanticCustomError(WRONG, text)
    return ValidationError.from_exception_data("detector", [InitErrorDetails(type=error, loc=location, input=None)])
