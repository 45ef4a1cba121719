"""What every message has in common.

Two levels: `Message` is anything that travels; `OutputMessage` is one that this system publishes, which always has an
`event_id`. The exception for everything that is not a message is `InvalidMessage`, a `ValueError`.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from schemas.fields import Identifier, Instant, Labels, ModelName, VersionText


class InvalidMessage(ValueError):
    """The bytes are no message of their topic. The text is one line: `FIELD: expected …, got …`."""


class Part(BaseModel):
    """Base of messages and of the objects inside them: immutable, strict about types, unknown fields ignored."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", protected_namespaces=())


class Message(Part):
    """The fields common to all messages; on the wire a flat JSON object.

    `type` tells the kind. `event_id` identifies the event; producers may leave it out. `model_name` has 1 to 249
    characters, none of them control characters; `model_version` 0 to 128. `timestamp` is the event time, in UTC, from
    2000-01-01 to 2100-01-01 (input: RFC 3339 with offset, or epoch seconds; output: RFC 3339 with `Z`). `labels` are at
    most 32 pairs that name a segment.
    """

    type: str
    event_id: Identifier | None = None
    model_name: ModelName
    model_version: VersionText = ""
    timestamp: Instant
    labels: Labels = Field(default_factory=dict)

    def to_json(self) -> bytes:
        """The message as it is on the wire: one flat JSON object in UTF-8."""
        serialized: bytes = self.__pydantic_serializer__.to_json(self)
        return serialized

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON-ready Python values."""
        return self.model_dump(mode="json")


class OutputMessage(Message):
    """A message of this system's own: its `event_id` is derived from its cause (`schemas.ids`), never random."""

    event_id: Identifier
