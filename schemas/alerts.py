"""Messages on `alerts`: what a person should know."""

from __future__ import annotations

from typing import Literal

from schemas.fields import Identifier, Text
from schemas.message import OutputMessage


class Alert(OutputMessage):
    """Something is wrong (`firing`) or no longer so (`resolved`); `kind` is the same in both."""

    type: Literal["alert"] = "alert"
    kind: Identifier
    severity: Literal["info", "warning", "error"]
    state: Literal["firing", "resolved"]
    message: Text


AlertMessage = Alert
