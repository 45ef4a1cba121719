"""Topics of others that a worker reads: what inference servers log."""

from __future__ import annotations

from typing import Annotated, Literal

from agents.settings.fields import written_as
from agents.settings.rules import Table


class InputTopic(Table):
    """A topic by its full name, without the prefix, and whose events are on it."""

    topic: Annotated[str, written_as("name of a topic", pattern=r"^[A-Za-z0-9._-]{1,249}$")]
    """Its full name, without `topic_prefix`; none of this system's own."""
    layout: Literal["kserve", "seldon"]
    """Whose inference logger writes there."""
