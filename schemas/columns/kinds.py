"""Kinds of messages: those of one model and version with the same metrics, told apart by their bytes."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from schemas.columns.numbers import Doubles, Words
from schemas.columns.scan import FIELDS, MOST_VALUES, SPANS, TIME_COLUMN, VALUE_FIELDS, scan_message
from schemas.columns.templates import MOST_TEMPLATES, fits, is_kind, learn, remember, remembered, slot_of
from schemas.columns.words import MARGIN, Bytes
from schemas.kernel import bare, inlined, unlocked
from schemas.metrics import RATIOS

#: The longest key of a kind, in bytes.
MOST_BYTES: Final = 1_024

#: A kind is looked for in so many slots; then its messages are decoded one by one, whatever a producer names them.
_MOST_PROBES: Final = 64

#: Any number, and an odd one whose bits look random: 2⁶⁴ over the golden ratio.
_START, _FACTOR, _HALF = np.uint64(0xCBF29CE484222325), np.uint64(0x9E3779B97F4A7C15), np.uint64(32)


@bare
def put_text(text: Bytes, begin: int, end: int, key: Bytes, length: int) -> int:
    """Append a part of a text and a NUL, which no text holds; the new length, too great where it does not fit."""
    if length + end - begin >= MOST_BYTES:
        return MOST_BYTES
    for at in range(begin, end):
        key[length] = text[at]
        length += 1
    key[length] = 0
    return length + 1


@bare
def put_key(text: Bytes, spans: Any, key: Bytes) -> int:
    """The key of a message's kind (which ratios, how many extras, the names); its length as of `put_text`."""
    key[0], key[1] = spans[1], spans[0]
    length = put_text(text, spans[2], spans[3], key, 2)
    length = put_text(text, spans[4], spans[5], key, length)
    for extra in range(spans[0]):
        length = put_text(text, spans[6 + 2 * extra], spans[7 + 2 * extra], key, length)
    return length


@inlined
def past_text(key: Bytes, at: int) -> int:
    """Where the text after this one is in a key; the first is after two bytes."""
    while key[at] != 0:
        at += 1
    return at + 1


@inlined
def mixed(found: Any, word: Any) -> Any:
    """A hash with one more word in it; the shift brings what the product has in its upper half to where slots look."""
    found = (found ^ word) * _FACTOR
    return found ^ (found >> _HALF)


@inlined
def hash_of(key: Bytes, length: int) -> Any:
    """A hash of the first bytes of a key, eight at a time."""
    found, whole = _START, length - length % 8
    for at in range(0, whole, 8):
        word = np.uint64(0)
        for byte in range(8):
            word |= np.uint64(key[at + byte]) << np.uint64(8 * byte)
        found = mixed(found, word)
    for at in range(whole, length):
        found = mixed(found, np.uint64(key[at]))
    return found


@bare
def kind_of(key: Bytes, length: int, slots: Any, hashes: Words, begins: Any, keys: Bytes, used: Any) -> int:
    """The number of a kind, a new one if it is new; −1 where there is no room for it."""
    found = hash_of(key, length)
    slot: Any = np.int64(found % np.uint64(len(slots)))
    for _ in range(_MOST_PROBES):
        kind = slots[slot]
        if kind < 0:
            kind, end = used[0], begins[used[0]] + length
            if kind >= len(hashes) or end > len(keys) - MARGIN:
                return -1
            slots[slot], hashes[kind], begins[kind + 1] = kind, found, end
            for at in range(length):
                keys[begins[kind] + at] = key[at]
            used[0] += 1
            return kind
        if hashes[kind] == found and begins[kind + 1] - begins[kind] == length:
            same = True
            for at in range(length):
                if keys[begins[kind] + at] != key[at]:
                    same = False
                    break
            if same:
                return kind
        slot += 1
        if slot == len(slots):
            slot = 0
    return -1


@bare
def place_again(slots: Any, hashes: Words, used: Any) -> None:
    """Fill empty slots with the kinds there are."""
    for kind in range(used[0]):
        slot: Any = np.int64(hashes[kind] % np.uint64(len(slots)))
        while slots[slot] >= 0:
            slot += 1
            if slot == len(slots):
                slot = 0
        slots[slot] = kind


def no_notes() -> tuple[Any, Any, Any]:
    """What `scan_message` notes of a message: `spans`, `order` and `found`."""
    found = np.zeros((MOST_VALUES + 1, VALUE_FIELDS), np.int64)
    return np.zeros(SPANS, np.int64), np.zeros(len(FIELDS), np.int64), found


