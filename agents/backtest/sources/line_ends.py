"""Where the lines of a text end: found by a kernel once that is there, else by numpy."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from schemas.columns.columns import Integers
from schemas.columns.packed import PADDING
from schemas.columns.words import Bytes, word_at
from schemas.kernel import bare, inlined, with_others

#: Bytes looked through at once by numpy, some that the cache holds; ends looked for at once by the kernel, at least 8.
_PIECE: Final = 2**18
_TOGETHER: Final = 2**15

BREAK, RETURN, SPACE = b"\n\r "

#: Of a word: a line break in each byte, all bits of each but the highest, the lowest of each; and by which to multiply
#: a one in one byte, so that the highest byte is that byte's number.
_BREAKS, _LOW, _ONES = (np.uint64(byte * 0x0101010101010101) for byte in (BREAK, 127, 1))
_NUMBERS = np.uint64(0x0001020304050607)
_NONE, _ONE, _SEVEN, _LAST_BYTE = np.array([0, 1, 7, 56], np.uint64)


@inlined
def breaks_in(text: Bytes, at: int) -> Any:
    """Of the word at `at`, a one in each byte that is a line break, and nothing in the others."""
    word = word_at(text, at) ^ _BREAKS
    return (~(((word & _LOW) + _LOW) | word) >> _SEVEN) & _ONES


@bare
def find_ends(text: Bytes, start: int, end: int, most: int, ends: Integers, state: Any) -> int:
    """Put into `ends` where the lines from `start` on end, before `end`, as far as there is room; how many those are.

    `state` gets where the next line starts, and in its second place a 1 if a line is unusual: blank or longer than
    `most`, or it begins with a space or ends in a return. The text goes on for `MARGIN` bytes.
    """
    found, at = 0, start
    while at < end and found + 8 <= len(ends):
        breaks = breaks_in(text, at)
        while breaks != _NONE:
            place: Any = at + np.int64(((breaks & (~breaks + _ONE)) * _NUMBERS) >> _LAST_BYTE)
            breaks &= breaks - _ONE
            if place < end:
                if text[start] <= SPACE or text[place - 1] == RETURN or place - start > most:
                    state[1] = 1
                ends[found] = place
                found += 1
                start = place + 1
        at += 8
    state[0] = start if at < end else end
    return found


@with_others
def load() -> None:
    """Have the kernel from now on. Needs numba."""
    text = np.frombuffer(b"\n" + PADDING, np.uint8)
    find_ends.compiled(text, 0, 1, 1, np.empty(8, np.int64), np.zeros(2, np.int64))


def ends_of_lines(text: Bytes, most: int) -> tuple[Integers, bool]:
    """Where the lines of a padded text end; and False if none is blank or longer than this, or has spaces around it."""
    end = len(text) - len(PADDING)
    if not load.done:
        pieces = [
            begin + np.flatnonzero(text[begin : min(begin + _PIECE, end)] == BREAK) for begin in range(0, end, _PIECE)
        ]
        return np.concatenate(pieces), True
    pieces, state = [], np.zeros(2, np.int64)
    while state[0] < end:
        ends = np.empty(_TOGETHER, np.int64)
        count = find_ends.compiled(text, int(state[0]), end, most, ends, state)
        pieces.append(ends[:count])
    return np.concatenate(pieces), bool(state[1])
