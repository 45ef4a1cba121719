"""Messages on `retrain`: requests for a new version of a model."""

from __future__ import annotations

from typing import Literal

from schemas.drift import WindowSummary
from schemas.fields import Finite, Identifier, IdentifierList, OptionalIdentifier, Text
from schemas.message import OutputMessage


class RetrainRequest(OutputMessage):
    """Retrain this model, and why: the rule, the metric with its value and threshold, the window, the causes.

    `cause_ids` are the events that led to it: first the fleet's own record, then the message on `drift`.
    `actor` is who asked, where a person did.
    """

    type: Literal["retrain_request"] = "retrain_request"
    rule: Identifier
    reason: Text
    metric: Identifier
    value: Finite | None = None
    threshold: Finite | None = None
    window: WindowSummary | None = None
    cause_ids: IdentifierList
    actor: OptionalIdentifier = ""


RetrainMessage = RetrainRequest
