"""Record batches of a changelog, each written at once.

aiokafka's builder takes one record at a time, and sums bytes up in software: that costs more than all else that sending
takes. The format is version 2 of Kafka's, without compression, for states hardly compress:
https://kafka.apache.org/documentation/#messageformat
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from typing import Any, Final

import google_crc32c
import numpy as np
from aiokafka.record.util import calc_crc32c

from streams.changed import Changes
from streams.changelog_records import RECORD_BYTES, records_of, sizes_of

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

#: Where there is no wheel, google-crc32c sums up in Python.
_IS_QUICK: Final = google_crc32c.implementation == "c"


def _checksum(head: bytes, records: bytes) -> int:
    checksum: int = (
        google_crc32c.extend(google_crc32c.value(head), records) if _IS_QUICK else calc_crc32c(head + records)
    )
    return checksum


class ChangelogBatch:
    """What aiokafka's producer asks of a batch (its `BatchBuilder`): this one is full from the beginning."""

    def __init__(self, records: bytes, count: int, *, is_transactional: bool) -> None:
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
        return _HEAD_BYTES + len(self._records)

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        self._producer, self._built = (producer_id, producer_epoch, base_sequence), None

    def _build(self) -> bytes:
        if self._built is None:
            times = (self._milliseconds, self._milliseconds)
            head = _SUMMED.pack(self._attributes, self._count - 1, *times, *self._producer, self._count)
            length, checksum = self.size() - _BEFORE_LENGTH_ENDS, _checksum(head, self._records)
            self._built = b"".join((_HEAD.pack(0, length, -1, _VERSION, checksum), head, self._records))
        return self._built


def changelog_batches(changes: Changes, limit: int, *, is_transactional: bool) -> Iterator[ChangelogBatch]:
    """Batches of at most `limit` bytes; a record that is larger has one of its own."""
    keys, values = [*changes], [*changes.values()]
    key_sizes, sizes = sizes_of(keys), sizes_of(values)
    ends = np.cumsum(key_sizes + np.maximum(sizes, 0) + RECORD_BYTES)
    first = before = 0
    while first < len(keys):
        last = max(int(np.searchsorted(ends, before + limit - _HEAD_BYTES, "right")), first + 1)
        part = slice(first, last)
        records = records_of(keys[part], values[part], key_sizes[part], sizes[part])
        yield ChangelogBatch(records, last - first, is_transactional=is_transactional)
        first, before = last, int(ends[last - 1])
