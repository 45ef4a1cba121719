"""Messages on `trials`: how trials and whole studies ended."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from schemas.fields import Count, Finite, Identifier, NonNegative, Params, Text
from schemas.message import OutputMessage


class TrialState(StrEnum):
    """How a trial ended."""

    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"


class TrialResult(OutputMessage):
    """A trial ended. `number` counts the study's trials from 0; a failed one has an `error` and no `score`.

    A `late` one did not count: its trial had been given up, or its study had ended.
    """

    type: Literal["trial_result"] = "trial_result"
    trial_id: Identifier
    study_id: Identifier
    number: Count
    params: Params
    score: Finite | None = None
    state: TrialState
    duration_seconds: NonNegative
    error: Text | None = None
    late: bool = False


class StudyFinished(OutputMessage):
    """The study of one retrain request ended: `complete` with a new version, or `failed` with its `reason`."""

    type: Literal["study_finished"] = "study_finished"
    study_id: Identifier
    request_id: Identifier
    state: Literal["complete", "failed"]
    best_trial_id: Identifier | None = None
    reason: Text = ""


TrialMessage = Annotated[TrialResult | StudyFinished, Field(discriminator="type")]
