"""One series (`agents.monitor.state.Series`) taking in a few values as it is written, by kernels.

What is left is byte for byte what `agents.monitor.quick` leaves: the arithmetic of `streams.panes.WindowHead` and of
`agents.drift.ZScore` is here once more, for numba. Where any of them would have more to do, the answer is −1.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from agents.drift.z_score import CONSTANT
from agents.monitor.encoded.msgpack import (
    BYTES_OF_DOUBLE,
    NIL,
    after_bytes,
    after_count,
    after_double,
    after_text,
    after_value,
    bytes_at,
    copy,
    count_at,
    double_at,
    length_at,
    little_endian_at,
    put_bytes_header,
    put_count,
    put_double,
    put_little_endian,
    put_number,
    put_word,
)
from agents.monitor.state import Series
from agents.monitor.times import MARKS
from schemas.columns.numbers import Doubles, Words
from schemas.columns.scan import is_text
from schemas.columns.words import Bytes, word_at
from schemas.kernel import bare, inlined
from schemas.status import ModelState
from streams.panes import PANE, WELL_CONDITIONED, WindowHead

Whole = NDArray[np.int64]

#: Values of one series at a time, at most, so that no more than one pane ends.
MOST: Final = PANE - 1

#: What is asked of a series: whole numbers (truths as 0 and 1; a direction as 1, −1, or 0 for both), and others. Beside
#: them where its metric's name, and what is watched in short, begin and end among those of all.
SIZE, IS_MEASURED, MIN_SAMPLES, HAS_DETECTOR, DETECTOR_SAMPLES, DIRECTION, HAS_MINIMUM, OF_MEAN = range(8)
NAME_AT, NAME_END, WATCHED_AT, WATCHED_END = range(8, 12)
THRESHOLD, MINIMUM = range(2)
ASKED, LIMITS = 12, 2

#: Where a series' parts are that matter: fields of its window's head, and its own.
_SIZE, _PUSHED, _LEVEL, _OPEN, _TRAILING, _AFTER, _NUMBER, WATCHED, _PHASE, _TIMES, _END = range(11)

#: Up to where a state has been written anew, where its number of messages is, how many panes have been sealed, and how
#: many are to be read.
WRITTEN, COUNTED, SEALED, WANTED = range(11, 15)
PLACES: Final = 15

#: Of a pane that is to be read: the numbers of its state among those given, of its lane, of its series and of its slot,
#: and its place in its block. `UNREAD` is the answer where one is.
OWNER, LANE, SERIES, SLOT, PLACE = range(5)
WANTS: Final = 5
UNREAD: Final = -2

#: Sums that are worked with: those of the block, then of the former one what follows a pane, and what follows a value.
_TOTAL, _SQUARES, _AFTER_TOTAL, _AFTER_SQUARES, _REST, _REST_SQUARES = 0, 1, 2, 3, 4, 4 + MOST
SUMS: Final = 4 + 2 * MOST

_SERIES: Final = 0x90 + len(Series.__struct_fields__)
_HEAD: Final = 0x90 + len(WindowHead.__struct_fields__)
_BYTES: Final = 8
_PANE_BYTES: Final = PANE * _BYTES
#: Of so many bytes.
_HEADER: Final = 3

#: Of a sealed pane: its name among its model's parts, and with what it holds.
NAME_BYTES: Final = 8
SEAL_BYTES: Final = NAME_BYTES + _PANE_BYTES

_OK = np.frombuffer(ModelState.OK.value.encode(), np.uint8)
_WARMING = np.frombuffer(ModelState.WARMING.value.encode(), np.uint8)


@bare
def read_series(text: Bytes, at: int, end: int, places: Whole) -> int:
    """Note where the parts of a series are; past it, or −1 where it is none by count."""
    if end - at < 2 or text[at] != _SERIES or text[at + 1] != _HEAD:
        return -1
    places[_SIZE] = at + 2
    places[_PUSHED] = at = after_count(text, at + 2, end)
    places[_LEVEL] = at = after_count(text, at, end)
    for _ in range(3):
        at = after_double(text, at, end)
    places[_OPEN] = at
    places[_TRAILING] = at = after_bytes(text, at, end)
    places[_AFTER] = at = after_bytes(text, at, end)
    if at - places[_TRAILING] > _HEADER + _PANE_BYTES:
        return -1
    for _ in range(2):
        at = after_double(text, at, end)
    places[_NUMBER] = at
    for _ in range(2):  # that and its base
        at = after_count(text, at, end)
    places[WATCHED] = at
    places[_PHASE] = at = after_text(text, at, end)
    at = after_text(text, at, end)
    for _ in range(3):  # calm, level, detector
        at = after_value(text, at, end)
    places[_TIMES] = at
    at = after_bytes(text, at, end)
    if at < 0 or at >= end or text[at] != NIL:
        return -1
    places[_END] = at + 1
    return at + 1


@bare
def is_value(text: Bytes, at: int, end: int, other: Bytes, first: int, last: int) -> bool:
    """Whether a text as it is written is a part of another."""
    begin = bytes_at(text, at, end)
    return is_text(text, begin, begin + length_at(text, at), other, first, last)


@bare
def step_series(
    text: Bytes, places: Whole, asked: Whole, limits: Doubles, values: Doubles, times: Whole, panes: Bytes, pane: Whole,
    sealed: Bytes, wanted: Any, out: Bytes, at: int, words: Words, doubles: Doubles, sums: Doubles,
) -> int:  # fmt: skip
    """Write all that is not yet up to and into this series, with the values taken in; −1 where more is to be done.

    Where another pane is to leave it next, `panes` has it from the first number of `pane` to before the second, and
    then the sums of what follows it. Where the second is 0 it does not: the answer is `UNREAD`, with a row in `wanted`.
    """
    size, pushed, count = count_at(text, places[_SIZE]), count_at(text, places[_PUSHED]), len(values)
    opened = length_at(text, places[_OPEN])
    # What is watched tells the size, but a damaged state may have another: 0, by which nothing can be divided.
    if size != asked[SIZE] or count > size - 1 - pushed % size or pushed % size == 0:
        return -1
    if opened != pushed % size % PANE * _BYTES or count_at(text, places[_NUMBER]) >> 32:
        return -1  # damaged: no part has such a name
    sums[_TOTAL] = double_at(text, places[_LEVEL] + BYTES_OF_DOUBLE, words, doubles)
    sums[_SQUARES] = double_at(text, places[_LEVEL] + 2 * BYTES_OF_DOUBLE, words, doubles)
    level = double_at(text, places[_LEVEL], words, doubles)
    turn = _turn(size, pushed, count) if asked[IS_MEASURED] else 0
    if turn and not pane[1]:
        return _want(text, places, size, pushed, turn, wanted)
    if not asked[IS_MEASURED]:
        _add(values, level, sums)
    elif not _is_calm(
        text, places, size, pushed, level, asked, limits, values, turn, panes, pane, words, doubles, sums
    ):
        return -1
    at = _put_head(text, places, size, pushed, opened, values, sealed, out, at, words, doubles, sums)
    if not asked[IS_MEASURED]:
        places[WRITTEN] = places[_AFTER]
        return put_bytes_header(out, at, 0)
    places[WRITTEN] = places[_TRAILING]
    if turn or (pushed >= size and (pushed + count + 1) % size == 0):
        last = 0 if (pushed + count + 1) % size == 0 else pane[1]
        at = _put_trailing(panes, pane[0], last, out, at, words, doubles)
        places[WRITTEN] = places[_AFTER] + 2 * BYTES_OF_DOUBLE
    return _put_times(text, places, size, pushed, times, out, at)


@bare
def _put_head(
    text: Bytes, places: Whole, size: int, pushed: int, opened: int, values: Doubles, sealed: Bytes, out: Bytes,
    at: int, words: Words, doubles: Doubles, sums: Doubles,
) -> int:  # fmt: skip
    """Write all that is not yet up to and into the window, with its open pane; `opened` are the bytes of the former."""
    first = 0
    at = copy(text, places[WRITTEN], places[_PUSHED], out, at)
    at = put_count(out, at, pushed + len(values))
    at = copy(text, places[_LEVEL], places[_LEVEL] + BYTES_OF_DOUBLE, out, at)
    at = put_double(out, at, sums[_TOTAL], words, doubles)
    at = put_double(out, at, sums[_SQUARES], words, doubles)
    if opened + _BYTES * len(values) >= _PANE_BYTES:
        first = PANE - opened // _BYTES
        _seal(text, places, size, pushed, opened, values[:first], sealed, words, doubles)
        opened = 0
    at = put_bytes_header(out, at, opened + _BYTES * (len(values) - first))
    return put_values(text, places[_TRAILING] - opened, places[_TRAILING], values[first:], out, at, words, doubles)


@inlined
def _add(values: Doubles, level: float, sums: Doubles) -> None:
    """As `WindowHead.take_many`."""
    for value in values:
        deviation = value - level
        sums[_TOTAL] += deviation
        sums[_SQUARES] += deviation * deviation


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
def _seal(
    text: Bytes, places: Whole, size: int, pushed: int, opened: int, values: Doubles, sealed: Bytes, words: Words,
    doubles: Doubles,
) -> None:  # fmt: skip
    """Write the open pane, which these values fill, with its name: those of `state.panes_of` and `WindowHead._seal`."""
    at = put_number(sealed, places[SEALED] * SEAL_BYTES, count_at(text, places[_NUMBER]), 4)
    at = put_number(sealed, at, _slot(size, pushed // size, pushed % size // PANE), 4)
    put_values(text, places[_TRAILING] - opened, places[_TRAILING], values, sealed, at, words, doubles)
    places[SEALED] += 1


@inlined
def _slot(size: int, block: int, number: int) -> int:
    """Where a pane of one of a window's blocks is among those of two: `streams.panes`."""
    return block % 2 * -(-size // PANE) + number


@inlined
def _turn(size: int, pushed: int, count: int) -> int:
    """After how many of the values another pane of a full window is to leave next, and must be read; 0: after none."""
    place = pushed % size
    turn = PANE - 1 - place % PANE
    return turn if pushed >= size and 0 < turn <= count and place + turn + 1 < size else 0


@bare
def _want(text: Bytes, places: Whole, size: int, pushed: int, turn: int, wanted: Any) -> int:
    """Ask for that pane: `streams.panes.load_trailing`."""
    row, number = places[WANTED], (pushed % size + turn + 1) // PANE
    wanted[row, SERIES] = count_at(text, places[_NUMBER])
    wanted[row, SLOT] = _slot(size, pushed // size - 1, number)
    wanted[row, PLACE] = number
    places[WANTED] += 1
    return UNREAD


@bare
def _put_trailing(panes: Bytes, begin: int, end: int, out: Bytes, at: int, words: Words, doubles: Doubles) -> int:
    """Write the pane that is to leave next and the sums of what follows it; nothing of them where `end` is 0."""
    if not end:
        at = put_bytes_header(out, at, 0)
        return put_double(out, put_double(out, at, 0.0, words, doubles), 0.0, words, doubles)
    at = copy(panes, begin, end, out, put_bytes_header(out, at, end - begin))
    at = put_double(out, at, little_endian_at(panes, end, words, doubles), words, doubles)
    return put_double(out, at, little_endian_at(panes, end + _BYTES, words, doubles), words, doubles)


@bare
def _put_times(text: Bytes, places: Whole, size: int, begin: int, times: Whole, out: Bytes, at: int) -> int:
    """Write all up to the times of marked values, and these, if one from number `begin` on is to be marked.

    As `Times.after` and `Times.encode`; `times` are those of the values to come. −1 where those before are damaged.
    """
    stride = max(size // MARKS, 1)
    new, end = -(-begin // stride), -(-(begin + len(times)) // stride)
    if new == end:
        return at
    if length_at(text, places[_TIMES]) % _BYTES:
        return -1
    known = length_at(text, places[_TIMES]) // _BYTES - 1
    first: Any = np.int64(word_at(text, places[_END] - 1 - _BYTES * (known + 1))) if known > 0 else 0
    if known <= 0 or first + known != new:
        first, known = new, 0
    kept = max(first, end - 1 - -(-(size - 1) // stride))
    at = copy(text, places[WRITTEN], places[_TIMES], out, at)
    at = put_bytes_header(out, at, _BYTES * (1 + end - kept))
    at = put_word(out, at, np.uint64(kept))
    for mark in range(kept, min(new, end)):
        at = put_word(out, at, word_at(text, places[_END] - 1 - _BYTES * (new - mark)))
    for mark in range(max(kept, new), end):
        at = put_word(out, at, np.uint64(times[mark * stride - begin]))
    places[WRITTEN] = places[_END] - 1
    return at


@bare
def _is_calm(
    text: Bytes, places: Whole, size: int, pushed: int, level: float, asked: Whole, limits: Doubles, values: Doubles,
    turn: int, panes: Bytes, pane: Whole, words: Words, doubles: Doubles, sums: Doubles,
) -> bool:  # fmt: skip
    """Whether nothing is to be said of any value; then `sums` has them. As `WindowHead.measure` and `quick._calm`."""
    is_ok = is_value(text, places[_PHASE], places[_END], _OK, 0, len(_OK))
    # Once it has warmed up a series is ok or left below; before that only a damaged one can be in another phase.
    if asked[HAS_DETECTOR] and not (is_ok or is_value(text, places[_PHASE], places[_END], _WARMING, 0, len(_WARMING))):
        return False
    is_full, first = pushed >= size, (pushed % size + 1) % PANE
    if not _read_rests(text, places, is_full, first, level, len(values), turn, panes, pane, words, doubles, sums):
        return False
    count = size if is_full else pushed
    for at in range(len(values)):
        value = values[at]
        deviation = value - level
        sums[_TOTAL] += deviation
        sums[_SQUARES] += deviation * deviation
        inside, squares = sums[_TOTAL], sums[_SQUARES]
        if is_full:
            inside += sums[_REST + at]
            squares += sums[_REST_SQUARES + at]
        else:
            count += 1
        shift = inside / count
        mean = level + shift
        deviations = squares - inside * shift
        is_good = deviations >= WELL_CONDITIONED * inside * shift
        if not (is_good and math.isfinite(deviations) and math.isfinite(mean)):
            return False
        std = math.sqrt(deviations / (count - 1)) if deviations > 0.0 else 0.0
        if asked[HAS_MINIMUM] and (mean if asked[OF_MEAN] else value) < limits[MINIMUM]:
            return False
        if asked[HAS_DETECTOR] and _speaks(is_ok, value, count, mean, std, asked, limits):
            return False
    return True


@inlined
def _speaks(is_ok: bool, value: float, count: int, mean: float, std: float, asked: Whole, limits: Doubles) -> bool:
    """Whether a detector has warmed up with this value, or says something of it."""
    return (not is_ok and count >= asked[MIN_SAMPLES]) or _fires(value, count, mean, std, asked, limits)


@inlined
def _fires(value: float, count: int, mean: float, std: float, asked: Whole, limits: Doubles) -> bool:
    """As `ZScore.is_calm` says it does not."""
    if count < asked[DETECTOR_SAMPLES] or std <= CONSTANT:
        return False
    score = (value / 2 - mean / 2) / (std / 2)
    beyond: float = abs(score) if asked[DIRECTION] == 0 else score * asked[DIRECTION]
    return bool(beyond > limits[THRESHOLD])


@bare
def _read_rests(
    text: Bytes, places: Whole, is_full: bool, first: int, level: float, count: int, turn: int, panes: Bytes,
    pane: Whole, words: Words, doubles: Doubles, sums: Doubles,
) -> bool:  # fmt: skip
    """Sums over what shares the window with each value to come, before and after the turn; false if it is not there.

    Of a window that is not full nothing leaves yet, so nothing may be there.
    """
    begin, end = bytes_at(text, places[_TRAILING], places[_END]), places[_AFTER]
    if not is_full:
        return bool(begin == end)
    sums[_AFTER_TOTAL] = double_at(text, end, words, doubles)
    sums[_AFTER_SQUARES] = double_at(text, end + BYTES_OF_DOUBLE, words, doubles)
    if not _read_rest(text, begin, end, first, level, 0, turn if turn else count, words, doubles, sums):
        return False
    if not turn or turn == count:
        return True
    sums[_AFTER_TOTAL] = little_endian_at(panes, pane[1], words, doubles)
    sums[_AFTER_SQUARES] = little_endian_at(panes, pane[1] + _BYTES, words, doubles)
    return _read_rest(panes, pane[0], pane[1], 0, level, turn, count - turn, words, doubles, sums)


@bare
def _read_rest(
    text: Bytes, begin: int, end: int, first: int, level: float, number: int, count: int, words: Words,
    doubles: Doubles, sums: Doubles,
) -> bool:  # fmt: skip
    """Of one pane, from its value `first` on, for `count` values from a number on: as `WindowHead._suffixes`."""
    values = (end - begin) // _BYTES - first
    if values < 0 or values < count - 1 or begin == end:
        return False
    total, squares = sums[_AFTER_TOTAL], sums[_AFTER_SQUARES]
    for at in range(values - 1, -2, -1):
        if at + 1 < count:
            sums[_REST + number + at + 1], sums[_REST_SQUARES + number + at + 1] = total, squares
        if at >= 0:
            deviation = little_endian_at(text, begin + (first + at) * _BYTES, words, doubles) - level
            total += deviation
            squares += deviation * deviation
    return True
