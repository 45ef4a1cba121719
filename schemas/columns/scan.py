"""One `metrics` message in JSON, read by a kernel where nothing about it is unusual."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from schemas.columns.numbers import Bytes, Words, scan_number
from schemas.columns.times import scan_seconds, scan_text_time
from schemas.kernel import Kernel, inlined
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
def field_of(text: Bytes, begin: int, end: int, expected: int) -> int:
    """The number of the field of this name, where `expected` is looked at first; −1 if there is none."""
    for turn in range(-1, len(FIELD_BEGINS) - 1):
        field = expected if turn < 0 else turn
        if is_text(text, begin, end, FIELD_TEXT, FIELD_BEGINS[field], FIELD_BEGINS[field + 1]):
            return field
    return -1


@inlined
def past_colon(text: Bytes, at: int) -> int:
    """Where the value begins after a name whose closing quote is before `at`, or −1."""
    at = skip_spaces(text, at)
    return skip_spaces(text, at + 1) if text[at] == 58 else -1


@inlined
def scan_extras(text: Bytes, at: int, values: Words, row: int, spans: Any) -> int:
    """Read an object of numbers; past its end, or −1. `spans[4:]`: where names are; `spans[0]`: how many."""
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
        if at >= 0:
            at = scan_number(text, at, values, row, len(RATIOS) + extra)
        if at < 0:
            return -1
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
def scan_field(text: Bytes, at: int, field: int, row: int, values: Words, floats: Any, spans: Any) -> int:
    """Read the value of a field; past its end, or −1. What `scan_message` tells in `spans` is noted."""
    if field == _TIME:
        if text[at] != 34:
            return scan_seconds(text, at, values, floats, row, TIME_COLUMN)
        end = scan_text_time(text, at + 1, values, row, TIME_COLUMN)
        return end + 1 if end >= 0 else -1
    if field == _EXTRAS:
        return scan_extras(text, at, values, row, spans)
    if text[at] == 110 and (field < len(RATIOS) or field == _ID):
        return at + 4 if is_text(text, at, at + 4, NULL, 0, 4) else -1
    if field < len(RATIOS):
        spans[1] |= 1 << field
        at = scan_number(text, at, values, row, field)
        return at if at >= 0 and values[row, field] <= _BITS_OF_ONE else -1
    begin = at + 1
    end = scan_text(text, begin) if text[at] == 34 else -1
    if end < 0:
        return -1
    if field == _MODEL:
        spans[2], spans[3] = begin, end
    elif field == _VERSION:
        spans[4], spans[5] = begin, end
    elif field == _ID:
        if end == begin or end - begin > _MOST_CHARACTERS:
            return -1
    elif not is_text(text, begin, end, METRICS, 0, len(METRICS)):
        return -1
    return end + 1


@Kernel
def scan_message(text: Bytes, at: int, end: int, row: int, values: Words, floats: Any, spans: Any, order: Any) -> bool:
    """Read the message from `at` to before `end`, a line break; False if there is anything unusual about it.

    Its time and numbers go into `values` at `row`; into `spans` how many extras it has, which ratios (a bit for each),
    and where its model's name begins and ends, that of its version, and those of its extras. `order`: the fields of
    the message before, to be expected again. `floats` is the same memory as `values`.
    """
    seen, count = 0, 0
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
        at = scan_field(text, at, field, row, values, floats, spans)
        if at < 0:
            return False
        at = skip_spaces(text, at)
        if text[at] == 125:
            break
        if text[at] != 44:
            return False
        at = skip_spaces(text, at + 1)
    return skip_spaces(text, at + 1) == end and seen & _NEEDED == _NEEDED and spans[0] + spans[1] > 0
