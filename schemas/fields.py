"""The constrained types that message fields are made of.

JSON types are taken literally: a number is never read from a string or from a boolean, and NaN and the infinities are
not numbers. Lengths are bounded, so that no message makes a consumer's state grow without limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainValidator, Strict, StringConstraints, WithJsonSchema, WrapValidator
from pydantic_core import PydanticCustomError

NO_CONTROL = r"^[^\x00-\x1f\x7f-\x9f]*$"
NO_CONTROL_NO_SEPARATOR = r"^[^\x00-\x1f\x7f-\x9f/@]*$"

INT64_MAX = 2**63 - 1
UINT64_MAX = 2**64 - 1
MAX_ITEMS = 100_000
MAX_TEXT = 10_000
MAX_SCALAR_TEXT = 1_000

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)

_EARLIEST_SECONDS = EARLIEST.timestamp()
_LATEST_SECONDS = LATEST.timestamp()
_LAST = LATEST - timedelta(microseconds=1)
_INSTANT = "an RFC 3339 time with offset or epoch seconds, from 2000-01-01 to 2100-01-01"
_SCALAR = f"a finite number, a 64-bit integer, a boolean or a string of at most {MAX_SCALAR_TEXT} characters"

# The separators of an RFC 3339 time in UTC, without and with fractions of a second.
_USUAL = {"--T::ZZ", "--T::.Z"}
_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def described(value: object) -> str:
    """A short, one-line picture of a rejected value; at most some 70 characters, whatever the value's size."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if abs(value) <= UINT64_MAX else "an integer beyond 64 bits"
    if isinstance(value, float):
        return str(value) if math.isfinite(value) else _NOT_FINITE[str(value)]
    if isinstance(value, str):
        return repr(value) if len(value) <= 40 else f"{value[:40]!r}… ({len(value)} characters)"
    if isinstance(value, list):
        return f"a list of {len(value)} items"
    if isinstance(value, dict):
        return "an object"
    return f"a {type(value).__name__}"


def rejected(expected: str, got: str, at: str | int = "") -> PydanticCustomError:
    """The error a validator raises: what was expected, what came, and `at` which field or index, if not the whole."""
    return PydanticCustomError(
        "rejected", "expected {expected}, got {got}", {"expected": expected, "got": got, "at": at}
    )


def _instant(value: Any, handler: Callable[[Any], datetime]) -> datetime:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        # The comparison is false for NaN too; beyond the range `timedelta` could overflow. It rounds to microseconds,
        # which may be up to the end of the range, and what is written there must be a message again.
        if _EARLIEST_SECONDS <= value < _LATEST_SECONDS:
            return min(EPOCH + timedelta(seconds=value), _LAST)
        raise rejected(_INSTANT, described(value))
    if isinstance(value, str):
        moment = _utc_text(value) or _time_text(value, handler)
    else:
        moment = value if isinstance(value, datetime) else None
    if moment is None or moment.utcoffset() is None or not EARLIEST <= moment < LATEST:
        raise rejected(_INSTANT, described(value if moment is None else str(value)))
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


def _utc_text(value: str) -> datetime | None:
    """The usual form, `2024-05-06T07:08:09.123Z`, by the quicker way; None for any other."""
    if len(value) < 20 or f"{value[4]}{value[7]}{value[10]}{value[13]}{value[16]}{value[19]}{value[-1]}" not in _USUAL:
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def _time_text(value: str, handler: Callable[[Any], datetime]) -> datetime | None:
    # pydantic also reads bare dates and numbers in strings; an RFC 3339 time has its separator at index 10.
    return handler(value) if len(value) >= 20 and value[10] in "Tt " else None


def at_most(entries: int) -> BeforeValidator:
    """Refuses a larger dict before its entries are looked at: each bad one of 600,000 would be an error of its own."""

    def check(value: Any) -> Any:
        if isinstance(value, dict) and len(value) > entries:
            raise rejected(f"an object of at most {entries} entries", str(len(value)))
        return value

    return BeforeValidator(check)


def _is_scalar(value: Any) -> bool:
    kind = type(value)
    if kind is float:
        return math.isfinite(value)
    if kind is int:
        return bool(-INT64_MAX - 1 <= value <= INT64_MAX)
    return kind is bool or (kind is str and len(value) <= MAX_SCALAR_TEXT)


def _scalar(value: Any) -> Any:
    if not _is_scalar(value):
        raise rejected(_SCALAR, described(value))
    return value


def _scalar_or_none(value: Any) -> Any:
    return None if value is None else _scalar(value)


