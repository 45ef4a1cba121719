"""Parts that a series has beside its state, written with their names: sealed panes, and sums of what follows each."""

from __future__ import annotations

from typing import Any, Final

from agents.monitor.encoded.blocks import put_following
from agents.monitor.encoded.layout import HEAD_TRAILING, NAME_ENDS, PART_ENDS, SEALED, SERIES_NUMBER, Whole
from agents.monitor.encoded.msgpack import count_at, put_little_endian, put_number
from schemas.columns.numbers import Doubles, Words
from schemas.columns.words import Bytes, copy
from schemas.kernel import bare, inlined
from streams.panes import FOLLOWING, PANE

_FOLLOWING: Final = FOLLOWING[0]


@bare
def put_values(
    text: Bytes, begin: int, end: int, values: Doubles, out: Bytes, at: int, words: Words, doubles: Doubles
) -> int:
    """Write what a pane holds already, then more values."""
    at = copy(text, begin, end, out, at)
    for value in values:
        at = put_little_endian(out, at, value, words, doubles)
    return at


@bare
def seal(
    text: Bytes, places: Whole, size: int, pushed: int, opened: int, values: Doubles, sealed: Bytes, parts: Any,
    words: Words, doubles: Doubles,
) -> None:  # fmt: skip
    """Write the open pane, which these values fill, with its name: those of `state.panes_of` and `WindowHead._seal`."""
    at = put_number(sealed, _parts_end(places, parts), count_at(text, places[SERIES_NUMBER]), 4)
    at = put_number(sealed, at, slot_of(size, pushed // size, pushed % size // PANE), 4)
    end = put_values(text, places[HEAD_TRAILING] - opened, places[HEAD_TRAILING], values, sealed, at, words, doubles)
    _note_part(places, parts, at, end)


@bare
def put_following_part(
    text: Bytes, places: Whole, size: int, sealed: Bytes, parts: Any, words: Words, doubles: Doubles, rows: Any
) -> None:
    """Write what follows each pane of the block that ended, with its name."""
    at = put_number(sealed, _parts_end(places, parts), count_at(text, places[SERIES_NUMBER]), 4)
    sealed[at] = _FOLLOWING
    _note_part(places, parts, at + 1, put_following(rows, size, sealed, at + 1, words, doubles))


@inlined
def _parts_end(places: Whole, parts: Any) -> int:
    """Where the next part is written."""
    return parts[places[SEALED] - 1, PART_ENDS] if places[SEALED] else 0


@inlined
def _note_part(places: Whole, parts: Any, name_ends: int, ends: int) -> None:
    parts[places[SEALED], NAME_ENDS], parts[places[SEALED], PART_ENDS] = name_ends, ends
    places[SEALED] += 1


@inlined
def slot_of(size: int, block: int, number: int) -> int:
    """Where a pane of one of a window's blocks is among those of two: `streams.panes`."""
    return block % 2 * -(-size // PANE) + number
