"""One `metrics` message in JSON, read by a kernel where nothing about it is unusual."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from schemas.columns.numbers import Doubles, Words, scan_number
from schemas.columns.times import scan_text_time, seconds_to_time
from schemas.columns.words import Bytes
from schemas.kernel import bare, inlined
from schemas.metrics import RATIOS

#: Columns of a batch: the ratios, as many extras, the time.
MOST_EXTRAS: Final = 11
TIME_COLUMN: Final = len(RATIOS) + MOST_EXTRAS
WIDTH: Final = TIME_COLUMN + 1

#: As in the schema, for an event's id.
_MOST_CHARACTERS: Final = 256

FIELDS: Final = (*RATIOS, "type", "model_name", "model_version", "timestamp", "event_id", "extras")
_TYPE, _MODEL, _VERSION, _TIME, _ID, _EXTRAS = range(len(RATIOS), len(FIELDS))
_NEEDED: Final = 1 << _TYPE | 1 << _MODEL | 1 << _TIME
_ALL_RATIOS: Final = (1 << len(RATIOS)) - 1

#: The fields' names one after the other, and where each begins.
FIELD_TEXT: Final = np.frombuffer("".join(FIELDS).encode(), np.uint8)
FIELD_BEGINS: Final = np.cumsum([0, *map(len, FIELDS)])
METRICS: Final = np.frombuffer(b"metrics", np.uint8)
NULL: Final = np.frombuffer(b"null", np.uint8)

#: What stands in a message where a column's number does not: the time as text, a name, a version, an id.
TEXT_TIME, MODEL, VERSION, ID = range(WIDTH, WIDTH + 4)

#: Values of a message at most, and what is told of each: what it is (a column, or one of the above), where it begins
#: and ends (of a text without its quotes), and of an extra where its name does.
MOST_VALUES: Final = WIDTH + 4
VALUE_FIELDS: Final = 5

#: The places that `scan_message` tells of.
SPANS: Final = 6 + 2 * MOST_EXTRAS

#: The bits of 1.0: those of a greater double are a greater number.
_BITS_OF_ONE: Final = np.float64(1.0).view(np.uint64)


@inlined
def skip_spaces(text: Bytes, at: int) -> int:
    """The first place from `at` on that is no space."""
    while text[at] == 32:
        at += 1
    return at


@inlined
def scan_text(text: Bytes, at: int) -> int:
    """The closing quote of a text that begins at `at`; −1 unless it is printable ASCII, and nothing escaped."""
    byte = text[at]
    while byte != 34:
        if byte < 32 or byte > 126 or byte == 92:
            return -1
        at += 1
        byte = text[at]
    return at


@inlined
def is_text(text: Bytes, begin: int, end: int, other: Bytes, first: int, last: int) -> bool:
    """Whether a part of one text is that of another."""
    if end - begin != last - first:
        return False
    for offset in range(end - begin):  # noqa: SIM110 - numba knows no generators
        if text[begin + offset] != other[first + offset]:
            return False
    return True


@inlined
def one_of(text: Bytes, begin: int, end: int, names: Bytes, begins: Any, expected: int) -> int:
    """The number of a name among others, where `expected` is looked at first; −1 if it is none of them.

    `names`: all of them one after the other; `begins`: where each begins, and the last ends.
    """
    for turn in range(-1, len(begins) - 1):
        number = expected if turn < 0 else turn
        if is_text(text, begin, end, names, begins[number], begins[number + 1]):
            return number
    return -1


@inlined
def field_of(text: Bytes, begin: int, end: int, expected: int) -> int:
    """The number of the field of this name, where `expected` is looked at first; −1 if there is none."""
    return one_of(text, begin, end, FIELD_TEXT, FIELD_BEGINS, expected)


@inlined
def past_colon(text: Bytes, at: int) -> int:
    """Where the value begins after a name whose closing quote is before `at`, or −1."""
    at = skip_spaces(text, at)
    return skip_spaces(text, at + 1) if text[at] == 58 else -1


@inlined
def scan_column(text: Bytes, at: int, values: Words, floats: Doubles, row: int, column: int) -> int:
    """Read a ratio, an extra or epoch seconds, as the column says; past its end, or −1."""
    at = scan_number(text, at, values, floats, row, column)
    if at < 0 or (column < len(RATIOS) and values[row, column] > _BITS_OF_ONE):
        return -1
    if column == TIME_COLUMN and not seconds_to_time(values, floats, row, TIME_COLUMN):
        return -1
    return at


@inlined
def scan_id(text: Bytes, at: int) -> int:
    """The closing quote of an event's id that begins at `at`, or −1."""
    end = scan_text(text, at)
    return end if end > at and end - at <= _MOST_CHARACTERS else -1