def _scalars(value: Any) -> Any:
    # By hand, for a pydantic union costs some 0.3 µs an item and one message may bring 100,000.
    if not isinstance(value, list):
        raise rejected("a list", described(value))
    if not 1 <= len(value) <= MAX_ITEMS:
        raise rejected(f"a list of 1 to {MAX_ITEMS} items", described(value))
    if not _are_all_scalars(value):
        for index, item in enumerate(value):
            if not _is_scalar(item):
                raise rejected(_SCALAR, described(item), index)
    return value


def _are_all_scalars(items: list[Any]) -> bool:
    """Whether it is plain at a glance that all `items` are scalars; for columns of one type, at the speed of C."""
    kinds = set(map(type, items))
    if kinds <= {int, bool}:
        return bool(min(items) >= -INT64_MAX - 1 and max(items) <= INT64_MAX)
    if kinds == {float}:
        return all(map(math.isfinite, items))
    return kinds == {str} and max(map(len, items)) <= MAX_SCALAR_TEXT


_SCALAR_SCHEMA: dict[str, Any] = {
    "type": ["number", "string", "boolean"],
    "maxLength": MAX_SCALAR_TEXT,
    "expected": _SCALAR,
}
_SCALAR_OR_NONE_SCHEMA: dict[str, Any] = {
    "type": ["number", "string", "boolean", "null"],
    "maxLength": MAX_SCALAR_TEXT,
    "expected": f"{_SCALAR}, or null",
}
_SCALARS_SCHEMA: dict[str, Any] = {"type": "array", "items": _SCALAR_SCHEMA, "minItems": 1, "maxItems": MAX_ITEMS}

# Numbers.
Finite = Annotated[float, Field(allow_inf_nan=False)]
Ratio = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Integer = Annotated[int, Field(ge=-INT64_MAX - 1, le=INT64_MAX)]
Count = Annotated[int, Field(ge=0, le=INT64_MAX)]

# Texts.
ModelName = Annotated[str, StringConstraints(min_length=1, max_length=249, pattern=NO_CONTROL)]
OptionalModelName = Annotated[str, StringConstraints(max_length=249, pattern=NO_CONTROL)]
VersionText = Annotated[str, StringConstraints(max_length=128, pattern=NO_CONTROL)]
# In a key of the models topic, NAME/VERSION or NAME@ALIAS: without the separators a key is read in one way only.
KeyPart = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=NO_CONTROL_NO_SEPARATOR)]
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=NO_CONTROL)]
OptionalIdentifier = Annotated[str, StringConstraints(max_length=256, pattern=NO_CONTROL)]
# The topic a record was in; of a bare file its name, which may be a long path.
Source = Annotated[str, StringConstraints(min_length=1, max_length=1_000, pattern=NO_CONTROL)]
Text = Annotated[str, StringConstraints(max_length=MAX_TEXT)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]

# Times: UTC inside; RFC 3339 with offset or epoch seconds on input.
Instant = Annotated[
    datetime,
    Strict(False),
    WrapValidator(_instant),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "number"}], "expected": _INSTANT}),
]

# Values of any simple JSON type: a class label, a hyperparameter.
Scalar = Annotated[bool | int | float | str, PlainValidator(_scalar), WithJsonSchema(_SCALAR_SCHEMA)]
ScalarOrNone = Annotated[
    bool | int | float | str | None, PlainValidator(_scalar_or_none), WithJsonSchema(_SCALAR_OR_NONE_SCHEMA)
]

# Collections.
Scalars = Annotated[list[bool | int | float | str], PlainValidator(_scalars), WithJsonSchema(_SCALARS_SCHEMA)]
FiniteList = Annotated[list[Finite], Field(min_length=1, max_length=MAX_ITEMS, fail_fast=True)]
InstantList = Annotated[list[Instant], Field(min_length=1, max_length=MAX_ITEMS, fail_fast=True)]
IdentifierList = Annotated[list[Identifier], Field(max_length=1_000, fail_fast=True)]
Labels = Annotated[
    dict[
        Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=NO_CONTROL)],
        Annotated[str, StringConstraints(max_length=256, pattern=NO_CONTROL)],
    ],
    Field(max_length=32),
    at_most(32),
]
# Shorter than an identifier, for a rule's metric is `extras.NAME`.
MetricName = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=NO_CONTROL)]
NumbersByName = Annotated[dict[MetricName, Finite], Field(max_length=1_000), at_most(1_000)]
CountsByName = Annotated[dict[Identifier, Count], Field(max_length=1_000), at_most(1_000)]
Params = Annotated[dict[Identifier, ScalarOrNone], Field(max_length=1_000), at_most(1_000)]
