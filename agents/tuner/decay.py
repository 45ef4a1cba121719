"""Decay: the incumbent's hyperparameters with an ever smaller learning rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.tuner.sampler import AskAndTell, SearchSpaceExhausted
from agents.tuner.space import Params, Space, defaults_of

FACTOR, FLOOR = 0.8, 1e-5
RATES = ("learning_rate", "lr", "learning_rate_init", "eta")
"""Names under which the learning rate is looked for, in this order."""


class Decay(AskAndTell):
    """Each trial has `factor` times the least learning rate so far, the incumbent's at first, but at least `floor`.

    `incumbent` are the hyperparameters of the version in service, which are kept but for the rate; those it lacks are
    the space's defaults. `parameter` names the rate, which is otherwise looked for under `RATES`. Once the rate is at
    the floor, `ask` raises `SearchSpaceExhausted`. Raises `ValueError` if there is no positive rate, for a `factor`
    outside of (0, 1) and for a `floor` that is not above 0.

    >>> from agents.tuner.space import parse_space
    >>> sampler = Decay(parse_space({"lr": [1e-4, 0.3]}), incumbent={"lr": 0.1, "depth": 3})
    >>> round(sampler.ask().params["lr"], 6), sampler.ask().params["depth"]
    (0.08, 3)
    """

    name = "decay"

    def __init__(
        self,
        space: Space,
        seed: int | None = None,
        incumbent: Mapping[str, Any] | None = None,
        factor: float = FACTOR,
        floor: float = FLOOR,
        parameter: str | None = None,
    ) -> None:
        super().__init__(space, seed)
        self._factor, self._floor = _number("factor", factor), _number("floor", floor)
        if not 0 < self._factor < 1 or self._floor <= 0:
            raise ValueError(f"decay: expected a factor in (0, 1) and a floor above 0, got {factor!r} and {floor!r}")
        self._base: Params = {**defaults_of(space), **(incumbent or {})}
        self._parameter = parameter or next((name for name in RATES if name in self._base), RATES[0])
        rate = self._base.get(self._parameter)
        if isinstance(rate, bool) or not isinstance(rate, int | float) or rate <= 0:
            raise ValueError(f"decay: expected a positive number as {self._parameter!r}, got {rate!r}")

    def _choose(self, number: int) -> Params:
        rates = [self._base[self._parameter], *(params.get(self._parameter) for params in self._asked.values())]
        rate = min(float(rate) for rate in rates if rate is not None)  # not the last: a lost trial is asked again
        if rate <= self._floor:
            raise SearchSpaceExhausted(f"{self._parameter} is at its floor of {self._floor:g}")
        return {**self._base, self._parameter: max(rate * self._factor, self._floor)}

    def _options(self) -> dict[str, Any]:
        return {"incumbent": self._base, "factor": self._factor, "floor": self._floor, "parameter": self._parameter}


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"decay: expected a number as {name}, got {value!r}")
    return float(value)
