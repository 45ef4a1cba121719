"""Grid search: every combination of values once, in an order that the seed decides."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from agents.tuner.sampler import AskAndTell, SearchSpaceExhausted
from agents.tuner.space import Params, Space, grid_of


class GridSearch(AskAndTell):
    """Every combination once; a part of the grid is spread over the whole of it.

    `points` (2 to 1000) is how many values a range without a step is divided into, evenly, both ends included. Choices,
    flags and ranges with a step give all their values, a range of whole numbers as many as there are if those are
    fewer. After the last combination `ask` raises `SearchSpaceExhausted`.

    >>> from agents.tuner.space import parse_space
    >>> sampler = GridSearch(parse_space({"lr": [0.0, 1.0], "flip": {"type": "flag"}}), seed=1, points=2)
    >>> sorted((params["lr"], params["flip"]) for params in (sampler.ask().params for _ in range(4)))
    [(0.0, False), (0.0, True), (1.0, False), (1.0, True)]
    """

    name = "grid"

    def __init__(self, space: Space, seed: int | None = None, points: int = 5) -> None:
        super().__init__(space, seed)
        given: Any = points  # whatever a caller without a type checker passes
        if type(given) is not int or not 2 <= given <= 1000:
            raise ValueError(f"points: expected a whole number from 2 to 1000, got {given!r}")
        self._points = points
        self._axes = {name: grid_of(parameter, points) for name, parameter in space.items()}
        self._size = math.prod(len(axis) for axis in self._axes.values())
        self._start, self._stride = self._walk()
        self._place = 0
        self._seen: set[str] = set()

    def _choose(self, number: int) -> Params:
        while self._place < self._size:
            params = self._at(self._place)
            if _key(params) not in self._seen:
                return params
            self._place += 1
        raise SearchSpaceExhausted(f"all {self._size} combinations of the grid were asked")

    def _note(self, params: Params) -> None:
        self._seen.add(_key(params))

    def _at(self, place: int) -> Params:
        rest, params = (self._start + place * self._stride) % self._size, Params()
        for name, axis in self._axes.items():
            rest, index = divmod(rest, len(axis))
            params[name] = axis[index]
        return params

    def _options(self) -> dict[str, Any]:
        return {"points": self._points}

    def _walk(self) -> tuple[int, int]:
        """Start and stride of a walk that meets every combination once: the stride has no factor of the size."""
        drawn = np.random.Generator(np.random.PCG64(np.random.SeedSequence(self.seed))).random(2).tolist()
        stride = int(drawn[1] * self._size) or 1
        while math.gcd(stride, self._size) != 1:
            stride += 1
        return int(drawn[0] * self._size), stride


def _key(params: Params) -> str:
    return repr(sorted(params.items()))  # as text, for 1, 1.0 and True are different choices
