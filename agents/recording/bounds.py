"""Where to begin and to end in a topic, as people write it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from agents.recording.items import SourceError
from schemas.topics import TOPICS

Bound = int | datetime | None
"""An offset, the same in each partition, or a time; None for the beginning or the end."""


def parse_bound(where: str, text: str | None) -> Bound:
    """An offset (digits) or a time (RFC 3339; without an offset it is UTC); None for "". Raises SourceError."""
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+") if text.count(":") > 2 else text)
    except ValueError:
        raise SourceError(f"{where}: expected an offset or a time such as 2025-06-01T12:00:00Z, got {text!r}") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def prefix_of(topics: Iterable[str]) -> str:
    """What stands before a name of the registry in the first topic that has one."""
    for topic in topics:
        if name := next((name for name in TOPICS if topic.endswith(name)), ""):
            return topic.removesuffix(name)
    return ""
