"""The samplers known by name. A new one is one file and one line here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from agents.tuner.random_search import RandomSearch
from agents.tuner.sampler import Sampler
from agents.tuner.space import parse_space

SAMPLERS: dict[str, Callable[..., Sampler]] = {"random": RandomSearch}

ALIASES = {"random_search": "random", "randomsearch": "random"}


def make_sampler(name: str, space: Mapping[str, Any], seed: int | None = None, **params: Any) -> Sampler:
    """A sampler by its name, whose case does not count (`random`, also `random_search`).

    `space` is a search space as data (`agents.tuner.space`); `params` are the sampler's own. Raises `ValueError` for an
    unknown name, which lists the known ones, for a parameter it does not have, and for a space that cannot be sampled.
    """
    key = str(name).strip().lower().replace("-", "_").replace(" ", "_")
    factory = SAMPLERS.get(ALIASES.get(key, key))
    if factory is None:
        known = ", ".join(sorted({*SAMPLERS, *ALIASES}))
        raise ValueError(f"unknown sampler {name!r}; known are: {known}")
    accepted = set(inspect.signature(factory).parameters) - {"space", "seed"}
    for parameter in params:
        if parameter not in accepted:
            raise ValueError(f"sampler {name!r} has no parameter {parameter!r}; it has: {sorted(accepted) or 'none'}")
    return factory(parse_space(space), seed=seed, **params)
