"""Messages on `trial-requests`: trials for runners to carry out."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.fields import Count, Identifier, Instant, NonNegative, NumbersByName, Params
from schemas.message import OutputMessage
from schemas.retrain import RetrainRequest


class TrialRequest(OutputMessage):
    """Run `objective` (an import path, `package.module:function`) with `params`, unless `deadline` has passed.

    `options` are the objective's own. `seed` has 32 bits; `incumbent` has the hyperparameters of the version in
    service; `cause` is the request for which the study is made. A trial may take `timeout_seconds` and hold `memory_mb`
    MiB of data. `bounds` are what the pruner wants reached, by step: at least that where `direction` is `maximize`.
    """

    type: Literal["trial_request"] = "trial_request"
    study_id: Identifier
    trial_id: Identifier
    number: Count
    params: Params
    objective: Identifier
    deadline: Instant | None = None
    options: Params = Field(default_factory=dict)
    seed: Count = 0
    incumbent: Params = Field(default_factory=dict)
    cause: RetrainRequest | None = None
    timeout_seconds: NonNegative = 60.0
    memory_mb: Count | None = None
    direction: Literal["maximize", "minimize"] = "maximize"
    bounds: NumbersByName = Field(default_factory=dict)


TrialRequestMessage = TrialRequest
