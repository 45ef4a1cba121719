"""The quick way for the commonest records: `metrics` and `outcomes` messages decoded by msgspec into a compact form.

`Metrics` and `Outcomes` (pydantic) stay the schema. The quick way takes a record only if nothing about it is unusual,
and then with the same values; whatever it does not take goes to the schema's own parser, which accepts it or says what
is wrong. A property test holds the two together.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import chain
from operator import attrgetter, itemgetter
from typing import Annotated, NamedTuple

import msgspec

from schemas.fields import EARLIEST, EPOCH, INT64_MAX, LATEST, MAX_ITEMS, MAX_SCALAR_TEXT
from schemas.message import Message
from schemas.metrics import Metrics, Outcomes
from schemas.parse import Parser

Ratio = Annotated[float, msgspec.Meta(ge=0, le=1)]
Finite = Annotated[float, msgspec.Meta(ge=-sys.float_info.max, le=sys.float_info.max)]
EpochSeconds = Annotated[float, msgspec.Meta(ge=EARLIEST.timestamp(), lt=LATEST.timestamp())]

_Items = msgspec.Meta(min_length=1, max_length=MAX_ITEMS)
_Int64 = Annotated[int, msgspec.Meta(ge=-INT64_MAX - 1, le=INT64_MAX)]
_ScalarText = Annotated[str, msgspec.Meta(max_length=MAX_SCALAR_TEXT)]
ScalarList = Annotated[list[bool | _Int64 | Finite | _ScalarText], _Items]
FiniteList = Annotated[list[Finite], _Items]

#: Names that the schema has accepted are kept, up to this many, so that each is looked at character by character once.
_MOST_NAMES = 100_000

#: As in the schema.
_MOST_EXTRAS = 1_000


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


_decoder: msgspec.json.Decoder[CompactMessage] = msgspec.json.Decoder(CompactMessage)
_decode, _decode_lines = _decoder.decode, _decoder.decode_lines

_MODEL_NAME, _MODEL_VERSION = attrgetter("model_name"), attrgetter("model_version")
_EVENT_ID, _EXTRAS = attrgetter("event_id"), attrgetter("extras")

_FIRST, _LAST = itemgetter(0), itemgetter(-1)
_BRACE, _CLOSING_BRACE = set(b"{"), set(b"}")


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


class CompactParser(NamedTuple):
    """Two ways to the same messages; they share the names that the schema has accepted.

    `one(value, headers=())` decodes any record's value; it raises what the schema's parser raises. `many(values)` takes
    records without headers, a few hundred at most, and costs half as much for each; None where it cannot take them all.
    """

    one: Callable[..., Message | CompactMessage]
    many: Callable[[Sequence[bytes]], list[CompactMessage] | None]


def compact_parser(parse: Parser) -> CompactParser:
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

    def one(value: bytes | None, headers: Sequence[tuple[str, bytes | None]] = ()) -> Message | CompactMessage:
        # A function over local names, for it is called for each record: lookups in an object cost a tenth more.
        if headers or value is None:
            return note(parse(value, headers))
        try:
            message = _decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return note(parse(value, headers))
        # What msgspec cannot check: characters of names (seen before by the schema), and that there is a number.
        if (
            message.model_name in models
            and message.model_version in versions
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

    def many(values: Sequence[bytes]) -> list[CompactMessage] | None:
        messages = _decode_alike(values)
        # The same checks as above.
        if (
            messages is not None
            and models.issuperset(map(_MODEL_NAME, messages))
            and versions.issuperset(map(_MODEL_VERSION, messages))
            and "".join(filter(None, map(_EVENT_ID, messages))).isprintable()
            and _hold_together(messages, extras)
        ):
            return messages
        return None

    return CompactParser(one, many)


def _hold_together(messages: Sequence[CompactMessage], extras: set[str]) -> bool:
    """Whether each of the messages is one by the rules that span fields; `extras` are names that will do."""
    of_metrics = [message for message in messages if type(message) is CompactMetrics]
    if len(of_metrics) < len(messages):
        of_outcomes = (message for message in messages if isinstance(message, CompactOutcomes))
        if not all(map(_has_equal_columns, of_outcomes)):
            return False
    return (
        extras.issuperset(chain.from_iterable(map(_EXTRAS, of_metrics)))
        and max(map(len, map(_EXTRAS, of_metrics)), default=0) <= _MOST_EXTRAS
        and all(_has_ratio(message) for message in of_metrics if not message.extras)
    )


def _decode_alike(values: Sequence[bytes]) -> list[CompactMessage] | None:
    """Values decoded as the lines of one text; None if they are not one message each, as `_decode` takes them.

    An object cannot go on beyond the end of a value: what would have to follow in it is `}`, a line break and `{`,
    which is nowhere valid inside. So each value holds at least one message, and as many messages as values is one each.
    """
    text = b"\n".join(values)
    if text.count(b"\n") >= len(values) or b"" in values:
        return None
    if set(map(_FIRST, values)) != _BRACE or set(map(_LAST, values)) != _CLOSING_BRACE:
        return None
    try:
        messages = _decode_lines(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return messages if len(messages) == len(values) else None


def _all_known(names: dict[str, float], known: set[str]) -> bool:
    for name in names:  # quicker than comparing sets, for the few names there are
        if name not in known:
            return False
    return len(names) <= _MOST_EXTRAS
