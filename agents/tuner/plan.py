"""What the settings said about a study when its request came."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from agents.registry.promotion import BY_DEFAULT
from agents.settings import TuneRule
from agents.settings.promotion import PromotionSettings

Options = dict[str, Any]


class Plan(BaseModel):
    """A study keeps its plan when the settings change under it. Durations are in seconds or, as `_ms`, milliseconds."""

    model_config = ConfigDict(frozen=True)

    rule: str
    objective: str
    options: Options = Field(default_factory=dict)
    sampler: str
    sampler_options: Options = Field(default_factory=dict)
    pruner: str = "none"
    pruner_options: Options = Field(default_factory=dict)
    trials: int
    parallel: int
    ahead: int = 0
    timeout_seconds: float
    memory_mb: int | None = None
    deadline_ms: int
    time_budget_ms: int | None = None
    target_score: float | None = None
    direction: Literal["maximize", "minimize"]
    space: dict[str, Any]
    seed: int
    promotion: PromotionSettings = BY_DEFAULT

    @classmethod
    def of(cls, rule: TuneRule) -> Plan:
        """The plan that a settings rule describes."""
        return cls(
            rule=rule.name,
            objective=rule.objective,
            options=rule.options,
            sampler=rule.sampler,
            sampler_options=rule.sampler_options,
            pruner=rule.pruner,
            pruner_options=rule.pruner_options,
            trials=rule.trials,
            parallel=rule.parallel,
            ahead=rule.ahead,
            timeout_seconds=rule.timeout.total_seconds(),
            memory_mb=rule.memory_mb,
            deadline_ms=round(rule.deadline.total_seconds() * 1000),
            time_budget_ms=None if rule.time_budget is None else round(rule.time_budget.total_seconds() * 1000),
            target_score=rule.target_score,
            direction=rule.direction,
            space=rule.space,
            seed=rule.seed,
            promotion=rule.promotion,
        )

    @property
    def maximizes(self) -> bool:
        """Whether the best score is the highest."""
        return self.direction == "maximize"

    @property
    def sign(self) -> int:
        """What a score is multiplied by so that the best is the highest."""
        return 1 if self.maximizes else -1

    def reaches_target(self, score: float) -> bool:
        """Whether a score is good enough to end the study."""
        return self.target_score is not None and self.sign * score >= self.sign * self.target_score
