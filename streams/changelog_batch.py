"""Record batches of a changelog, each written at once.

aiokafka's builder takes one record at a time, and sums bytes up in software: that costs more than all else that sending
takes. The format is version 2 of Kafka's, without compression, for states hardly compress:
https://kafka.apache.org/documentation/#messageformat
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

import google_crc32c
from aiokafka.record.util import calc_crc32c

from streams.changed import Changes

#: Base offset, length of what follows, the leader's epoch, version, and the checksum of the rest.
_HEAD: Final = struct.Struct(">qiibI")
#: Attributes, number of the last record, first and last timestamp, producer's id and epoch, first sequence number,
#: number of records.
_SUMMED: Final = struct.Struct(">hiqqqhii")
_HEAD_BYTES: Final = _HEAD.size + _SUMMED.size
_BEFORE_LENGTH_ENDS: Final = 12

_VERSION: Final = 2
_TRANSACTIONAL: Final = 0x10
_NOBODY: Final = (-1, -1, 0)

#: What a record has beside key and value, at most.
_RECORD_BYTES: Final = 24
#: No attributes, and no time after the batch's.
_RECORD_START: Final = b"\0\0"
_NO_HEADERS: Final = b"\0"
_NO_VALUE: Final = -1

# Where there is no wheel, google-crc32c sums up in Python.
_crc32c: Final = google_crc32c.value if google_crc32c.implementation == "c" else calc_crc32c


class ChangelogBatch:
    """What aiokafka's producer asks of a batch (its `BatchBuilder`): this one is full from the beginning."""

    def __init__(self, records: Sequence[bytes], count: int, *, is_transactional: bool) -> None:
        self._records, self._count = records, count
        self._attributes = _TRANSACTIONAL if is_transactional else 0
        self._milliseconds = int(time.time() * 1000)  # noqa: TID251 - as every producer does; nothing depends on it
        self._producer = _NOBODY
        self._built: bytes | None = None

    def append(self, **_: Any) -> None:
        """Returns None: there is no room."""

    def close(self) -> None:
        """It is closed."""

    def closed(self) -> bool:
        return True

    def record_count(self) -> int:
        return self._count

    def size(self) -> int:
        """In bytes."""
        return len(self._build())

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        self._producer, self._built = (producer_id, producer_epoch, base_sequence), None

    def _build(self) -> bytes:
        if self._built is None:
            times = (self._milliseconds, self._milliseconds)
            head = _SUMMED.pack(self._attributes, self._count - 1, *times, *self._producer, self._count)
            summed = b"".join([head, *self._records])
            length = _HEAD_BYTES + len(summed) - len(head) - _BEFORE_LENGTH_ENDS
            self._built = _HEAD.pack(0, length, -1, _VERSION, _crc32c(summed)) + summed
        return self._built


def changelog_batches(changes: Changes, limit: int, *, is_transactional: bool) -> Iterator[ChangelogBatch]:
    """Batches of at most `limit` bytes; a record that is larger has one of its own."""
    records, size, count = list[bytes](), _HEAD_BYTES, 0
    for key, value in changes.items():
        data = value or b""
        needed = _RECORD_BYTES + len(key) + len(data)
        if count and size + needed > limit:
            yield ChangelogBatch(records, count, is_transactional=is_transactional)
            records, size, count = [], _HEAD_BYTES, 0
        length = _NO_VALUE if value is None else len(data)
        head = _RECORD_START + _VARINTS[count] + _VARINTS[len(key)] + key + _VARINTS[length]
        records += (_VARINTS[len(head) + len(data) + len(_NO_HEADERS)], head, data, _NO_HEADERS)
        size += needed
        count += 1
    if count:
        yield ChangelogBatch(records, count, is_transactional=is_transactional)


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
    while left > 0x7F:
        found.append(left & 0x7F | 0x80)
        left >>= 7
    found.append(left)
    return bytes(found)


_VARINTS: Final = _Varints()
