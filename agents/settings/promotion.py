"""When a new version replaces the one in service."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from agents.settings.fields import counted


class PromotionSettings(BaseModel):
    """What a new version must show before it becomes the champion."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    mode: Literal["guarded", "always", "manual"] = "guarded"
    """`guarded`: it must beat the champion on the same recent examples; `always`: it is promoted without being
    compared; `manual`: a person promotes it."""
    margin: Annotated[FiniteFloat, Field(ge=0)] = 0.0
    """By more than this it must be better, in units of what `evaluate` returns."""
    alpha: Annotated[FiniteFloat, Field(gt=0, lt=1)] = 0.05
    """How likely it may be that a version no better than that passes."""
    min_samples: Annotated[int, counted("examples", 2, 100_000)] = 30
    """On fewer examples nothing is decided."""
    direction: Literal["maximize", "minimize"] = "maximize"
    """Whether more of what `evaluate` returns is better, or less."""
