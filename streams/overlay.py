"""What one partition has in memory over RocksDB: newer values hide older ones. None for a value is a deletion."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import repeat
from typing import Any, NamedTuple, Self

from streams.write_back import OVERHEAD, Changed, Changes, WriteBack, bytes_of

#: Bytes of memory that changes may take, of all partitions of a table together; and of the changelog after the
#: positions in RocksDB: what a start after a crash reads.
WAITING_BYTES, LOGGED_BYTES = 256 * 2**20, 1024 * 2**20


class Overlay:
    """Changes of the open checkpoint; those whose transaction commits; and in `waiting` what waits for RocksDB."""

    def __init__(self) -> None:
        self.waiting = WriteBack()
        self._fresh, self._frozen = Changed(), Changed()
        # What is newest of all these, to read: it is looked at for each state that a batch touches.
        self._newest: dict[bytes, bytes | None] = {}

    @property
    def size_at_most(self) -> int:
        """What `count` would tell is not more than this."""
        uncommitted = self._frozen.at_most + self._fresh.at_most
        return self.waiting.at_most + uncommitted + OVERHEAD * len(self._newest)

    def count(self) -> int:
        """Bytes in memory. A value that waits is counted beside the newer one of the open checkpoint."""
        return self.waiting.count() + self._frozen.count() + self._fresh.count() + OVERHEAD * len(self._newest)

    def has_changed(self, limit: int) -> bool:
        """Whether what was set in the open checkpoint is so many bytes, each key's newest value."""
        return self._fresh.reaches(limit)

    def uncommitted(self) -> dict[bytes, bytes | None]:
        """Changes that RocksDB must not have yet."""
        return self._frozen.newest | self._fresh.newest

    def get(self, key: bytes, default: Any = None) -> Any:
        """The newest value of a key."""
        return self._newest.get(key, default)

    def get_many(self, keys: Sequence[bytes], default: Any = None) -> list[Any]:
        """The newest values of keys."""
        return [*map(self._newest.get, keys, repeat(default))]

    def change(self, key: bytes, value: bytes | None) -> None:
        """Set one key's value in the open checkpoint."""
        self.change_many({key: value})

    def change_many(self, changes: Changes) -> None:
        """Set the values of keys in the open checkpoint."""
        self._fresh.take(changes, bytes_of(changes.values()))
        self._newest.update(changes)

    def freeze(self) -> Changes:
        """Close the open checkpoint: its changes are returned, and later ones belong to the next."""
        self._frozen, self._fresh = self._fresh, Changed()
        self._frozen.count()  # now, for who publishes it looks at each value next: when it is settled is too late
        return self._frozen.newest

    @property
    def is_frozen(self) -> bool:
        """Whether a checkpoint has been closed and is neither settled nor dropped."""
        return bool(len(self._frozen))

    def settle(self, position: int | None) -> int:
        """What was frozen is committed and waits, up to this position of the changelog; how many changes that is."""
        changes, self._frozen = self._frozen, Changed()
        if position is not None:
            self.waiting.add(changes, position)
        return len(changes)

    def note_written(self, count: int) -> None:
        """RocksDB has so many more of the changes that are being written."""
        self.waiting.note_written(count)
        if not self.waiting.is_writing:
            self._layer()

    def drop(self) -> None:
        """Forget every uncommitted change."""
        self._fresh, self._frozen = Changed(), Changed()
        self._layer()

    def _layer(self) -> None:
        self._newest = {**self.waiting.changes(), **self._frozen.newest, **self._fresh.newest}


class Unwritten(NamedTuple):
    """What RocksDB does not have, in bytes: of memory, and of the changelog that a start after a crash reads."""

    memory: int
    changelog: int

    @classmethod
    def of(cls, every: Collection[Overlay]) -> Self:
        """Of all these together."""
        return cls(sum(each.count() for each in every), sum(each.waiting.logged for each in every))


def most_waiting(every: Mapping[int, Overlay]) -> int | None:
    """The partition with which to begin to write where all together take too much."""
    if not (able := [partition for partition, each in every.items() if each.waiting]):
        return None
    if sum(each.size_at_most for each in every.values()) > WAITING_BYTES:
        sizes = {partition: each.count() for partition, each in every.items()}
        if sum(sizes.values()) > WAITING_BYTES:
            return max(able, key=sizes.__getitem__)
    if sum(each.waiting.logged for each in every.values()) > LOGGED_BYTES:
        return max(able, key=lambda partition: every[partition].waiting.logged)
    return None
