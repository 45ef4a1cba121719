"""Topics of others that a worker reads: what inference servers log."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

from agents.settings.rules import Table


class InputTopic(Table):
    """A topic by its full name, without the prefix, and whose events are on it."""

    topic: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,249}$")]
    layout: Literal["kserve", "seldon"]
