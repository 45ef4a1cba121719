"""MessagePack read and written by kernels: what a state holds, of the bytes that msgspec writes.

The format: https://github.com/msgpack/msgpack/blob/master/spec.md. Whatever is damaged or unknown is answered by −1.
Values are looked at from `at` (−1: nowhere, so that calls can follow each other) to before `end`, behind which there
must be `MARGIN` more bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from schemas.columns.numbers import Doubles, Words
from schemas.columns.scan import is_text
from schemas.columns.words import Bytes, word_at
from schemas.kernel import bare, inlined

#: Bytes that must follow what is read.
MARGIN: Final = 16

EMPTY: Final = 0xA0
NIL: Final = 0xC0
FALSE: Final = 0xC2
DOUBLE: Final = 0xCB
BYTES_OF_DOUBLE: Final = 9

#: What a value may be: a text or bytes, an array, a map, or one whose size its first byte tells.
_TEXT, _ARRAY, _MAP, _SCALAR = range(4)

#: Of each first byte what it begins, how many bytes of a length or a number follow, and the length that it tells.
_KIND = np.full(256, -1, np.int64)
_FOLLOWING = np.zeros(256, np.int64)
_LENGTH = np.zeros(256, np.int64)

for _first, _last, _kind in ((0x80, 0x8F, _MAP), (0x90, 0x9F, _ARRAY), (0xA0, 0xBF, _TEXT)):
    _KIND[_first : _last + 1] = _kind
    _LENGTH[_first : _last + 1] = range(_last + 1 - _first)
for _first, _kind, _sizes in (
    (0xC4, _TEXT, (1, 2, 4)),
    (0xD9, _TEXT, (1, 2, 4)),
    (0xDC, _ARRAY, (2, 4)),
    (0xDE, _MAP, (2, 4)),
    (0xC0, _SCALAR, (0,)),
    (0xC2, _SCALAR, (0, 0)),
    (0xCB, _SCALAR, (8,)),
    (0xCC, _SCALAR, (1, 2, 4, 8)),
    (0xD0, _SCALAR, (1, 2, 4, 8)),
):
    _KIND[_first : _first + len(_sizes)] = _kind
    _FOLLOWING[_first : _first + len(_sizes)] = _sizes
_KIND[:0x80] = _KIND[0xE0:] = _SCALAR

#: Of words: bits of a byte, of two and of four, and every other byte and pair.
_BYTE, _PAIR, _HALF = np.uint64(8), np.uint64(16), np.uint64(32)
_ODD, _ODD_PAIRS = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF)


def joined(texts: Iterable[bytes]) -> Bytes:
    """Texts one after the other, with the margin."""
    return np.frombuffer(b"".join([*texts, bytes(MARGIN)]), np.uint8)


@inlined
def number_of(text: Bytes, at: int, size: int) -> int:
    """The unsigned number in so many bytes, at most 8; one of 2⁶³ or more comes out negative."""
    number: Any = np.int64(swapped(word_at(text, at)) >> np.uint64(64 - 8 * size))
    found: int = number
    return found


@bare
def after_header(text: Bytes, at: int, end: int, kind: int) -> int:
    """Where what follows the header of a text, bytes, an array or a map begins; −1 if that is not what is there."""
    if at < 0 or at >= end or _KIND[text[at]] != kind:
        return -1
    begin: int = at + 1 + _FOLLOWING[text[at]]
    return begin


@bare
def length_at(text: Bytes, at: int) -> int:
    """The length in a header: bytes, items, or pairs."""
    first = text[at]
    length: int = number_of(text, at + 1, _FOLLOWING[first]) if _FOLLOWING[first] else _LENGTH[first]
    return length


@bare
def bytes_at(text: Bytes, at: int, end: int) -> int:
    """Where the bytes of a text, or the bytes that are no text, begin."""
    return after_header(text, at, end, _TEXT)


@bare
def after_text(text: Bytes, at: int, end: int) -> int:
    """Past a text, or bytes."""
    begin = bytes_at(text, at, end)
    if begin < 0:
        return -1
    last = begin + length_at(text, at)
    return last if last <= end else -1


@bare
def after_bytes(text: Bytes, at: int, end: int) -> int:
    """Past bytes that are no text."""
    return after_text(text, at, end) if 0 <= at < end and 0xC4 <= text[at] <= 0xC6 else -1


@bare
def after_array_header(text: Bytes, at: int, end: int) -> int:
    """Where the first item of an array is."""
    return after_header(text, at, end, _ARRAY)


@bare
def after_map_header(text: Bytes, at: int, end: int) -> int:
    """Where the first key of a map is."""
    return after_header(text, at, end, _MAP)


@bare
def after_value(text: Bytes, at: int, end: int) -> int:
    """Past a value, whatever it is."""
    left = 1
    while left > 0:
        if at < 0 or at >= end:
            return -1
        kind = _KIND[text[at]]
        length = length_at(text, at)
        if kind < 0 or length < 0:
            return -1
        at += 1 + _FOLLOWING[text[at]]
        if kind == _TEXT:
            at += length
        elif kind == _ARRAY:
            left += length
        elif kind == _MAP:
            left += 2 * length
        left -= 1
    return at if at <= end else -1


@bare
def after_double(text: Bytes, at: int, end: int) -> int:
    """Past a number that is written as a double."""
    return at + BYTES_OF_DOUBLE if 0 <= at < end and text[at] == DOUBLE else -1


@bare
def after_count(text: Bytes, at: int, end: int) -> int:
    """Past a whole number from 0 on, below 2⁵⁶: some may be added to it."""
    if at < 0 or at >= end:
        return -1
    first = int(text[at])
    if first < 0x80:
        return at + 1
    is_count = 0xCC <= first <= 0xCE or (first == 0xCF and text[at + 1] == 0)
    return at + 1 + _FOLLOWING[first] if is_count else -1


@bare
def count_at(text: Bytes, at: int) -> int:
    """That number."""
    first = int(text[at])
    return first if first < 0x80 else number_of(text, at + 1, _FOLLOWING[first])


@inlined
def swapped(word: Any) -> Any:
    """A word with its bytes in the opposite order."""
    word = (word & _ODD) << _BYTE | (word >> _BYTE) & _ODD
    word = (word & _ODD_PAIRS) << _PAIR | (word >> _PAIR) & _ODD_PAIRS
    return word << _HALF | word >> _HALF


@inlined
def put_word(out: Bytes, at: int, word: Any) -> int:
    """Write eight bytes, the lowest first."""
    place = np.uint64(at)
    for offset in range(np.uint64(8)):
        out[place + offset] = word >> _BYTE * offset
    return at + 8


@bare
def double_at(text: Bytes, at: int, words: Words, doubles: Doubles) -> float:
    """A number that is written as a double. `doubles` has the bytes of `words`."""
    words[0] = swapped(word_at(text, at + 1))
    number: float = doubles[0]
    return number


@bare
def put_number(out: Bytes, at: int, number: int, size: int) -> int:
    """Write a number in so many bytes."""
    for offset in range(size - 1, -1, -1):
        out[at + offset] = number & 255
        number >>= 8
    return at + size


@bare
def put_count(out: Bytes, at: int, number: int) -> int:
    """Write a whole number from 0 on, in the shortest form."""
    if number < 0x80:
        out[at] = number
        return at + 1
    turn = 0 if number < 1 << 8 else 1 if number < 1 << 16 else 2 if number < 1 << 32 else 3
    out[at] = 0xCC + turn
    return put_number(out, at + 1, number, 1 << turn)


@bare
def put_double(out: Bytes, at: int, number: float, words: Words, doubles: Doubles) -> int:
    """Write a number as a double."""
    doubles[0] = number
    out[at] = DOUBLE
    return put_word(out, at + 1, swapped(words[0]))


@bare
def little_endian_at(text: Bytes, at: int, words: Words, doubles: Doubles) -> float:
    """A double that is among bytes, as `struct` has it."""
    words[0] = word_at(text, at)
    number: float = doubles[0]
    return number


@bare
def put_little_endian(out: Bytes, at: int, number: float, words: Words, doubles: Doubles) -> int:
    """Write such a double."""
    doubles[0] = number
    return put_word(out, at, words[0])


@bare
def put_bytes_header(out: Bytes, at: int, length: int) -> int:
    """Write the header of so many bytes, fewer than 2¹⁶."""
    turn = 0 if length < 1 << 8 else 1
    out[at] = 0xC4 + turn
    return put_number(out, at + 1, length, 1 << turn)


@bare
def put_text_header(out: Bytes, at: int, length: int) -> int:
    """Write the header of a text of so many bytes, fewer than 2¹⁶."""
    if length < 32:
        out[at] = 0xA0 + length
        return at + 1
    turn = 0 if length < 1 << 8 else 1
    out[at] = 0xD9 + turn
    return put_number(out, at + 1, length, 1 << turn)


@bare
def is_value(text: Bytes, at: int, end: int, other: Bytes, first: int, last: int) -> bool:
    """Whether a text as it is written is a part of another."""
    begin = bytes_at(text, at, end)
    return is_text(text, begin, begin + length_at(text, at), other, first, last)
