"""Search spaces as data: what values each hyperparameter may take.

    {"learning_rate": {"type": "float_range", "min": 1e-4, "max": 0.3, "log": True},
     "depth": {"type": "int_range", "min": 2, "max": 12},
     "kernel": {"type": "choice", "choices": ["rbf", "linear"]},
     "shuffle": {"type": "flag"}}

The short form `{"lr": [0.1, 0.9]}` is a `float_range`; of two whole numbers, `{"depth": [2, 12]}`, an `int_range`.
Each parameter maps a position in [0, 1) to one of its values, so a sampler only has to choose positions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, model_validator

from schemas.fields import Finite, Integer, ScalarOrNone

ParamValue = bool | int | float | str | None
Params = dict[str, ParamValue]


class InvalidSpace(ValueError):
    """A search space that cannot be sampled. The text is one line and names the parameter."""


class _Parameter(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class IntRange(_Parameter):
    """Whole numbers from `min` to `max`, both included, in steps of `step`; `log` favours the small ones."""

    type: Literal["int_range"] = "int_range"
    min: Integer
    max: Integer
    step: int = Field(default=1, ge=1)
    log: bool = False

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        _check_bounds(self.min, self.max, self.log, None if self.step == 1 else self.step)
        return self

    def at(self, position: float) -> int:
        """The value at `position` in [0, 1)."""
        if self.log:
            # Half a unit more on both sides, so that the first and the last number get their full share.
            return min(max(round(_geometric(self.min - 0.5, self.max + 0.5, position)), self.min), self.max)
        count = (self.max - self.min) // self.step + 1
        return self.min + self.step * min(int(position * count), count - 1)


class FloatRange(_Parameter):
    """Numbers from `min` to `max`; with `log` uniform in the logarithm, with `step` only `min`, `min + step`, …"""

    type: Literal["float_range"] = "float_range"
    min: Finite
    max: Finite
    log: bool = False
    step: Finite | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        _check_bounds(self.min, self.max, self.log, self.step)
        return self

    def at(self, position: float) -> float:
        """The value at `position` in [0, 1)."""
        if self.log:
            value = _geometric(self.min, self.max, position)
        elif self.step is not None:
            count = step_count(self)
            value = self.min + self.step * min(int(position * count), count - 1)
        else:
            value = _linear(self.min, self.max, position)
        return min(max(value, self.min), self.max)


class Choice(_Parameter):
    """One of a list of values, all equally likely. `values` is another name for `choices`."""

    type: Literal["choice"] = "choice"
    choices: list[ScalarOrNone] = Field(min_length=1, validation_alias=AliasChoices("choices", "values"))

    def at(self, position: float) -> ParamValue:
        """The value at `position` in [0, 1)."""
        return self.choices[min(int(position * len(self.choices)), len(self.choices) - 1)]


class Flag(_Parameter):
    """True or false."""

    type: Literal["flag"] = "flag"

    def at(self, position: float) -> bool:
        """The value at `position` in [0, 1)."""
        return position >= 0.5


Parameter = IntRange | FloatRange | Choice | Flag
Space = dict[str, Parameter]

KINDS: dict[str, type[IntRange | FloatRange | Choice | Flag]] = {
    "int_range": IntRange,
    "float_range": FloatRange,
    "choice": Choice,
    "flag": Flag,
}


def parse_space(raw: Mapping[str, Any]) -> Space:
    """The search space that settings or a caller wrote down; parameters that are parsed already are kept.

    Raises `InvalidSpace`, which names the first parameter at fault and says what was expected.
    """
    given: Any = raw  # whatever a caller without a type checker passes
    if not isinstance(given, Mapping):
        raise InvalidSpace(f"space: expected a table of parameters, got {type(given).__name__}")
    return {name: _parse_parameter(name, value) for name, value in given.items()}


def sample_at(space: Space, positions: list[float]) -> Params:
    """The hyperparameters at one position for each parameter, in the order of the space."""
    return {name: parameter.at(u) for (name, parameter), u in zip(space.items(), positions, strict=True)}


def defaults_of(space: Space) -> Params:
    """A value for each parameter where nothing better is known: the middle of a range, the first choice, False."""
    return {
        name: parameter.at(0.5 if isinstance(parameter, IntRange | FloatRange) else 0.0)
        for name, parameter in space.items()
    }


def step_count(parameter: IntRange | FloatRange) -> int:
    """How many values a range with a step has."""
    # A share of a step is added, or 0.1, 0.2 and 0.3 in steps of 0.1 would end at 0.2.
    return math.floor((parameter.max - parameter.min) / (parameter.step or 1) + 1e-9) + 1


def grid_of(parameter: Parameter, points: int) -> list[ParamValue]:
    """The values of a grid: all of a choice, a flag or a range with a step; else `points`, both ends included."""
    if isinstance(parameter, Choice):
        return list(parameter.choices)
    if isinstance(parameter, Flag):
        return [False, True]
    if isinstance(parameter, FloatRange):
        if parameter.step is not None:
            return [parameter.at((n + 0.5) / step_count(parameter)) for n in range(step_count(parameter))]
        return [parameter.at(n / (points - 1)) for n in range(points)]
    if parameter.step > 1 or parameter.max - parameter.min < points:
        return list(range(parameter.min, parameter.max + 1, parameter.step))
    between = _geometric if parameter.log else _linear
    return list(dict.fromkeys(round(between(parameter.min, parameter.max, n / (points - 1))) for n in range(points)))


def _parse_parameter(name: Any, value: Any) -> Parameter:
    if not isinstance(name, str) or not 1 <= len(name) <= 256:
        raise InvalidSpace(f"space: expected names of 1 to 256 characters, got {name!r}"[:120])
    if isinstance(value, IntRange | FloatRange | Choice | Flag):
        return value
    if isinstance(value, list | tuple):
        value = _long_form(name, value)
    if not isinstance(value, Mapping):
        raise InvalidSpace(f"space.{name}: expected a table with a type, or [min, max]; got {type(value).__name__}")
    kind = value.get("type")
    if not isinstance(kind, str) or kind not in KINDS:
        raise InvalidSpace(f"space.{name}: expected type to be one of {', '.join(KINDS)}; got {kind!r}")
    try:
        return KINDS[kind].model_validate(dict(value))
    except ValidationError as problem:
        raise InvalidSpace(f"space.{name}: {_first_error(problem)}") from None


def _long_form(name: str, pair: list[Any] | tuple[Any, ...]) -> dict[str, Any]:
    if len(pair) != 2 or any(isinstance(bound, bool) or not isinstance(bound, int | float) for bound in pair):
        raise InvalidSpace(f"space.{name}: expected two numbers, [min, max]; got {list(pair)!r}"[:200])
    kind = "int_range" if all(isinstance(bound, int) for bound in pair) else "float_range"
    return {"type": kind, "min": pair[0], "max": pair[1]}


def _check_bounds(low: float, high: float, log: bool, step: float | None) -> None:
    if low >= high:
        raise ValueError(f"min ({low}) must be below max ({high})")
    if log and low <= 0:
        raise ValueError(f"log needs bounds above 0, got min {low}")
    if log and step is not None:
        raise ValueError("log and step exclude each other")


def _linear(low: float, high: float, position: float) -> float:
    return low * (1 - position) + high * position  # the difference of the bounds may overflow


def _geometric(low: float, high: float, position: float) -> float:
    return math.exp(math.log(low) * (1 - position) + math.log(high) * position)


def _first_error(problem: ValidationError) -> str:
    error = problem.errors(include_url=False)[0]
    text = error["msg"].removeprefix("Value error, ")
    where = ".".join(str(part) for part in error["loc"])
    return f"{where}: {text}" if where else text
