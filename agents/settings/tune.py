"""The rules of the settings file that say how models are tuned. The first match wins."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, FiniteFloat, field_validator, model_validator

from agents.settings.fields import counted, written_as
from agents.settings.promotion import PromotionSettings
from agents.settings.rules import Options, Rule
from agents.tuner.space import parse_space
from streams.duration import PositiveDuration

_OBJECTIVE = re.compile(r"[A-Za-z_][\w.-]*(:[A-Za-z_][\w.]*)?")


def _objective(text: str) -> str:
    if not _OBJECTIVE.fullmatch(text):
        raise ValueError('expected "package.module:function" or the name of an entry point')
    return text


def _sampler(text: str) -> str:
    from agents.tuner.samplers import sampler_name  # brings numpy along, which not every command needs

    return sampler_name(text)


def _pruner(text: str) -> str:
    from agents.tuner.pruners import pruner_name

    return pruner_name(text)


class TuneRule(Rule):
    """How the models that match are tuned when a retrain request comes."""

    objective: Annotated[str, AfterValidator(_objective)]
    """What trains and scores one candidate: `"package.module:function"`, the name of an entry point, or
    `"cross_validation"`."""
    options: Options = Field(default_factory=dict)
    """Keyword arguments for an objective that is a class, such as `cross_validation`."""
    sampler: Annotated[str, AfterValidator(_sampler), written_as("name of a sampler")] = "random"
    """How candidates are chosen: `random`, `grid`, `decay`, and with Optuna `tpe`, `cmaes`, `qmc`, `nsgaii`; case does
    not count."""
    sampler_options: Options = Field(default_factory=dict)
    """The sampler's own: `points` of a grid; `factor`, `floor` and `parameter` of a decay; else what Optuna's class
    takes."""
    pruner: Annotated[str, AfterValidator(_pruner), written_as("name of a pruner")] = "none"
    """Which trials end early: `none`, `median`, `hyperband`."""
    pruner_options: Options = Field(default_factory=dict)
    """`n_startup_trials` and `n_warmup_steps`; `min_resource`, `max_resource` and `reduction_factor`."""
    trials: Annotated[int, counted("trials", 1, 10_000)] = 10
    """How many candidates."""
    parallel: Annotated[int, counted("trials", 1, 1_000)] = 1
    """How many are out with runners at once."""
    ahead: Annotated[int, counted("trials", 0, 1_000)] = 1
    """How many more are chosen in advance, so that no runner waits for the sampler."""
    timeout: PositiveDuration = timedelta(seconds=60)
    """A trial that takes longer is stopped, and has failed."""
    memory_mb: Annotated[int, counted("MiB", 64, 10_000_000)] | None = None
    """Data that a trial may have in memory; one that wants more has failed."""
    deadline: PositiveDuration = timedelta(hours=1)
    """A trial of which nothing is heard for so long after it was handed out counts as lost: it has failed, and is asked
    again."""
    time_budget: PositiveDuration | None = None
    """After so long no more trials are handed out or waited for."""
    target_score: FiniteFloat | None = None
    """A score that is good enough: the study ends there."""
    direction: Literal["maximize", "minimize"] = "maximize"
    """Whether the best score is the highest or the lowest."""
    space: Annotated[dict[str, Any], written_as("table of tables", min_length=1)]
    """Each hyperparameter and its range, see below."""
    seed: Annotated[int, Field(ge=0)] = 0
    """The same seed and the same request give the same candidates."""
    promotion: PromotionSettings = PromotionSettings()
    """When a new version becomes the champion."""

    @field_validator("space")
    @classmethod
    def _can_be_sampled(cls, space: dict[str, Any]) -> dict[str, Any]:
        parse_space(space)
        return space

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        from agents.tuner.pruners import make_pruner
        from agents.tuner.samplers import make_sampler

        make_pruner(self.pruner, **self.pruner_options)
        if self.sampler in ("random", "grid"):  # what decay needs is in the incumbent, what Optuna takes in Optuna
            make_sampler(self.sampler, self.space, 0, **self.sampler_options)
        return self
