"""Messages on `audit`: what people did through the dashboard or on the command line."""

from __future__ import annotations

from typing import Literal

from schemas.fields import Identifier, OptionalIdentifier, OptionalModelName, Text
from schemas.message import OutputMessage

ActionName = Literal[
    "retrain",
    "pause",
    "resume",
    "promote",
    "rollback",
    "retire",
    "register",
    "retry_dead_letter",
    "mute",
    "unmute",
    "acknowledge",
]


class ActionTaken(OutputMessage):
    """A person did something: `actor` is who, `note` why, `access` how they were known.

    On the command line (`cli`) the actor is the login name, or whom `--actor` names. `subject` is what it was done to,
    where that is not the model as a whole: a version, a kind of alert, the id of a mute or of a dead letter. Of a mute,
    `model_name` is its pattern.
    It is written in one transaction with what it tells of, so that neither is there without the other.
    """

    type: Literal["action_taken"] = "action_taken"
    model_name: OptionalModelName = ""
    action: ActionName
    subject: OptionalIdentifier = ""
    actor: Identifier
    access: Literal["token", "proxy", "cli"]
    note: Text = ""


AuditMessage = ActionTaken
