"""Lengths of time as people write them in settings: "20ms", "30s", "10m", "1h30m", or a number of seconds."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer

_UNITS_IN_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", re.ASCII)
_WHOLE = re.compile(rf"(?:{_PART.pattern}\s*)+", re.ASCII)
_PLAIN_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)

#: Longer ones are typing mistakes, and would leave the range of dates.
MAX_DURATION = timedelta(days=3650)

_EXPECTED = 'a duration such as "30s", "10m" or "1h30m" (units ms, s, m, h, d), or a number of seconds'


def parse_duration(value: object) -> timedelta:
    """The length of time that `value` means: a timedelta, a text with units, or a number of seconds.

    Raises ValueError, saying what was expected, for anything else, for negative ones and for more than ten years.
    """
    seconds = _seconds(value)
    if seconds is None:
        raise ValueError(f"expected {_EXPECTED}")
    if not 0 <= seconds <= MAX_DURATION.total_seconds():
        raise ValueError(f"expected a duration between 0s and {MAX_DURATION.days}d")
    return timedelta(seconds=seconds)


def _seconds(value: object) -> float | None:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if math.isfinite(value) else None
    if not isinstance(value, str) or len(value) > 100:
        return None
    text = value.strip()
    if _PLAIN_NUMBER.fullmatch(text):
        return float(text)
    if not _WHOLE.fullmatch(text):
        return None
    return sum(float(number) * _UNITS_IN_MS[unit] for number, unit in _PART.findall(text)) / 1_000


def format_duration(duration: timedelta) -> str:
    """The shortest text, to the millisecond, that `parse_duration` reads back: `timedelta(seconds=90)` is "1m30s"."""
    rest = round(duration / timedelta(milliseconds=1))
    parts = []
    for unit in ("d", "h", "m", "s", "ms"):
        count, rest = divmod(rest, _UNITS_IN_MS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    Field(json_schema_extra={"expected": "duration"}),
]
"""A pydantic field type: a timedelta of 0 or more, written as in settings."""

PositiveDuration = Annotated[
    Duration, Field(ge=timedelta(milliseconds=1), json_schema_extra={"expected": "duration above 0"})
]
"""A `Duration` of a millisecond or more."""
