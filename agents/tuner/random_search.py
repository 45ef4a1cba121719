"""Random search: trials drawn from the space independently of one another.

Bergstra and Bengio, "Random Search for Hyper-Parameter Optimization", JMLR 13 (2012): where few of the parameters
matter, it finds better values than a grid of the same size.
"""

from __future__ import annotations

import numpy as np

from agents.tuner.sampler import AskAndTell
from agents.tuner.space import Params, sample_at


class RandomSearch(AskAndTell):
    """Seeded random search. Trial n depends on the seed, the space and n alone, in any process and any order of tells.

    >>> from agents.tuner.space import parse_space
    >>> sampler = RandomSearch(parse_space({"depth": [2, 12]}), seed=7)
    >>> sampler.ask() == RandomSearch(parse_space({"depth": [2, 12]}), seed=7).ask()
    True
    """

    name = "random"

    def _choose(self, number: int) -> Params:
        # Only the bit generator and its doubles are used: numpy keeps those streams fixed between versions.
        sequence = np.random.SeedSequence(self.seed, spawn_key=(number,))
        positions: list[float] = np.random.Generator(np.random.PCG64(sequence)).random(len(self.space)).tolist()
        return sample_at(self.space, positions)
