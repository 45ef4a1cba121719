"""What one partition has in memory over RocksDB: newer values hide older ones. None for a value is a deletion."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import repeat
from typing import Any, Final, NamedTuple, Self

from streams.changed import Changed, Changes, bytes_of
from streams.write_back import WriteBack

#: Bytes of memory that changes may take, of all partitions of a table together; and of the changelog after the
#: positions in RocksDB: what a start after a crash reads.
WAITING_BYTES, LOGGED_BYTES = 256 * 2**20, 1024 * 2**20

#: Bytes of values after which those of the open checkpoint, and all in memory, are counted anew.
_FRESH_BYTES, _NEWEST_BYTES = 64 * 2**20, 256 * 2**20

#: Bytes that a change takes in memory beside its value: its key, and its places in dictionaries.
_OVERHEAD: Final = 400


class Overlay:
    """Changes of the open checkpoint; those whose transaction commits; and in `waiting` what waits for RocksDB."""

    def __init__(self) -> None:
        self.waiting = WriteBack()
        self._fresh, self._frozen = Changed(_FRESH_BYTES), Changed(_FRESH_BYTES)
        # What is newest of all these, to read: it is looked at for each state that a batch touches.
        self._newest = Changed(_NEWEST_BYTES)

    @property
    def size(self) -> int:
        """About how many bytes are in memory. Those of a value that has a newer one are not counted: they go soon."""
        return self._newest.size + _OVERHEAD * len(self._newest)

    @property
    def changed(self) -> int:
        """About how many bytes the values are that were set in the open checkpoint."""
        return self._fresh.size

    def uncommitted(self) -> dict[bytes, bytes | None]:
        """Changes that RocksDB must not have yet."""
        return self._frozen.values | self._fresh.values

    def get(self, key: bytes, default: Any = None) -> Any:
        """The newest value of a key."""
        return self._newest.values.get(key, default)

    def get_many(self, keys: Sequence[bytes], default: Any = None) -> list[Any]:
        """The newest values of keys."""
        return [*map(self._newest.values.get, keys, repeat(default))]

    def change(self, key: bytes, value: bytes | None) -> None:
        """Set one key's value in the open checkpoint."""
        self.change_many({key: value})

    def change_many(self, changes: Changes) -> None:
        """Set the values of keys in the open checkpoint."""
        size = bytes_of(changes.values())
        self._fresh.take(changes, size)
        self._newest.take(changes, size)

    def freeze(self) -> Changes:
        """Close the open checkpoint: its changes are returned, and later ones belong to the next."""
        self._frozen, self._fresh = self._fresh, Changed(_FRESH_BYTES)
        return self._frozen.values

    @property
    def is_frozen(self) -> bool:
        """Whether a checkpoint has been closed and is neither settled nor dropped."""
        return len(self._frozen) > 0

    def settle(self, position: int | None) -> int:
        """What was frozen is committed and waits, up to this position of the changelog; how many changes that is."""
        changes, self._frozen = self._frozen, Changed(_FRESH_BYTES)
        if position is not None:
            self.waiting.add(changes.values, position, changes.size + _OVERHEAD * len(changes))
        return len(changes)

    def note_written(self, count: int) -> None:
        """RocksDB has so many more of the changes that are being written."""
        self.waiting.note_written(count)
        if not self.waiting.is_writing:
            self._layer()

    def drop(self) -> None:
        """Forget every uncommitted change."""
        self._fresh, self._frozen = Changed(_FRESH_BYTES), Changed(_FRESH_BYTES)
        self._layer()

    def _layer(self) -> None:
        newest = {**self.waiting.changes(), **self._frozen.values, **self._fresh.values}
        self._newest = Changed(_NEWEST_BYTES, newest)


class Unwritten(NamedTuple):
    """What RocksDB does not have, in bytes: of memory, and of the changelog that a start after a crash reads."""

    memory: int
    changelog: int

    @classmethod
    def of(cls, every: Collection[Overlay]) -> Self:
        """Of all these together."""
        return cls(sum(each.size for each in every), sum(each.waiting.logged for each in every))


def most_waiting(every: Mapping[int, Overlay]) -> int | None:
    """The partition with which to begin to write where all together take too much."""
    able = [partition for partition, each in every.items() if each.waiting]
    unwritten = Unwritten.of(every.values())
    if able and unwritten.memory > WAITING_BYTES:
        return max(able, key=lambda partition: every[partition].size)
    if able and unwritten.changelog > LOGGED_BYTES:
        return max(able, key=lambda partition: every[partition].waiting.logged)
    return None
