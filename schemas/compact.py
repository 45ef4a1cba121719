"""The quick way for the commonest record: a `metrics` message decoded by msgspec into a compact form.

`Metrics` (pydantic) stays the schema. The quick way takes a record only if nothing about it is unusual, and then
with the same values; whatever it does not take goes to the schema's own parser, which accepts it or says what is wrong.
A property test holds the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import isfinite
from typing import Annotated

import msgspec

from schemas.fields import EARLIEST, EPOCH, LATEST
from schemas.message import Message
from schemas.metrics import Metrics
from schemas.parse import Parser

Ratio = Annotated[float, msgspec.Meta(ge=0, le=1)]

_EARLIEST, _LATEST = EARLIEST.timestamp(), LATEST.timestamp()

#: Names that the schema has accepted are kept, up to this many, so that each is looked at character by character once.
_MOST_NAMES = 100_000


class CompactMetrics(msgspec.Struct, tag_field="type", tag="metrics", forbid_unknown_fields=True, gc=False):
    """A `metrics` message with its event time in epoch seconds, labels left out (records with labels are not taken)."""

    model_name: str
    timestamp: float
    model_version: str = ""
    event_id: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] | None = None
    accuracy: Ratio | None = None
    precision: Ratio | None = None
    recall: Ratio | None = None
    f1_score: Ratio | None = None
    extras: dict[str, float] = msgspec.field(default_factory=dict)

    def full(self) -> Metrics:
        """The message as the schema has it."""
        return Metrics(
            event_id=self.event_id,
            model_name=self.model_name,
            model_version=self.model_version,
            timestamp=instant(self.timestamp),
            accuracy=self.accuracy,
            precision=self.precision,
            recall=self.recall,
            f1_score=self.f1_score,
            extras=self.extras,
        )


def instant(epoch_seconds: float) -> datetime:
    """The time as the schema reads it."""
    return EPOCH + timedelta(seconds=epoch_seconds)


_decode = msgspec.json.Decoder(CompactMetrics).decode


class CompactParser:
    """A parser that gives `CompactMetrics` where it can, and what `parse` gives otherwise."""

    def __init__(self, parse: Parser) -> None:
        self._parse = parse
        self._models: set[str] = set()
        self._versions: set[str] = {""}
        self._extras: set[str] = set()

    def __call__(
        self, value: bytes | None, headers: Sequence[tuple[str, bytes | None]] = ()
    ) -> Message | CompactMetrics:
        """Raises `InvalidMessage`, as `parse` does."""
        if not headers and value is not None:
            try:
                message = _decode(value)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                pass
            else:
                if self._is_usual(message):
                    return message
        return self._note(self._parse(value, headers))

    def _is_usual(self, message: CompactMetrics) -> bool:
        """Whether the schema would take it too: the names have been seen, the numbers are in range."""
        if message.model_name not in self._models or message.model_version not in self._versions:
            return False
        if not _EARLIEST <= message.timestamp < _LATEST:
            return False
        if message.event_id is not None and not message.event_id.isprintable():
            return False
        extras = message.extras
        if extras:
            return extras.keys() <= self._extras and len(extras) <= 1_000 and all(map(isfinite, extras.values()))
        return (
            message.accuracy is not None
            or message.precision is not None
            or message.recall is not None
            or message.f1_score is not None
        )

    def _note(self, message: Message) -> Message:
        if isinstance(message, Metrics):
            for names, new in (
                (self._models, (message.model_name,)),
                (self._versions, (message.model_version,)),
                (self._extras, message.extras),
            ):
                if len(names) < _MOST_NAMES:
                    names.update(new)
        return message
