"""The quick way for the commonest records: `metrics` and `outcomes` messages decoded by msgspec into a compact form.

`Metrics` and `Outcomes` (pydantic) stay the schema. The quick way takes a record only if nothing about it is unusual,
and then with the same values; whatever it does not take goes to the schema's own parser, which accepts it or says what
is wrong. A property test holds the two together.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from pydantic import TypeAdapter, ValidationError

from schemas.fields import (
    EARLIEST,
    EPOCH,
    INT64_MAX,
    LATEST,
    MAX_ITEMS,
    MAX_SCALAR_TEXT,
    ModelName,
    VersionText,
)
from schemas.message import Message
from schemas.metrics import Metrics, Outcomes
from schemas.parse import Parser

Ratio = Annotated[float, msgspec.Meta(ge=0, le=1)]
Finite = Annotated[float, msgspec.Meta(ge=-sys.float_info.max, le=sys.float_info.max)]
#: What would be rounded up to the end of the range is left to the schema.
EpochSeconds = Annotated[float, msgspec.Meta(ge=EARLIEST.timestamp(), lt=LATEST.timestamp() - 1e-6)]

_Items = msgspec.Meta(min_length=1, max_length=MAX_ITEMS)
_Int64 = Annotated[int, msgspec.Meta(ge=-INT64_MAX - 1, le=INT64_MAX)]
_ScalarText = Annotated[str, msgspec.Meta(max_length=MAX_SCALAR_TEXT)]
ScalarList = Annotated[list[bool | _Int64 | Finite | _ScalarText], _Items]
FiniteList = Annotated[list[Finite], _Items]

#: Names that the schema has accepted are kept, up to this many, so that each is looked at character by character once.
_MOST_NAMES = 100_000

#: As in the schema.
_MOST_EXTRAS = 1_000
_MODEL_NAME, _VERSION = TypeAdapter[str](ModelName), TypeAdapter[str](VersionText)


class CompactMetrics(msgspec.Struct, tag_field="type", tag="metrics", forbid_unknown_fields=True, gc=False):
    """A `metrics` message with its event time in epoch seconds, labels left out (records with labels are not taken)."""

    model_name: str
    timestamp: EpochSeconds
    model_version: str = ""
    event_id: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] | None = None
    accuracy: Ratio | None = None
    precision: Ratio | None = None
    recall: Ratio | None = None
    f1_score: Ratio | None = None
    extras: dict[str, Finite] = msgspec.field(default_factory=dict)

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


class CompactOutcomes(msgspec.Struct, tag_field="type", tag="outcomes", forbid_unknown_fields=True, gc=False):
    """An `outcomes` message with its event time in epoch seconds; none with labels, or with a time for each outcome."""

    model_name: str
    timestamp: EpochSeconds
    y_true: ScalarList
    y_pred: ScalarList
    model_version: str = ""
    event_id: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] | None = None
    scores: FiniteList | None = None

    def full(self) -> Outcomes:
        """The message as the schema has it."""
        return Outcomes(
            event_id=self.event_id,
            model_name=self.model_name,
            model_version=self.model_version,
            timestamp=instant(self.timestamp),
            y_true=self.y_true,
            y_pred=self.y_pred,
            scores=self.scores,
        )


CompactMessage = CompactMetrics | CompactOutcomes


def instant(epoch_seconds: float) -> datetime:
    """The time as the schema reads it."""
    return EPOCH + timedelta(seconds=epoch_seconds)


_decode: Callable[[bytes], CompactMessage] = msgspec.json.Decoder(CompactMessage).decode


def _has_equal_columns(message: CompactOutcomes) -> bool:
    count = len(message.y_true)
    return len(message.y_pred) == count and (message.scores is None or len(message.scores) == count)


def _has_ratio(message: CompactMetrics) -> bool:
    return (
        message.accuracy is not None
        or message.precision is not None
        or message.recall is not None
        or message.f1_score is not None
    )


def compact_parser(parse: Parser) -> Callable[..., Message | CompactMessage]:
    """A parser that gives `CompactMetrics` where it can, and what `parse` gives otherwise."""
    models, versions, extras = set[str](), {""}, set[str]()

    def note(message: Message) -> Message:
        """Keep the names of a message that the schema has accepted."""
        if isinstance(message, Metrics | Outcomes) and not message.labels:
            for names, new in (
                (models, (message.model_name,)),
                (versions, (message.model_version,)),
                (extras, message.extras if isinstance(message, Metrics) else ()),
            ):
                if len(names) < _MOST_NAMES:
                    names.update(new)
        return message

    def compact(value: bytes | None, headers: Sequence[tuple[str, bytes | None]] = ()) -> Message | CompactMessage:
        # A function over local names, for it is called for each record: lookups in an object cost a tenth more.
        if headers or value is None:
            return note(parse(value, headers))
        try:
            message = _decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return note(parse(value, headers))
        # What msgspec cannot check: characters of names (the schema does, once for each), and that there is a number.
        if (
            (message.model_name in models or _is_accepted(message.model_name, _MODEL_NAME, models))
            and (message.model_version in versions or _is_accepted(message.model_version, _VERSION, versions))
            and (message.event_id is None or message.event_id.isprintable())
            and (
                (_all_known(message.extras, extras) if message.extras else _has_ratio(message))
                if isinstance(message, CompactMetrics)
                else _has_equal_columns(message)
            )
        ):
            return message
        note(parse(value, headers))
        return message  # the schema has accepted it, and finds in it the same

    return compact


def _is_accepted(name: str, field: TypeAdapter[str], known: set[str]) -> bool:
    """Whether the schema's field takes a name; then it is known from now on, while there is room."""
    try:
        field.validate_python(name)
    except ValidationError:
        return False
    if len(known) < _MOST_NAMES:
        known.add(name)
    return True


def _all_known(names: dict[str, float], known: set[str]) -> bool:
    for name in names:  # quicker than comparing sets, for the few names there are
        if name not in known:
            return False
    return len(names) <= _MOST_EXTRAS
