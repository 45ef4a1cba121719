"""The samplers known by name. A new one is one file and one line here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from agents.tuner.decay import Decay
from agents.tuner.grid_search import GridSearch
from agents.tuner.optuna_search import KINDS, OptunaSearch
from agents.tuner.random_search import RandomSearch
from agents.tuner.sampler import Sampler
from agents.tuner.space import parse_space

SAMPLERS: dict[str, Callable[..., Sampler]] = {
    "random": RandomSearch,
    "grid": GridSearch,
    "decay": Decay,
    **{kind: partial(OptunaSearch, kind=kind) for kind in KINDS},
}

ALIASES = {
    "random_search": "random",
    "randomsearch": "random",
    "grid_search": "grid",
    "gridsearch": "grid",
    "learning_rate_decay": "decay",
    "tree_structured_parzen_estimator": "tpe",
    "bayesian": "tpe",
    "cma_es": "cmaes",
    "quasi_monte_carlo": "qmc",
    "sobol": "qmc",
    "nsga_ii": "nsgaii",
    "nsga2": "nsgaii",
}


def sampler_name(name: str) -> str:
    """The name a sampler is registered under, from that name or an alias in any case. Raises `ValueError`."""
    key = str(name).strip().lower().replace("-", "_").replace(" ", "_")
    found = ALIASES.get(key, key)
    if found not in SAMPLERS:
        raise ValueError(f"unknown sampler {name!r}; known are: {', '.join(sorted({*SAMPLERS, *ALIASES}))}")
    return found


def takes_incumbent(name: str) -> bool:
    """Whether a sampler starts from the hyperparameters of the version in service, its parameter `incumbent`."""
    return "incumbent" in inspect.signature(SAMPLERS[sampler_name(name)]).parameters


def make_sampler(name: str, space: Mapping[str, Any], seed: int | None = None, **params: Any) -> Sampler:
    """A sampler by its name or an alias, whose case does not count: `random`, `tpe`, `cmaes`, `qmc`, `grid`, `decay`.

    `space` is a search space as data (`agents.tuner.space`); `params` are the sampler's own. Raises `ValueError` for an
    unknown name, which lists the known ones, for a parameter it does not have, for a space that cannot be sampled, and
    for a sampler whose library is not installed.
    """
    factory = SAMPLERS[sampler_name(name)]
    signature = inspect.signature(factory).parameters
    if not any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in signature.values()):
        accepted = set(signature) - {"space", "seed"}
        for given in params:
            if given not in accepted:
                raise ValueError(f"sampler {name!r} has no parameter {given!r}; it has: {sorted(accepted) or 'none'}")
    elif reserved := {"kind", "seed", "space"} & set(params):
        raise ValueError(f"sampler {name!r} has no parameter {min(reserved)!r}")
    return factory(parse_space(space), seed=seed, **params)
