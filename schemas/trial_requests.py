"""Messages on `trial-requests`: trials for runners to carry out."""

from __future__ import annotations

from typing import Literal

from schemas.fields import Count, Identifier, Instant, Params
from schemas.message import OutputMessage


class TrialRequest(OutputMessage):
    """Run `objective` (an import path, `package.module:function`) with `params`, by `deadline` at the latest."""

    type: Literal["trial_request"] = "trial_request"
    study_id: Identifier
    trial_id: Identifier
    number: Count
    params: Params
    objective: Identifier
    deadline: Instant | None = None


TrialRequestMessage = TrialRequest
