"""Messages on `trial-requests`: trials for runners to carry out, and those that they are to end early."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.fields import Count, Identifier, Instant, NonNegative, NumbersByName, OptionalIdentifier, Params
from schemas.message import OutputMessage
from schemas.retrain import RetrainRequest


class TrialRequest(OutputMessage):
    """Run `objective` (an import path, `package.module:function`) with `params`, unless `deadline` has passed.

    `options` are the objective's own. `seed` has 32 bits; `incumbent` has the hyperparameters of the version in
    service; `cause` is the request for which the study is made. A trial may take `timeout_seconds` and hold `memory_mb`
    MiB of data. `bounds` are what the pruner wants reached, by step: at least that where `direction` is `maximize`. If
    there is a `pruner`, the study's owner is told what is reported while the trial runs.
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
    pruner: OptionalIdentifier = ""


class PruneTrial(OutputMessage):
    """End a trial early: by what it reported for `step` it is not worth finishing, says the study's pruner."""

    type: Literal["prune_trial"] = "prune_trial"
    study_id: Identifier
    trial_id: Identifier
    number: Count
    step: Count


TrialRequestMessage = Annotated[TrialRequest | PruneTrial, Field(discriminator="type")]
