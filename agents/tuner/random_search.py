"""Random search: trials drawn from the space independently of one another.

Bergstra and Bengio, "Random Search for Hyper-Parameter Optimization", JMLR 13 (2012): where few of the parameters
matter, it finds better values than a grid of the same size.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from agents.tuner.sampler import Trial
from agents.tuner.space import Params, Space, sample_at


class RandomSearch:
    """Seeded random search. Trial n depends on the seed, the space and n alone, in any process and any order of tells.

    `seed` is a whole number from 0; None takes one from the operating system, and `snapshot` shows which.

    >>> from agents.tuner.space import parse_space
    >>> sampler = RandomSearch(parse_space({"depth": [2, 12]}), seed=7)
    >>> sampler.ask() == RandomSearch(parse_space({"depth": [2, 12]}), seed=7).ask()
    True
    """

    name = "random"

    def __init__(self, space: Space, seed: int | None = None) -> None:
        given: Any = seed  # whatever a caller without a type checker passes
        if given is not None and (type(given) is not int or given < 0):
            raise ValueError(f"seed: expected a whole number from 0, got {given!r}")
        self._space = space
        self._seed = np.random.SeedSequence().entropy if seed is None else seed
        self._asked: dict[int, Params] = {}
        self._scores: dict[int, float | None] = {}

    def ask(self) -> Trial:
        """The next trial."""
        number = max(self._asked, default=-1) + 1
        self._asked[number] = params = self._draw(number)
        return Trial(number, dict(params))

    def tell(self, number: int, score: float | None) -> None:
        """Note a score; see `Sampler.tell`."""
        if number not in self._asked:
            raise ValueError(f"trial {number} was never asked; asked so far: {len(self._asked)}")
        self._scores.setdefault(number, score if score is not None and math.isfinite(score) else None)

    def restore(self, asked: Mapping[int, Params], scores: Mapping[int, float | None]) -> None:
        """Go on with a study that began elsewhere; see `Sampler.restore`."""
        self._asked = dict(asked)
        self._scores = {}
        for number, score in scores.items():
            self.tell(number, score)

    def snapshot(self) -> str:
        """Everything it knows, as JSON; see `Sampler.snapshot`."""
        trials = [
            {"number": number, "params": params, "score": self._scores.get(number), "told": number in self._scores}
            for number, params in sorted(self._asked.items())
        ]
        space = {name: parameter.model_dump(mode="json") for name, parameter in self._space.items()}
        return json.dumps({"sampler": self.name, "seed": self._seed, "space": space, "trials": trials})

    def _draw(self, number: int) -> Params:
        # Only the bit generator and its doubles are used: numpy keeps those streams fixed between versions.
        sequence = np.random.SeedSequence(self._seed, spawn_key=(number,))
        positions: list[float] = np.random.Generator(np.random.PCG64(sequence)).random(len(self._space)).tolist()
        return sample_at(self._space, positions)
