"""The end of a window's block among values that a kernel takes into a series as it is written.

As `streams.windows.CountWindow` has it: the lower median of the block that ended is the next one's level, and what
leaves the window with each value from then on is summed up once, backwards.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from agents.monitor.encoded.layout import VALUE_BYTES
from agents.monitor.encoded.msgpack import little_endian_at, put_bytes_header, put_double, put_little_endian
from schemas.columns.numbers import Doubles, Words
from schemas.columns.words import Bytes
from schemas.kernel import bare
from streams.measuring import sum_backwards
from streams.panes import PANE

#: Values of the largest block whose end is taken: those of a larger one end seldom, and take as long to read.
LARGEST_BLOCK: Final = 4_096

#: Rows to work with: the values of a block, the same in some order, and sums over the newest 0 to all of them, and of
#: squares.
VALUES, ORDERED, BACK, BACK_SQUARES = range(4)
ROWS: Final = 4

_NEGATIVE_ZERO: Final = np.uint64(1 << 63)


@bare
def gather(
    panes: Bytes, begin: int, end: int, text: Bytes, first: int, last: int, values: Doubles, rows: Any, words: Words,
    doubles: Doubles,
) -> bool:  # fmt: skip
    """Put a block together: of what is sealed, of the open pane in `text`, and of new values.

    False where it is damaged, or has a −0: which of two zeros is the median depends on how values are ordered.
    """
    count, block = 0, rows[VALUES]
    for at in range(begin, end, VALUE_BYTES):
        block[count] = little_endian_at(panes, at, words, doubles)
        count += 1
    for at in range(first, last, VALUE_BYTES):
        block[count] = little_endian_at(text, at, words, doubles)
        count += 1
    for value in values:
        block[count] = value
        count += 1
    for at in range(count):
        doubles[0] = block[at]
        if not math.isfinite(block[at]) or words[0] == _NEGATIVE_ZERO:
            return False
    return True


@bare
def next_level(rows: Any, size: int) -> float:
    """The level of the block that follows one of so many values, whose sums backwards are in `rows` then."""
    for at in range(size):
        rows[ORDERED, at] = rows[VALUES, at]
    level = lower_median(rows[ORDERED], size)
    sum_backwards(rows[VALUES], size, size, level, rows[BACK:], 0.0, 0.0)
    return level


@bare
def lower_median(values: Doubles, count: int) -> float:
    """Of the first values, whose order it changes.

    Hoare: "Algorithm 65: Find" (1961), as in Wirth: "Algorithms + Data Structures = Programs" (1976).
    """
    middle = (count - 1) // 2
    low, high = 0, count - 1
    while low < high:
        pivot, left, right = values[middle], low, high
        while left <= right:
            while values[left] < pivot:
                left += 1
            while pivot < values[right]:
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                left += 1
                right -= 1
        if right < middle:
            low = left
        if middle < left:
            high = right
    median: float = values[middle]
    return median


@bare
def put_following(rows: Any, size: int, out: Bytes, at: int, words: Words, doubles: Doubles) -> int:
    """Write the sums over what follows each pane of the block, as `streams.panes.keep_following` does."""
    for end in range(PANE, size + PANE, PANE):
        behind = max(size - end, 0)
        at = put_little_endian(out, at, rows[BACK, behind], words, doubles)
        at = put_little_endian(out, at, rows[BACK_SQUARES, behind], words, doubles)
    return at


@bare
def put_next(rows: Any, size: int, place: int, out: Bytes, at: int, words: Words, doubles: Doubles) -> int:
    """Write the pane from which the value after those at `place` of the next block makes one leave, and the sums of
    what follows it: as `streams.panes.load_trailing`. Nothing of them where none is to leave.
    """
    begin = (place + 1) // PANE * PANE
    end = min(begin + PANE, size) if place else begin
    at = put_bytes_header(out, at, (end - begin) * VALUE_BYTES)
    for number in range(begin, end):
        at = put_little_endian(out, at, rows[VALUES, number], words, doubles)
    total = squares = 0.0
    if end > begin:
        total, squares = rows[BACK, size - end], rows[BACK_SQUARES, size - end]
    return put_double(out, put_double(out, at, total, words, doubles), squares, words, doubles)
