"""Messages on `status`: the newest state of each model."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from schemas.drift import WindowSummary
from schemas.fields import CountsByName, Identifier, OptionalIdentifier
from schemas.message import OutputMessage, Part


class ModelState(StrEnum):
    """How a model, or one rule of it, is doing. `retraining` is not here: readers derive it from other topics."""

    WARMING = "warming"
    OK = "ok"
    WARNING = "warning"
    DRIFT = "drift"
    RECOVERED = "recovered"
    SILENT = "silent"


class RuleStatus(Part):
    """The state of one rule on one metric and segment."""

    rule: Identifier
    metric: Identifier
    segment: OptionalIdentifier = ""
    state: ModelState
    window: WindowSummary | None = None


class ModelStatus(OutputMessage):
    """The state of a model version: the worst of its rules, counts of events by type, and each rule's own state."""

    type: Literal["model_status"] = "model_status"
    state: ModelState
    counts: CountsByName = Field(default_factory=dict)
    rules: Annotated[list[RuleStatus], Field(max_length=1_000, fail_fast=True)] = Field(default_factory=list)


StatusMessage = ModelStatus