@unlocked
def scan_messages(
    text: Bytes, starts: Any, ends: Any, first: int, kinds: Any,
    row: Words, floats: Doubles, rows: Words, end_of_rows: int,
    slots: Any, hashes: Words, begins: Any, keys: Bytes, used: Any, key: Bytes,
    texts: Bytes, pieces: Any, known: Any, past: Any, spans: Any, order: Any, found: Any,
) -> int:  # fmt: skip
    """Read messages from each of `starts` to before its end, of which the first is the batch's number `first`.

    After each comes a byte that no message holds, and after the last `MARGIN` more. `kinds` gets the kind of each, or
    −1 for one that is to be decoded by itself. The time and the numbers of the others are put into `rows` one after the
    other, from `end_of_rows` on; where they end is returned. `row`, one of all columns, and `floats`, the same memory,
    are to work with. `texts` to `past` are of `no_templates`, the rest of `no_notes`.
    """
    for number in range(len(starts)):
        at, end = starts[number], ends[number]
        kinds[first + number] = -1
        expected = past[past[MOST_TEMPLATES]]
        like = -1
        for turn in range(-min(past[MOST_TEMPLATES + 1], 1), past[MOST_TEMPLATES + 1]):  # the one expected comes first
            template = expected if turn < 0 else turn
            if turn != expected and fits(text, at, end, 0, row, floats, spans, template, texts, pieces):
                like = template
                break
        if like < 0:
            if not scan_message(text, at, end, 0, row, floats, spans, order, found):
                continue
            like = learn(text, at, end, spans, found, texts, pieces, past)
        slot = kind = -1
        if like >= 0:
            past[past[MOST_TEMPLATES]] = like
            past[MOST_TEMPLATES] = like
            slot = slot_of(text, spans, like, pieces)
            kind = remembered(slot, like, pieces, known)
        if kind < 0 or not is_kind(text, spans, kind, begins, keys):
            length = put_key(text, spans, key)
            kind = kind_of(key, length, slots, hashes, begins, keys, used) if length < MOST_BYTES else -1
            if like >= 0:
                remember(kind, slot, like, pieces, known)
        kinds[first + number] = kind
        if kind >= 0:
            end_of_rows = put_row(row, spans, rows, end_of_rows)
    return end_of_rows


@inlined
def put_row(row: Words, spans: Any, rows: Words, end: int) -> int:
    """Append the time and the numbers of a message, whose `spans` are as of `scan_message`; the new end."""
    rows[end] = row[0, TIME_COLUMN]
    end += 1
    for ratio in range(len(RATIOS)):
        if spans[1] >> ratio & 1:
            rows[end] = row[0, ratio]
            end += 1
    for extra in range(spans[0]):
        rows[end] = row[0, len(RATIOS) + extra]
        end += 1
    return end


@bare
def gather(
    kinds: Any, rows: Words, begins: Any, keys: Bytes, counts: Any,
    present: Any, bounds: Any, places: Any, times: Any, columns: Words,
) -> int:  # fmt: skip
    """Put the rows of each kind together, in their order; returns how many kinds there are.

    `present` gets these kinds in the order of their first rows, `bounds` where each begins, and where the last ends,
    among what is put together: `places` (the messages' numbers), `times`, and `columns`, one row for each metric.
    Messages of no kind have no row and are left out. `counts`: zeros for each kind that is known, and again when done.
    """
    number = 0
    for place in range(len(kinds)):
        kind = kinds[place]
        if kind >= 0:
            if counts[kind] == 0:
                present[number] = kind
                number += 1
            counts[kind] += 1
    end = 0
    for at in range(number):
        bounds[at] = end
        end += counts[present[at]]
        counts[present[at]] = bounds[at]
    bounds[number] = end
    begin = 0
    for place in range(len(kinds)):
        kind = kinds[place]
        if kind >= 0:
            at = counts[kind]
            counts[kind] += 1
            places[at], times[at] = place, rows[begin]
            which: Any = keys[begins[kind]]
            width: Any = np.int64(keys[begins[kind] + 1])
            for ratio in range(len(RATIOS)):
                width += which >> ratio & 1
            for column in range(width):
                columns[column, at] = rows[begin + 1 + column]
            begin += 1 + width
    for at in range(number):
        counts[present[at]] = 0
    return number
