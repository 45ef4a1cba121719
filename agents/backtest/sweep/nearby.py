"""Draws near a rule that is known: each parameter stays, or moves a little within its range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from agents.tuner.space import Choice, Flag, Parameter, Space

#: Of ten parameters so many move at once, on average; and how far, as a share of the range (a standard deviation).
_MOVES: Final = 0.6
_STEP: Final = 0.15

_STEPS_OF_BISECTION: Final = 40
_LAST: Final = 1.0 - 1e-9


def position_of(parameter: Parameter, value: Any) -> float | None:
    """A position in [0, 1) at which the parameter has the value, or the one next to it; None if it is not a choice."""
    if isinstance(parameter, Choice | Flag):
        values = parameter.choices if isinstance(parameter, Choice) else [False, True]
        return (values.index(value) + 0.5) / len(values) if value in values else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    low, high = 0.0, _LAST
    for _ in range(_STEPS_OF_BISECTION):
        middle = (low + high) / 2
        low, high = (middle, high) if parameter.at(middle) < value else (low, middle)
    return high


def positions_of(space: Space, values: Mapping[str, Any]) -> list[float | None]:
    """The position of each parameter; None for one that has no value there, or one that cannot be drawn."""
    return [position_of(parameter, values.get(name)) for name, parameter in space.items()]


def moved(space: Space, positions: list[float | None], rng: np.random.Generator) -> list[float]:
    """Positions near those given; where there is none it is anywhere. A choice that moves is any of them."""
    drawn = rng.random((len(space), 2))
    near = rng.standard_normal(len(space))
    if not (drawn[:, 0] < _MOVES).any() and len(space):
        drawn[rng.integers(len(space)), 0] = 0.0
    result = []
    for parameter, position, (moves, anywhere), step in zip(space.values(), positions, drawn, near, strict=True):
        if position is None or (moves < _MOVES and isinstance(parameter, Choice | Flag)):
            result.append(float(anywhere))
        else:
            result.append(min(max(position + (moves < _MOVES) * _STEP * float(step), 0.0), _LAST))
    return result
