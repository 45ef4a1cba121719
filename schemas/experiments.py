"""Messages on `experiments`: what trainers report of their runs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.fields import Count, Identifier, Labels, NonNegative, NumbersByName, Params
from schemas.message import Message


class RunStart(Message):
    """A training run began, with these hyperparameters."""

    type: Literal["run_start"] = "run_start"
    run_id: Identifier
    params: Params = Field(default_factory=dict)
    tags: Labels = Field(default_factory=dict)


class EpochEnd(Message):
    """An epoch (counted from 0) of a run ended, with these metrics."""

    type: Literal["epoch_end"] = "epoch_end"
    run_id: Identifier
    epoch: Count
    metrics: NumbersByName


class TrainingEnd(Message):
    """A run ended, after `duration_seconds`."""

    type: Literal["training_end"] = "training_end"
    run_id: Identifier
    final_metrics: NumbersByName
    duration_seconds: NonNegative


ExperimentMessage = Annotated[RunStart | EpochEnd | TrainingEnd, Field(discriminator="type")]
