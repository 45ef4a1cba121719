"""Event times in JSON, epoch seconds or RFC 3339 in UTC, to microseconds since the epoch."""

from __future__ import annotations

from typing import Final

import numpy as np

from schemas.columns.numbers import Doubles, Words
from schemas.columns.words import Bytes
from schemas.fields import EARLIEST, LATEST
from schemas.kernel import bare, inlined

FIRST_SECOND: Final = EARLIEST.timestamp()

#: Not quite the end of the range: what would be rounded up to that is left to the schema.
END_SECOND: Final = LATEST.timestamp() - 1e-6

#: Digits of a fraction of a second that count, as in `datetime.fromisoformat`.
_MOST_DIGITS: Final = 6

#: Added to a smaller number it leaves no digits after the point: the nearest whole, ties to even.
_TO_WHOLE: Final = 2.0**52

MONTHS: Final = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


@inlined
def two_digits(text: Bytes, at: int) -> int:
    """A number of two digits; −1 where there are none."""
    if text[at] < 48 or text[at] > 57 or text[at + 1] < 48 or text[at + 1] > 57:
        return -1
    return (int(text[at]) - 48) * 10 + int(text[at + 1]) - 48


@bare
def days_before(year: int, month: int, day: int) -> int:
    """Days from the epoch to a date; −1 for none of 2000 to 2099, in which every fourth year is a leap year."""
    if year < 2000 or year > 2099 or month < 1 or month > 12:
        return -1
    leap = year % 4 == 0
    length = MONTHS[month - 1] + (1 if leap and month == 2 else 0)
    if day < 1 or day > length:
        return -1
    days = 10_957 + (year - 2000) * 365 + (year - 1997) // 4 + day - 1
    for earlier in range(month - 1):
        days += MONTHS[earlier] + (1 if leap and earlier == 1 else 0)
    return days


@inlined
def scan_date_and_time(text: Bytes, at: int) -> int:
    """Seconds since the epoch of `2024-05-06T07:08:09`, whose first digit is at `at`; −1 if that is not there."""
    for place in range(at, at + 19):  # so that none of the places below lies beyond the message
        if text[place] < 45 or text[place] > 84:
            return -1
    separators = text[at + 4] == 45 and text[at + 7] == 45 and text[at + 10] == 84
    if not separators or text[at + 13] != 58 or text[at + 16] != 58:
        return -1
    century, rest = two_digits(text, at), two_digits(text, at + 2)
    month, day = two_digits(text, at + 5), two_digits(text, at + 8)
    hour, minute, second = two_digits(text, at + 11), two_digits(text, at + 14), two_digits(text, at + 17)
    days = days_before(century * 100 + rest, month, day) if century >= 0 and rest >= 0 else -1
    if days < 0 or hour < 0 or hour > 23 or minute < 0 or minute > 59 or second < 0 or second > 59:
        return -1
    return ((days * 24 + hour) * 60 + minute) * 60 + second


@inlined
def end_of_zone(text: Bytes, at: int) -> int:
    """Past `Z` or `+00:00`; −1 if neither is at `at`."""
    if text[at] == 90:
        return at + 1
    if text[at] != 43:
        return -1
    for place in range(at + 1, at + 6):
        if text[place] != (58 if place == at + 3 else 48):
            return -1
    return at + 6


@inlined
def scan_text_time(text: Bytes, at: int, found: Words, row: int, column: int) -> int:
    """Read `2024-05-06T07:08:09.123Z`, whose first digit is at `at`; where the closing quote is, or −1."""
    seconds = scan_date_and_time(text, at)
    if seconds < 0:
        return -1
    at += 19
    fraction, digits = 0, 0
    if text[at] == 46:
        at += 1
        while text[at] >= 48 and text[at] <= 57:
            if digits < _MOST_DIGITS:
                fraction = fraction * 10 + text[at] - 48
                digits += 1
            at += 1
        if digits == 0:
            return -1
        for _ in range(digits, _MOST_DIGITS):
            fraction *= 10
    at = end_of_zone(text, at)
    if at < 0 or text[at] != 34:
        return -1
    found[row, column] = seconds * 1_000_000 + fraction
    return at


@inlined
def seconds_to_time(found: Words, floats: Doubles, row: int, column: int) -> bool:
    """Make epoch seconds in `floats` microseconds, rounded as `timedelta` does; False where they are out of range.

    `found` is the same memory as `floats`, and has them then.
    """
    seconds = floats[row, column]
    if not (FIRST_SECOND <= seconds < END_SECOND):
        return False
    whole = np.int64(seconds)
    fraction = (seconds - np.float64(whole)) * 1e6
    found[row, column] = whole * 1_000_000 + np.int64((fraction + _TO_WHOLE) - _TO_WHOLE)
    return True
