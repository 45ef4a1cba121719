"""Whether nothing is to be said of values, by a kernel that also takes them into the sums of their window.

The arithmetic of `streams.panes.WindowHead`, `streams.measuring` and `agents.drift.ZScore`, once more.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from agents.drift.z_score import CONSTANT
from agents.monitor.encoded.blocks import BACK, BACK_SQUARES
from agents.monitor.encoded.layout import (
    AFTER_SQUARES,
    AFTER_TOTAL,
    DETECTOR_SAMPLES,
    DIRECTION,
    HAS_DETECTOR,
    HAS_MINIMUM,
    HEAD_AFTER,
    HEAD_TRAILING,
    LAST_LEVEL,
    MIN_SAMPLES,
    MINIMUM,
    OF_MEAN,
    PANE_BEGIN,
    PANE_END,
    PHASE,
    REST,
    REST_SQUARES,
    SERIES_END,
    SQUARES,
    THRESHOLD,
    TOTAL,
    VALUE_BYTES,
    Whole,
)
from agents.monitor.encoded.msgpack import BYTES_OF_DOUBLE, bytes_at, double_at, is_value, little_endian_at
from schemas.columns.numbers import Doubles, Words
from schemas.columns.words import Bytes
from schemas.kernel import bare, inlined
from schemas.status import ModelState
from streams.panes import PANE, WELL_CONDITIONED

_OK = np.frombuffer(ModelState.OK.value.encode(), np.uint8)
_WARMING = np.frombuffer(ModelState.WARMING.value.encode(), np.uint8)


@bare
def is_calm(
    text: Bytes, places: Whole, size: int, pushed: int, level: float, asked: Whole, limits: Doubles, values: Doubles,
    here: int, turn: int, panes: Bytes, span: Whole, words: Words, doubles: Doubles, sums: Doubles, rows: Any,
) -> bool:  # fmt: skip
    """Whether nothing is to be said of any value; then `sums` has them. As `WindowHead.measure` and `quick._calm`.

    From value `here` on they belong to the next block, whose sums backwards are in `rows`.
    """
    is_ok = _is_phase(text, places, _OK)
    # Once it has warmed up a series is ok or left below; before that only a damaged one can be in another phase.
    if asked[HAS_DETECTOR] and not (is_ok or _is_phase(text, places, _WARMING)):
        return False
    if not _read_rests(text, places, size, pushed, level, here, turn, panes, span, words, doubles, sums):
        return False
    _rests_after(rows, size, here, len(values), sums)
    is_full = pushed >= size
    count = size if is_full else pushed
    for at in range(len(values)):
        if at == here:
            level, sums[TOTAL], sums[SQUARES] = sums[LAST_LEVEL], 0.0, 0.0
            is_full, count = True, size
        value, deviation = values[at], values[at] - level
        sums[TOTAL] += deviation
        sums[SQUARES] += deviation * deviation
        inside, squares = sums[TOTAL], sums[SQUARES]
        if is_full:
            inside += sums[REST + at]
            squares += sums[REST_SQUARES + at]
        else:
            count += 1
        shift = inside / count
        mean = level + shift
        deviations = squares - inside * shift
        is_good = deviations >= WELL_CONDITIONED * inside * shift
        if not (is_good and math.isfinite(deviations) and math.isfinite(mean)):
            return False
        std = math.sqrt(deviations / (count - 1)) if deviations > 0.0 else 0.0
        if _speaks(is_ok, value, count, mean, std, asked, limits):
            return False
    return True


@bare
def _is_phase(text: Bytes, places: Whole, phase: Bytes) -> bool:
    return is_value(text, places[PHASE], places[SERIES_END], phase, 0, len(phase))


@inlined
def _rests_after(rows: Any, size: int, here: int, count: int, sums: Doubles) -> None:
    """Sums over what of the block that ended shares the window with the values after it."""
    for at in range(here, count):
        staying = size - 1 - (at - here)
        sums[REST + at], sums[REST_SQUARES + at] = rows[BACK, staying], rows[BACK_SQUARES, staying]


@inlined
def _speaks(is_ok: bool, value: float, count: int, mean: float, std: float, asked: Whole, limits: Doubles) -> bool:
    """Whether a value is below the minimum, or a detector has warmed up with it, or says something of it."""
    if asked[HAS_MINIMUM] and (mean if asked[OF_MEAN] else value) < limits[MINIMUM]:
        return True
    if not asked[HAS_DETECTOR]:
        return False
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
    text: Bytes, places: Whole, size: int, pushed: int, level: float, count: int, turn: int, panes: Bytes,
    span: Whole, words: Words, doubles: Doubles, sums: Doubles,
) -> bool:  # fmt: skip
    """Sums over what shares the window with each value to come, before and after the turn; false if it is not there.

    Of a window that is not full nothing leaves yet, so nothing may be there; and nothing is left at a block's end.
    """
    begin, end, place = bytes_at(text, places[HEAD_TRAILING], places[SERIES_END]), places[HEAD_AFTER], pushed % size
    if pushed < size:
        return bool(begin == end)
    if place + count == size:
        sums[REST + count - 1], sums[REST_SQUARES + count - 1] = 0.0, 0.0
        count -= 1
    first = (place + 1) % PANE
    sums[AFTER_TOTAL] = double_at(text, end, words, doubles)
    sums[AFTER_SQUARES] = double_at(text, end + BYTES_OF_DOUBLE, words, doubles)
    if count and not _read_rest(text, begin, end, first, level, 0, turn if turn else count, words, doubles, sums):
        return False
    if not turn or turn == count:
        return True
    sums[AFTER_TOTAL] = little_endian_at(panes, span[PANE_END], words, doubles)
    sums[AFTER_SQUARES] = little_endian_at(panes, span[PANE_END] + VALUE_BYTES, words, doubles)
    begin, end = span[PANE_BEGIN], span[PANE_END]
    return _read_rest(panes, begin, end, 0, level, turn, count - turn, words, doubles, sums)


@bare
def _read_rest(
    text: Bytes, begin: int, end: int, first: int, level: float, number: int, count: int, words: Words,
    doubles: Doubles, sums: Doubles,
) -> bool:  # fmt: skip
    """Of one pane, from its value `first` on, for `count` values from a number on: as `WindowHead._suffixes`."""
    values = (end - begin) // VALUE_BYTES - first
    if values < 0 or values < count - 1 or begin == end:
        return False
    total, squares = sums[AFTER_TOTAL], sums[AFTER_SQUARES]
    for at in range(values - 1, -2, -1):
        if at + 1 < count:
            sums[REST + number + at + 1], sums[REST_SQUARES + number + at + 1] = total, squares
        if at >= 0:
            deviation = little_endian_at(text, begin + (first + at) * VALUE_BYTES, words, doubles) - level
            total += deviation
            squares += deviation * deviation
    return True
