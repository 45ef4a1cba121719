"""A changelog's records as a batch of Kafka's format holds them, many at a time: by a kernel once that is loaded.

In the interpreter a record costs as much as half a step of a model. The format, a batch's version 2:
https://kafka.apache.org/documentation/#record
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import numpy as np

from schemas.columns.columns import Integers
from schemas.columns.words import Bytes, copy
from schemas.kernel import bare, with_others

#: Bytes that a record has beside key and value, at most.
RECORD_BYTES: Final = 24

#: No attributes, and no time after the batch's.
_START: Final = b"\0\0"
_NO_HEADERS: Final = b"\0"
_AROUND: Final = len(_START) + len(_NO_HEADERS)

#: In the place of a value's size.
_NO_VALUE: Final = -1

_MORE, _LOW = 0x80, 0x7F


def sizes_of(texts: Sequence[bytes | None]) -> Integers:
    """The bytes of each; −1 for None."""
    try:
        return np.fromiter(map(len, cast(Sequence[bytes], texts)), np.int64, len(texts))
    except TypeError:  # there is a deletion, which is rare
        return np.array([_NO_VALUE if text is None else len(text) for text in texts], np.int64)


def records_of(keys: Sequence[bytes], values: Sequence[bytes | None], key_sizes: Integers, sizes: Integers) -> bytes:
    """The records one after the other, numbered from 0, without headers. Sizes are as of `sizes_of`."""
    return (_by_kernel if load.done else _by_interpreter)(keys, values, key_sizes, sizes)


def _by_interpreter(
    keys: Sequence[bytes], values: Sequence[bytes | None], key_sizes: Integers, sizes: Integers
) -> bytes:
    pieces = list[bytes]()
    for number, (key, value, size) in enumerate(zip(keys, values, sizes.tolist(), strict=True)):
        data = value or b""
        head = _START + _VARINTS[number] + _VARINTS[len(key)] + key + _VARINTS[size]
        pieces += (_VARINTS[len(head) + len(data) + len(_NO_HEADERS)], head, data, _NO_HEADERS)
    return b"".join(pieces)


class _Varints(dict[int, bytes]):
    """Whole numbers as Kafka writes them: zigzag, seven bits a byte. Small ones, which come often, are kept."""

    _KEPT: Final = 2**16

    def __missing__(self, number: int) -> bytes:
        found = _varint(number)
        if number < self._KEPT:
            self[number] = found
        return found


def _varint(number: int) -> bytes:
    left, found = number << 1 ^ number >> 63, bytearray()
    while left > _LOW:
        found.append(left & _LOW | _MORE)
        left >>= 7
    found.append(left)
    return bytes(found)


_VARINTS: Final = _Varints()


def _by_kernel(keys: Sequence[bytes], values: Sequence[bytes | None], key_sizes: Integers, sizes: Integers) -> bytes:
    names, texts = np.frombuffer(b"".join(keys), np.uint8), np.frombuffer(b"".join(filter(None, values)), np.uint8)
    out = np.empty(len(names) + len(texts) + RECORD_BYTES * len(keys), np.uint8)
    return out[: put_records.compiled(names, key_sizes, texts, sizes, out)].tobytes()


@with_others
def load() -> None:
    """Have the kernel from now on. Needs numba."""
    _by_kernel([], [], sizes_of([]), sizes_of([]))


@bare
def varint_bytes(number: int) -> int:
    """The bytes of a whole number as `put_varint` writes it."""
    left, count = number << 1 ^ number >> 63, 1
    while left > _LOW:
        left >>= 7
        count += 1
    return count


@bare
def put_varint(out: Bytes, at: int, number: int) -> int:
    """Write a whole number, zigzag and seven bits a byte; where it ends."""
    left = number << 1 ^ number >> 63
    while left > _LOW:
        out[at] = left & _LOW | _MORE
        left >>= 7
        at += 1
    out[at] = left
    return at + 1


@bare
def put_records(names: Bytes, name_sizes: Integers, texts: Bytes, text_sizes: Integers, out: Bytes) -> int:
    """Write records of keys and values that are given one after the other; where they end."""
    at = name_at = text_at = 0
    for number in range(len(name_sizes)):
        name_end, text_end = name_at + name_sizes[number], text_at + max(text_sizes[number], 0)
        numbers = varint_bytes(number) + varint_bytes(name_sizes[number]) + varint_bytes(text_sizes[number])
        at = put_varint(out, at, numbers + name_end - name_at + text_end - text_at + _AROUND)
        out[at] = out[at + 1] = 0
        at = put_varint(out, at + 2, number)
        at = put_varint(out, at, name_sizes[number])
        at = copy(names, name_at, name_end, out, at)
        at = put_varint(out, at, text_sizes[number])
        at = copy(texts, text_at, text_end, out, at)
        out[at] = 0
        at += 1
        name_at, text_at = name_end, text_end
    return at
