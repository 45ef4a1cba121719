"""Texts compared and copied by kernels."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from schemas.kernel import bare, inlined

Bytes = NDArray[np.uint8]

#: Bytes that must follow whatever is read here: a word that begins with its last byte, and its other bytes.
MARGIN: Final = 8

_B1, _B2, _B3, _B4, _B5, _B6, _B7 = np.arange(1, 8, dtype=np.uint64)
_S1, _S2, _S3, _S4, _S5, _S6, _S7 = np.arange(8, 64, 8, dtype=np.uint64)

#: Of a word the bytes that are its first 0 to 8.
FIRST_BYTES: Final = np.array([(1 << 8 * count) - 1 for count in range(9)], np.uint64)


@inlined
def word_at(text: Bytes, at: int) -> Any:
    """The eight bytes from `at` on, the first the lowest. LLVM makes one load of it."""
    i = np.uint64(at)
    return (
        np.uint64(text[i])
        | np.uint64(text[i + _B1]) << _S1
        | np.uint64(text[i + _B2]) << _S2
        | np.uint64(text[i + _B3]) << _S3
        | np.uint64(text[i + _B4]) << _S4
        | np.uint64(text[i + _B5]) << _S5
        | np.uint64(text[i + _B6]) << _S6
        | np.uint64(text[i + _B7]) << _S7
    )


@inlined
def same_bytes(text: Bytes, at: int, other: Bytes, place: int, length: int) -> bool:
    """Whether so many bytes of two texts are alike. Both must go on for `MARGIN` bytes."""
    while length > 8:
        if word_at(text, at) != word_at(other, place):
            return False
        at += 8
        place += 8
        length -= 8
    return ((word_at(text, at) ^ word_at(other, place)) & FIRST_BYTES[length]) == 0


@bare
def copy(text: Bytes, begin: int, end: int, out: Bytes, at: int) -> int:
    """Copy a part of a text."""
    first, place = np.uint64(begin), np.uint64(at)  # unsigned, so that numba need not count from the end
    for offset in range(np.uint64(end - begin)):
        out[place + offset] = text[first + offset]
    return at + end - begin
