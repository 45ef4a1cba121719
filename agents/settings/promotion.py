"""When a new version replaces the one in service."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat


class PromotionSettings(BaseModel):
    """What a new version must show before it becomes the champion.

    `mode`: `guarded`, it must beat the champion on the same recent examples; `always`, it is promoted without being
    compared; `manual`, a person promotes it. Under `guarded`, it must be better by more than `margin` (in units of the
    score), with an error probability of at most `alpha`, on at least `min_samples` examples. `direction`: whether more
    of what `evaluate` returns is better (`maximize`) or less of it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    mode: Literal["guarded", "always", "manual"] = "guarded"
    margin: Annotated[FiniteFloat, Field(ge=0)] = 0.0
    alpha: Annotated[FiniteFloat, Field(gt=0, lt=1)] = 0.05
    min_samples: Annotated[int, Field(ge=2, le=100_000)] = 30
    direction: Literal["maximize", "minimize"] = "maximize"
