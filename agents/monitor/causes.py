"""What an output refers back to: the record that caused it."""

from __future__ import annotations

import json
from uuid import uuid5

from schemas.drift import Cause
from schemas.ids import NAMESPACE
from schemas.message import Message
from streams.stage import Event


def cause_of(event: Event) -> Cause:
    """The record of this event, with the id it brought or, failing that, one made from its content."""
    origin = event.origin
    return Cause(
        event_id=event.message.event_id or content_id(event.message),
        topic=origin.topic,
        partition=origin.partition,
        offset=origin.offset,
    )


def content_id(message: Message) -> str:
    """An id for a message without one, from its content alone: the same live, forwarded, replayed and from a file.

    Two records of equal content share it.
    """
    # Without defaults, so that a field that messages gain one day does not change the ids of those without it.
    content = message.model_dump(mode="json", exclude_defaults=True)
    text = json.dumps([message.type, content], sort_keys=True, separators=(",", ":"))
    return str(uuid5(NAMESPACE, f"content {text}"))
