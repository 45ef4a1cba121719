"""One series (`agents.monitor.state.Series`) taking in a few values as it is written, by kernels.

What is left is byte for byte what `agents.monitor.quick` and `streams.windows.CountWindow` leave, whose arithmetic is
in `calm` and `blocks` once more, for numba. Where any of them would have more to do, the answer is −1.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from agents.monitor.encoded.blocks import LARGEST_BLOCK, gather, next_level, put_next
from agents.monitor.encoded.calm import is_calm
from agents.monitor.encoded.layout import (
    BLOCK_BEGIN,
    BLOCK_END,
    HEAD_AFTER,
    HEAD_LEVEL,
    HEAD_OPEN,
    HEAD_PUSHED,
    HEAD_SIZE,
    HEAD_TRAILING,
    IS_MEASURED,
    LAST_LEVEL,
    MOST,
    PANE_BEGIN,
    PANE_BYTES,
    PANE_END,
    PHASE,
    PLACE,
    SERIES,
    SERIES_END,
    SERIES_NUMBER,
    SEVERAL,
    SIZE,
    SLOT,
    SQUARES,
    TIMES,
    TOTAL,
    UNREAD,
    VALUE_BYTES,
    WANTED,
    WATCHED,
    WRITTEN,
    Whole,
)
from agents.monitor.encoded.msgpack import (
    BYTES_OF_DOUBLE,
    NIL,
    after_bytes,
    after_count,
    after_double,
    after_text,
    after_value,
    count_at,
    double_at,
    length_at,
    little_endian_at,
    put_bytes_header,
    put_count,
    put_double,
    put_word,
)
from agents.monitor.encoded.sealing import put_following_part, put_values, seal, slot_of
from agents.monitor.state import Series
from agents.monitor.times import MARKS
from schemas.columns.numbers import Doubles, Words
from schemas.columns.words import Bytes, copy, word_at
from schemas.kernel import bare, inlined
from streams.panes import PANE, WindowHead

_SERIES: Final = 0x90 + len(Series.__struct_fields__)
_HEAD: Final = 0x90 + len(WindowHead.__struct_fields__)
#: Of so many bytes.
_HEADER: Final = 3


@bare
def read_series(text: Bytes, at: int, end: int, places: Whole) -> int:
    """Note where the parts of a series are; past it, or −1 where it is none by count."""
    if end - at < 2 or text[at] != _SERIES or text[at + 1] != _HEAD:
        return -1
    places[HEAD_SIZE] = at + 2
    places[HEAD_PUSHED] = at = after_count(text, at + 2, end)
    places[HEAD_LEVEL] = at = after_count(text, at, end)
    for _ in range(3):
        at = after_double(text, at, end)
    places[HEAD_OPEN] = at
    places[HEAD_TRAILING] = at = after_bytes(text, at, end)
    places[HEAD_AFTER] = at = after_bytes(text, at, end)
    if at - places[HEAD_TRAILING] > _HEADER + PANE_BYTES:
        return -1
    for _ in range(2):
        at = after_double(text, at, end)
    places[SERIES_NUMBER] = at
    for _ in range(2):  # that and its base
        at = after_count(text, at, end)
    places[WATCHED] = at
    places[PHASE] = at = after_text(text, at, end)
    at = after_text(text, at, end)
    for _ in range(3):  # calm, level, detector
        at = after_value(text, at, end)
    places[TIMES] = at
    at = after_bytes(text, at, end)
    if at < 0 or at >= end or text[at] != NIL:
        return -1
    places[SERIES_END] = at + 1
    return at + 1


@bare
def step_series(
    text: Bytes, places: Whole, asked: Whole, limits: Doubles, values: Doubles, times: Whole, panes: Bytes, span: Whole,
    sealed: Bytes, parts: Any, wanted: Any, out: Bytes, at: int, words: Words, doubles: Doubles, sums: Doubles,
    rows: Any,
) -> int:  # fmt: skip
    """Write all that is not yet up to and into this series, with the values taken in; −1 where more is to be done.

    Where another pane is to leave it next, `panes` has it, and then the sums of what follows it; where a block begins
    among the values, the sealed panes of the one before. `span` tells where; an end of 0: not there. Then the answer is
    `UNREAD`, with a row or two in `wanted`.
    """
    size, pushed, count = count_at(text, places[HEAD_SIZE]), count_at(text, places[HEAD_PUSHED]), len(values)
    opened = length_at(text, places[HEAD_OPEN])
    # What is watched tells the size, but a damaged state may have another: 0, by which nothing can be divided.
    if size != asked[SIZE] or pushed == 0:
        return -1
    if opened != pushed % size % PANE * VALUE_BYTES or count_at(text, places[SERIES_NUMBER]) >> 32:
        return -1  # damaged: no part has such a name
    place = (pushed - 1) % size + 1
    over = place + count - size  # so many values are the next block's
    here = count - max(over, 0)
    if over > 0 and not MOST < size <= LARGEST_BLOCK:
        return -1
    turn = _turn(size, place, pushed, here) if asked[IS_MEASURED] else 0
    if _wants(text, places, size, pushed, turn, over, span, wanted):
        return UNREAD
    if not _take(
        text, places, size, pushed, opened, asked, limits, values, here, turn, panes, span, words, doubles, sums, rows
    ):
        return -1
    at = _put_head(text, places, size, pushed, opened, values, over, sealed, parts, out, at, words, doubles, sums)
    if over > 0:
        put_following_part(text, places, size, sealed, parts, words, doubles, rows)
    if not asked[IS_MEASURED]:
        places[WRITTEN] = places[HEAD_AFTER]
        return put_bytes_header(out, at, 0)
    at = _put_leaving(text, places, size, pushed, over, turn, panes, span, out, at, words, doubles, rows)
    return _put_times(text, places, size, pushed, times, out, at)


@bare
def _take(
    text: Bytes, places: Whole, size: int, pushed: int, opened: int, asked: Whole, limits: Doubles, values: Doubles,
    here: int, turn: int, panes: Bytes, span: Whole, words: Words, doubles: Doubles, sums: Doubles, rows: Any,
) -> bool:  # fmt: skip
    """Take the values into the sums; false where something is to be said of one, or a block they end is damaged."""
    begin = places[HEAD_LEVEL]
    level = double_at(text, begin, words, doubles)
    sums[TOTAL] = double_at(text, begin + BYTES_OF_DOUBLE, words, doubles)
    sums[SQUARES] = double_at(text, begin + 2 * BYTES_OF_DOUBLE, words, doubles)
    sums[LAST_LEVEL] = level
    if here < len(values) and not _end_block(
        text, places, size, opened, values[:here], panes, span, words, doubles, sums, rows
    ):
        return False
    if asked[IS_MEASURED]:
        return is_calm(
            text, places, size, pushed, level, asked, limits, values, here, turn, panes, span, words, doubles, sums,
            rows,
        )  # fmt: skip
    _add(values, here, level, sums)
    return True


@bare
def _end_block(
    text: Bytes, places: Whole, size: int, opened: int, values: Doubles, panes: Bytes, span: Whole, words: Words,
    doubles: Doubles, sums: Doubles, rows: Any,
) -> bool:  # fmt: skip
    """Put the block together that these values complete, and have what the next needs; false where it is damaged."""
    begin, end, last = span[BLOCK_BEGIN], span[BLOCK_END], places[HEAD_TRAILING]
    if end - begin + opened + len(values) * VALUE_BYTES != size * VALUE_BYTES:
        return False
    if not gather(panes, begin, end, text, last - opened, last, values, rows, words, doubles):
        return False
    sums[LAST_LEVEL] = next_level(rows, size)
    return True


@bare
def _put_head(
    text: Bytes, places: Whole, size: int, pushed: int, opened: int, values: Doubles, over: int, sealed: Bytes,
    parts: Any, out: Bytes, at: int, words: Words, doubles: Doubles, sums: Doubles,
) -> int:  # fmt: skip
    """Write all that is not yet up to and into the window, with its open pane; `opened` are the bytes of the former."""
    first, here = 0, len(values) - max(over, 0)
    at = copy(text, places[WRITTEN], places[HEAD_PUSHED], out, at)
    at = put_count(out, at, pushed + len(values))
    at = put_double(out, at, sums[LAST_LEVEL], words, doubles)
    at = put_double(out, at, sums[TOTAL], words, doubles)
    at = put_double(out, at, sums[SQUARES], words, doubles)
    while opened + VALUE_BYTES * (here - first) >= PANE_BYTES or (over >= 0 and first < here):
        some = min(PANE - opened // VALUE_BYTES, here - first)
        new = values[first : first + some]
        seal(text, places, size, pushed + first, opened, new, sealed, parts, words, doubles)
        first, opened = first + some, 0
    at = put_bytes_header(out, at, opened + VALUE_BYTES * (len(values) - first))
    return put_values(
        text, places[HEAD_TRAILING] - opened, places[HEAD_TRAILING], values[first:], out, at, words, doubles
    )


@inlined
def _add(values: Doubles, here: int, level: float, sums: Doubles) -> None:
    """As `CountWindow.extend`."""
    for at in range(len(values)):
        if at == here:
            level, sums[TOTAL], sums[SQUARES] = sums[LAST_LEVEL], 0.0, 0.0
        deviation = values[at] - level
        sums[TOTAL] += deviation
        sums[SQUARES] += deviation * deviation


@inlined
def _turn(size: int, place: int, pushed: int, count: int) -> int:
    """After how many of the values another pane of a full window is to leave next, and must be read; 0: after none."""
    turn = PANE - 1 - place % PANE
    return turn if pushed >= size and 0 < turn <= count and place + turn + 1 < size else 0


@bare
def _wants(text: Bytes, places: Whole, size: int, pushed: int, turn: int, over: int, span: Whole, wanted: Any) -> bool:
    """Ask for panes that were not given: as `streams.panes.load_trailing`, and those sealed of a block that ends."""
    before, number = places[WANTED], (pushed % size + turn + 1) // PANE
    if turn and not span[PANE_END]:
        _want(text, places, slot_of(size, pushed // size - 1, number), number, 0, wanted)
    block, place = (pushed - 1) // size, (pushed - 1) % size + 1
    several = -(-size // PANE) if place == size else place // PANE
    if over > 0 and several and not span[BLOCK_END]:
        _want(text, places, slot_of(size, block, 0), 0, several, wanted)
    return bool(places[WANTED] > before)


@bare
def _want(text: Bytes, places: Whole, slot: int, number: int, several: int, wanted: Any) -> None:
    row = places[WANTED]
    wanted[row, SERIES] = count_at(text, places[SERIES_NUMBER])
    wanted[row, SLOT], wanted[row, PLACE], wanted[row, SEVERAL] = slot, number, several
    places[WANTED] += 1


@bare
def _put_leaving(
    text: Bytes, places: Whole, size: int, pushed: int, over: int, turn: int, panes: Bytes, span: Whole, out: Bytes,
    at: int, words: Words, doubles: Doubles, rows: Any,
) -> int:  # fmt: skip
    """Write what is to leave the window next, where that is not what it was."""
    places[WRITTEN] = places[HEAD_TRAILING]
    is_last = over == -1 and pushed >= size  # of its block the next value is, with which nothing leaves
    if over >= 0 or is_last:
        at = put_next(rows, size, max(over, 0), out, at, words, doubles)
    elif turn:
        at = _put_trailing(panes, span[PANE_BEGIN], span[PANE_END], out, at, words, doubles)
    else:
        return at
    places[WRITTEN] = places[HEAD_AFTER] + 2 * BYTES_OF_DOUBLE
    return at


@bare
def _put_trailing(panes: Bytes, begin: int, end: int, out: Bytes, at: int, words: Words, doubles: Doubles) -> int:
    """Write the pane that was read and the sums of what follows it."""
    at = copy(panes, begin, end, out, put_bytes_header(out, at, end - begin))
    at = put_double(out, at, little_endian_at(panes, end, words, doubles), words, doubles)
    return put_double(out, at, little_endian_at(panes, end + VALUE_BYTES, words, doubles), words, doubles)


@bare
def _put_times(text: Bytes, places: Whole, size: int, begin: int, times: Whole, out: Bytes, at: int) -> int:
    """Write all up to the times of marked values, and these, if one from number `begin` on is to be marked.

    As `Times.after` and `Times.encode`; `times` are those of the values to come. −1 where those before are damaged.
    """
    stride = max(size // MARKS, 1)
    new, end = -(-begin // stride), -(-(begin + len(times)) // stride)
    if new == end:
        return at
    if length_at(text, places[TIMES]) % VALUE_BYTES:
        return -1
    known = length_at(text, places[TIMES]) // VALUE_BYTES - 1
    first: Any = np.int64(word_at(text, places[SERIES_END] - 1 - VALUE_BYTES * (known + 1))) if known > 0 else 0
    if known <= 0 or first + known != new:
        first, known = new, 0
    kept = max(first, end - 1 - -(-(size - 1) // stride))
    at = copy(text, places[WRITTEN], places[TIMES], out, at)
    at = put_bytes_header(out, at, VALUE_BYTES * (1 + end - kept))
    at = put_word(out, at, np.uint64(kept))
    for mark in range(kept, min(new, end)):
        at = put_word(out, at, word_at(text, places[SERIES_END] - 1 - VALUE_BYTES * (new - mark)))
    for mark in range(max(kept, new), end):
        at = put_word(out, at, np.uint64(times[mark * stride - begin]))
    places[WRITTEN] = places[SERIES_END] - 1
    return at
