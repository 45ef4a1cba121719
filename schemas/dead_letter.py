"""Messages on `dead-letter`: records that could not be decoded or processed, with the reason, so as to be retried."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from schemas.fields import (
    EARLIEST,
    EPOCH,
    LATEST,
    MAX_TEXT,
    NO_CONTROL,
    Count,
    Identifier,
    OptionalModelName,
    Sha256,
    Source,
    Text,
    at_most,
)
from schemas.ids import dead_letter_id
from schemas.message import OutputMessage

KIB = 1024
MAX_VALUE = 512 * KIB
KEPT_OF_LARGER = 64 * KIB
MAX_HEADERS = 64
MAX_HEADER_TEXT = 1_000

HeaderText = Annotated[str, StringConstraints(max_length=MAX_HEADER_TEXT)]
Headers = Annotated[dict[HeaderText, HeaderText], Field(max_length=MAX_HEADERS), at_most(MAX_HEADERS)]
# Four characters for three bytes, and padding.
Base64 = Annotated[str, StringConstraints(max_length=MAX_VALUE * 4 // 3 + 4)]
_NAME = re.compile(NO_CONTROL)


class DeadLetter(OutputMessage):
    """A record that was set aside, with where it came from and why.

    `key` and `value` are base64 of the record's bytes. A value of at most 512 KiB is whole; of a larger one the first
    64 KiB are here and `value_sha256` is of all `value_size` bytes. A key keeps at most 64 KiB. `model_name` is the
    record's key where that is a name, else empty.
    """

    type: Literal["dead_letter"] = "dead_letter"
    model_name: OptionalModelName = ""
    reason: Text
    stage: Identifier
    topic: Source
    partition: Count
    offset: Count
    key: Base64 | None = None
    value: Base64 | None = None
    headers: Headers = Field(default_factory=dict)
    value_sha256: Sha256 | None = None
    value_size: Count


def dead_letter_of(
    *,
    reason: str,
    stage: str,
    topic: str,
    partition: int,
    offset: int,
    timestamp: int,
    key: bytes | None,
    value: bytes | None,
    headers: Sequence[tuple[str, bytes | None]] = (),
) -> DeadLetter:
    """The dead letter of one record, whatever is in it; the same each time it is made.

    `timestamp` is the record's, in milliseconds since the epoch; one outside 2000 to 2100 is brought to the nearer end.
    """
    size = 0 if value is None else len(value)
    large = value is not None and size > MAX_VALUE
    return DeadLetter(
        event_id=dead_letter_id(topic, partition, offset),
        model_name=_name_in(key),
        timestamp=_clamped(timestamp),
        reason=_printable(reason, MAX_TEXT),
        stage=stage,
        topic=topic,
        partition=partition,
        offset=offset,
        key=_base64(key, KEPT_OF_LARGER),
        value=_base64(value, KEPT_OF_LARGER if large else MAX_VALUE),
        headers={
            _printable(name, MAX_HEADER_TEXT): _printable(
                (content or b"").decode("utf-8", "backslashreplace"), MAX_HEADER_TEXT
            )
            for name, content in headers[:MAX_HEADERS]
        },
        value_sha256=sha256(value).hexdigest() if large and value is not None else None,
        value_size=size,
    )


def _base64(data: bytes | None, keep: int) -> str | None:
    return None if data is None else b64encode(data[:keep]).decode("ascii")


def _clamped(milliseconds: int) -> datetime:
    low, high = EARLIEST.timestamp() * 1000, LATEST.timestamp() * 1000 - 1
    return EPOCH + timedelta(milliseconds=min(max(milliseconds, low), high))


def _printable(text: str, limit: int) -> str:
    """At most `limit` characters that UTF-8 can carry: a lone surrogate is written as its escape."""
    return text[:limit].encode("utf-8", "backslashreplace").decode("utf-8")[:limit]


def _name_in(key: bytes | None) -> str:
    try:
        name = (key or b"").decode("utf-8")
    except UnicodeDecodeError:
        return ""
    return name if len(name) <= 249 and _NAME.fullmatch(name) else ""


DeadLetterMessage = DeadLetter
