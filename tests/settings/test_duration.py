"""Durations as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.duration import MAX_DURATION, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("20ms", 20),
        ("30s", 30_000),
        ("10m", 600_000),
        ("1h30m", 5_400_000),
        ("1h 30m", 5_400_000),
        ("7d", 604_800_000),
        ("1.5s", 1_500),
        ("0s", 0),
        ("45", 45_000),
        (45, 45_000),
        (0.25, 250),
    ],
)
def test_a_duration_is_a_text_with_units_or_a_number_of_seconds(text: object, milliseconds: int) -> None:
    assert parse_duration(text) == timedelta(milliseconds=milliseconds)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "10 m",
        "ten",
        "-1s",
        "1s-",
        "5y",
        "s",
        "1e3s",
        "٣s",
        "inf",
        "9999d",
        "9" * 200 + "s",
        True,
        None,
        [],
        -1,
        1e300,
        float("nan"),
        float("inf"),
    ],
)
def test_anything_else_is_refused_with_what_was_expected(value: object) -> None:
    with pytest.raises(ValueError, match=r"^expected a duration"):
        parse_duration(value)


@given(st.timedeltas(min_value=timedelta(0), max_value=MAX_DURATION))
def test_what_is_written_is_read_back_to_the_millisecond(duration: timedelta) -> None:
    whole = timedelta(milliseconds=round(duration / timedelta(milliseconds=1)))
    assert parse_duration(format_duration(duration)) == whole
