"""Messages of the stages' internal topics, `STAGE-internal`, which no other program needs to read.

They also carry records that a stage forwards to the partition where a model's state lives; those are unchanged.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.fields import (
    Count,
    Identifier,
    NonNegative,
    NumbersByName,
    OptionalIdentifier,
    OptionalModelName,
    Params,
    Sha256,
    Text,
)
from schemas.message import Message, OutputMessage, Part
from schemas.models import Promotion


class Run(Part):
    """Offsets [begin, end) of one topic, processed one after the other; or, with `ticks`, time that went by.

    `ticks` are milliseconds of the partition's tick clock after the records.
    """

    topic: OptionalIdentifier = ""
    begin: Count = 0
    end: Count = 0
    ticks: Count = 0


class Cut(Message):
    """What one checkpoint of one partition processed, in order. It is about no model: `model_name` is empty."""

    type: Literal["cut"] = "cut"
    model_name: OptionalModelName = ""
    stage: Identifier
    partition: Count
    runs: Annotated[list[Run], Field(max_length=100_000, fail_fast=True)]


class OperatorAction(Message):
    """A person's order to a stage about one model."""

    type: Literal["operator_action"] = "operator_action"
    action: Literal["pause", "resume", "mute", "retire", "reset"]
    actor: Identifier
    note: Text = ""


class TrainingFinished(OutputMessage):
    """The final training of a study ended: with an artifact, or with an `error`.

    `promotion` is how the artifact compared with the champion's.
    """

    type: Literal["training_finished"] = "training_finished"
    study_id: Identifier
    request_id: Identifier
    version: OptionalIdentifier = ""
    artifact: Text = ""
    sha256: Sha256 | None = None
    hyperparameters: Params = Field(default_factory=dict)
    metrics: NumbersByName = Field(default_factory=dict)
    duration_seconds: NonNegative = 0.0
    promotion: Promotion | None = None
    error: Text | None = None


class TrialsAsked(OutputMessage):
    """A sampler chose what to try next: `params` of the trials from number `first` on.

    `timestamp` is the time on the clock. With `exhausted`, the reason, there is nothing more to try; with an `error`
    the sampler failed.
    """

    type: Literal["trials_asked"] = "trials_asked"
    study_id: Identifier
    first: Count
    params: Annotated[list[Params], Field(max_length=10_000)]
    exhausted: Text | None = None
    error: Text | None = None


InternalMessage = Annotated[Cut | OperatorAction | TrainingFinished | TrialsAsked, Field(discriminator="type")]
