"""Messages like one that was read before: what stands around their values is compared rather than read.

Who sends `metrics` sends them alike, to the byte, but for the values. So of a message that `scan_message` has read the
text around its values is kept as a template; another message that has the same text around values of the same sorts
says the same of the same fields, whatever the values are. What fits no template is read by `scan_message`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from schemas.columns.numbers import Doubles, Words
from schemas.columns.scan import (
    ID,
    MODEL,
    MOST_VALUES,
    TEXT_TIME,
    TIME_COLUMN,
    scan_column,
    scan_id,
    scan_text,
)
from schemas.columns.times import scan_text_time
from schemas.columns.words import MARGIN, Bytes, same_bytes, word_at
from schemas.kernel import bare, inlined
from schemas.metrics import RATIOS

#: Templates that are kept, and the bytes of one; a new one takes the place of the oldest.
MOST_TEMPLATES: Final = 8
_MOST_BYTES: Final = 1_024

#: What a template says of each of its pieces: how many bytes of its text come first, which value follows (`_END`: none,
#: the message ends), and of an extra where its name is in that text and how long. The first row is for the whole: how
#: many values, which ratios (a bit for each), how many extras, and the number that the template has for good.
_PIECES: Final = MOST_VALUES + 2
_END: Final = -1

#: Kinds that are remembered by template and model, and the upper bits of a hash by which they are found.
_REMEMBERED: Final = 2**17
_FACTOR, _SHIFT = np.uint64(0x9E3779B97F4A7C15), np.uint64(64 - 17)

#: A kind is remembered, plus one, below the bits of its template's number.
_KIND_BITS: Final = 32
_KIND: Final = 2**_KIND_BITS - 1


def no_templates() -> tuple[Any, Any, Any, Any]:
    """Texts, pieces, the kinds remembered, and the past.

    That is: by template the one that came after it, then which came last, how many there are, how many there ever were.
    """
    texts = np.zeros(MOST_TEMPLATES * _MOST_BYTES + MARGIN, np.uint8)
    pieces = np.zeros((MOST_TEMPLATES, _PIECES, 4), np.int64)
    return texts, pieces, np.zeros(_REMEMBERED, np.int64), np.zeros(MOST_TEMPLATES + 3, np.int64)


@bare
def learn(text: Bytes, at: int, end: int, spans: Any, found: Any, texts: Any, pieces: Any, past: Any) -> int:
    """Make a template of the message from `at` to before `end`, of which `scan_message` told this; −1 if it is long."""
    used = past[MOST_TEMPLATES + 1]
    number = past[MOST_TEMPLATES + 2] % MOST_TEMPLATES
    count, place = found[0, 0], number * _MOST_BYTES
    values = 0
    for piece in range(1, count + 1):
        values += found[piece, 2] - found[piece, 1]
    if end - at - values > _MOST_BYTES:
        return -1
    pieces[number, 0, 0], pieces[number, 0, 1], pieces[number, 0, 2] = count, spans[1], spans[0]
    pieces[number, 0, 3] = past[MOST_TEMPLATES + 2]
    for piece in range(1, count + 2):
        begin = found[piece, 1] if piece <= count else end
        pieces[number, piece, 0] = begin - at
        pieces[number, piece, 1] = found[piece, 0] if piece <= count else _END
        pieces[number, piece, 2], pieces[number, piece, 3] = found[piece, 3] - at, found[piece, 4] - found[piece, 3]
        for offset in range(begin - at):
            texts[place + offset] = text[at + offset]
        place += begin - at
        at = found[piece, 2] if piece <= count else end
    past[MOST_TEMPLATES + 1] = max(used, number + 1)
    past[MOST_TEMPLATES + 2] += 1
    return number


@inlined
def scan_value(text: Bytes, at: int, what: int, row: int, values: Words, floats: Doubles, spans: Any) -> int:
    """Read a value of this sort; where it ends, or −1."""
    if what <= TIME_COLUMN:
        return scan_column(text, at, values, floats, row, what)
    if what == TEXT_TIME:
        return scan_text_time(text, at, values, row, TIME_COLUMN)
    if what == ID:
        return scan_id(text, at)
    end = scan_text(text, at)
    if what == MODEL:
        spans[2], spans[3] = at, end
    else:
        spans[4], spans[5] = at, end
    return end


@inlined
def fits(
    text: Bytes, at: int, end: int, row: int, values: Words, floats: Doubles, spans: Any,
    number: int, texts: Any, pieces: Any,
) -> bool:  # fmt: skip
    """Read the message from `at` to before `end` if it is like a template. What is told is as of `scan_message`."""
    place = number * _MOST_BYTES
    spans[1], spans[0] = pieces[number, 0, 1], pieces[number, 0, 2]
    spans[4], spans[5] = 0, 0
    for piece in range(1, pieces[number, 0, 0] + 1):
        length, what = pieces[number, piece, 0], pieces[number, piece, 1]
        if not same_bytes(text, at, texts, place, length):
            return False
        if what >= len(RATIOS) and what < TIME_COLUMN:
            extra = what - len(RATIOS)
            spans[6 + 2 * extra] = at + pieces[number, piece, 2]
            spans[7 + 2 * extra] = at + pieces[number, piece, 2] + pieces[number, piece, 3]
        at += length
        place += length
        at = scan_value(text, at, what, row, values, floats, spans)
        if at < 0:
            return False
    length = pieces[number, pieces[number, 0, 0] + 1, 0]
    return at + length == end and same_bytes(text, at, texts, place, length)


@inlined
def slot_of(text: Bytes, spans: Any, number: int, pieces: Any) -> Any:
    """Where the kind of a message's model and version is remembered, for a template."""
    version = word_at(text, spans[5] - MARGIN) if spans[5] else np.uint64(0)
    found = version ^ np.uint64(spans[3] - spans[2] + (pieces[number, 0, 3] << 16))
    for at in range(spans[2], spans[3] - MARGIN, MARGIN):
        found = (found ^ word_at(text, at)) * _FACTOR
    return np.int64(((found ^ word_at(text, spans[3] - MARGIN)) * _FACTOR) >> _SHIFT)


@inlined
def remembered(slot: Any, number: int, pieces: Any, known: Any) -> Any:
    """The kind in a slot; −1 if there is none of this template."""
    return (known[slot] & _KIND) - 1 if known[slot] >> _KIND_BITS == pieces[number, 0, 3] else -1


@inlined
def remember(kind: int, slot: Any, number: int, pieces: Any, known: Any) -> None:
    """Put a kind into a slot; −1 puts none there."""
    known[slot] = pieces[number, 0, 3] << _KIND_BITS | kind + 1


@inlined
def is_kind(text: Bytes, spans: Any, kind: int, begins: Any, keys: Any) -> bool:
    """Whether a kind's key has a message's model and version. `spans` are as of `scan_message`."""
    at, of_model, of_version = begins[kind] + 2, spans[3] - spans[2], spans[5] - spans[4]
    if at + of_model + of_version + 2 > begins[kind + 1] or keys[at + of_model] != 0:
        return False
    if keys[at + of_model + 1 + of_version] != 0 or not same_bytes(text, spans[2], keys, at, of_model):
        return False
    return of_version == 0 or same_bytes(text, spans[4], keys, at + of_model + 1, of_version)
