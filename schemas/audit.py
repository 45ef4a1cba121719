"""Messages on `audit`: what people did through the dashboard."""

from __future__ import annotations

from typing import Literal

from schemas.fields import Identifier, OptionalIdentifier, OptionalModelName, Text
from schemas.message import OutputMessage

ActionName = Literal["retrain", "pause", "resume", "promote", "rollback", "retire", "retry_dead_letter"]


class ActionTaken(OutputMessage):
    """A person did something: `actor` is who, `access` how the dashboard knew them, `note` why.

    `subject` is what it was done to, where that is not the model as a whole: a version, or the id of a dead letter.
    It is written in one transaction with what it tells of, so that neither is there without the other.
    """

    type: Literal["action_taken"] = "action_taken"
    model_name: OptionalModelName = ""
    action: ActionName
    subject: OptionalIdentifier = ""
    actor: Identifier
    access: Literal["token", "proxy"]
    note: Text = ""


AuditMessage = ActionTaken