@inlined
def note_value(found: Any, what: int, begin: int, end: int, name: int, end_of_name: int) -> None:
    """Add to the values of a message, of which `found[0, 0]` says how many there are."""
    number = found[0, 0] + 1
    found[0, 0] = number
    found[number, 0], found[number, 1], found[number, 2] = what, begin, end
    found[number, 3], found[number, 4] = name, end_of_name


@inlined
def scan_extras(text: Bytes, at: int, values: Words, floats: Doubles, row: int, spans: Any, found: Any) -> int:
    """Read an object of numbers; past its end, or −1. `spans[6:]`: where names are; `spans[0]`: how many."""
    spans[0] = 0
    if text[at] != 123:
        return -1
    at = skip_spaces(text, at + 1)
    if text[at] == 125:
        return at + 1
    for extra in range(MOST_EXTRAS):
        begin = at + 1
        end = scan_text(text, begin) if text[at] == 34 else -1
        at = past_colon(text, end + 1) if end >= 0 else -1
        if at < 0:
            return -1
        first = at
        at = scan_number(text, at, values, floats, row, len(RATIOS) + extra)
        if at < 0:
            return -1
        note_value(found, len(RATIOS) + extra, first, at, begin, end)
        spans[6 + 2 * extra], spans[7 + 2 * extra] = begin, end
        spans[0] = extra + 1
        at = skip_spaces(text, at)
        if text[at] == 125:
            return at + 1
        if text[at] != 44:
            return -1
        at = skip_spaces(text, at + 1)
    return -1


@inlined
def scan_field(
    text: Bytes, at: int, field: int, row: int, values: Words, floats: Doubles, spans: Any, found: Any
) -> int:
    """Read the value of a field; past its end, or −1. What `scan_message` tells in `spans` and `found` is noted."""
    if field == _EXTRAS:
        return scan_extras(text, at, values, floats, row, spans, found)
    if text[at] == 110 and (field < len(RATIOS) or field == _ID):
        return at + 4 if is_text(text, at, at + 4, NULL, 0, 4) else -1
    begin, is_quoted = at, text[at] == 34
    if field < len(RATIOS) or (field == _TIME and not is_quoted):
        column = TIME_COLUMN if field == _TIME else field
        spans[1] |= 0 if field == _TIME else 1 << field
        end = scan_column(text, at, values, floats, row, column)
        note_value(found, column, begin, end, 0, 0)
        return end
    if not is_quoted:
        return -1
    begin += 1
    if field == _TIME:
        end, what = scan_text_time(text, begin, values, row, TIME_COLUMN), TEXT_TIME
    elif field == _ID:
        end, what = scan_id(text, begin), ID
    else:
        end, what = scan_text(text, begin), VERSION if field == _VERSION else MODEL
    if end < 0:
        return -1
    if field == _TYPE:
        return end + 1 if is_text(text, begin, end, METRICS, 0, len(METRICS)) else -1
    note_value(found, what, begin, end, 0, 0)
    if field == _MODEL:
        spans[2], spans[3] = begin, end
    elif field == _VERSION:
        spans[4], spans[5] = begin, end
    return end + 1


@bare
def scan_message(
    text: Bytes, at: int, end: int, row: int, values: Words, floats: Doubles, spans: Any, order: Any, found: Any
) -> bool:
    """Read the message from `at` to before `end`, a line break; False if there is anything unusual about it.

    Its time and numbers go into `values` at `row`; into `spans` how many extras it has, which ratios (a bit for each),
    and where its model's name begins and ends, that of its version, and those of its extras. `order`: the fields of
    the message before, to be expected again. `floats` is the same memory as `values`. `found` gets the values' places.
    """
    seen, count = 0, 0
    found[0, 0] = 0
    for slot in range(6):
        spans[slot] = 0
    if text[at] != 123:
        return False
    at = skip_spaces(text, at + 1)
    while True:
        begin = at + 1
        end_of_name = scan_text(text, begin) if text[at] == 34 else -1
        if end_of_name < 0 or count == len(FIELDS):
            return False
        at = past_colon(text, end_of_name + 1)
        field = field_of(text, begin, end_of_name, order[count])
        if at < 0 or field < 0 or seen >> field & 1:
            return False
        order[count] = field
        seen |= 1 << field
        count += 1
        at = scan_field(text, at, field, row, values, floats, spans, found)
        if at < 0:
            return False
        at = skip_spaces(text, at)
        if text[at] == 125:
            break
        if text[at] != 44:
            return False
        at = skip_spaces(text, at + 1)
    return skip_spaces(text, at + 1) == end and seen & _NEEDED == _NEEDED and spans[0] + spans[1] > 0
