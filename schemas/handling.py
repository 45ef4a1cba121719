"""Messages on `alert-handling`, a table: what people said of alerts. A tombstone takes it back.

A mute is keyed by its `event_id`, an acknowledgement by `acknowledgement_key`, so that there is one of each condition.
Both end by themselves, at `until`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from schemas.fields import MAX_TEXT, Identifier, Instant, OptionalIdentifier, Text
from schemas.ids import condition_id
from schemas.message import OutputMessage

LONGEST_MUTE: Final = timedelta(days=365)
"""How long something can be muted at once."""

LONGEST_ACKNOWLEDGEMENT: Final = timedelta(days=30)
"""As long as `alerts` is kept: what is still open then is told once more."""

Reason = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT)]


class Mute(OutputMessage):
    """Nobody is told of certain alerts until `until`: they are recorded and shown as ever.

    `model_name`, `kind` and `rule` are patterns (`fraud-*`); `rule` is that of the monitor or retrain rule behind a
    finding, which alerts of no rule fit only as `*`. `owner` answers for the mute, `actor` made it, `reason` says why.
    """

    type: Literal["mute"] = "mute"
    kind: Identifier = "*"
    rule: Identifier = "*"
    until: Instant
    owner: Identifier
    actor: Identifier
    reason: Reason


class Acknowledgement(OutputMessage):
    """Somebody knows of an open alert: it is not told again until it has resolved, `until` at the latest.

    `alert_id` is the `event_id` of the alert that was open then.
    """

    type: Literal["acknowledgement"] = "acknowledgement"
    kind: Identifier
    alert_id: OptionalIdentifier = ""
    until: Instant
    actor: Identifier
    note: Text = ""


HandlingMessage = Annotated[Mute | Acknowledgement, Field(discriminator="type")]


def acknowledgement_key(model: str, kind: str) -> str:
    """The key of the one acknowledgement that a kind of alert of a model may have."""
    return condition_id(model, kind)
