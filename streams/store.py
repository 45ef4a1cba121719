"""RocksDB under a Faust table, holding committed state only.

What changed since the last checkpoint lives in memory, over RocksDB: first in `fresh` (the open checkpoint), then,
while its transaction commits, in `frozen`. Only after the commit is it written, with the changelog position, in one
batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, cast

import rocksdict
from faust.stores.rocksdb import Store
from faust.tables.table import Table

Changes = Mapping[bytes, bytes | None]

_partition: ContextVar[int] = ContextVar("table_partition")

#: Per partition; Faust's own defaults (2 GiB of cache each) do not fit a worker with many partitions.
ROCKSDB_OPTIONS = {"block_cache_size": 64 * 2**20, "write_buffer_size": 16 * 2**20, "max_open_files": 256}


class OverlayStore(Store):
    """Faust's RocksDB store with an overlay of uncommitted changes per partition. None in an overlay is a deletion."""

    def __post_init__(self) -> None:
        self._fresh: dict[int, dict[bytes, bytes | None]] = defaultdict(dict)
        self._frozen: dict[int, dict[bytes, bytes | None]] = defaultdict(dict)

    def freeze(self, partition: int) -> Changes:
        """Close the open checkpoint: its changes are returned, and later ones belong to the next."""
        if self._frozen[partition]:
            raise RuntimeError(f"partition {partition} is being checkpointed already")
        self._frozen[partition] = self._fresh.pop(partition, {})
        return self._frozen[partition]

    def write_frozen(self, partition: int, position: int | None) -> None:
        """After the commit: write what was frozen and the changelog position it reaches, then drop it from memory."""
        self.write_committed(partition, self._frozen[partition].items(), position)
        self._frozen.pop(partition)

    def write_committed(
        self, partition: int, changes: Iterable[tuple[bytes, bytes | None]], position: int | None
    ) -> None:
        """Apply committed changes and the changelog position in one atomic batch."""
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, value in changes:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        if position is not None:
            batch.put(self.offset_key, str(position).encode())
        self._db_for_partition(partition).write(batch)

    def drop(self, partition: int) -> None:
        """Forget every uncommitted change of a partition."""
        self._fresh.pop(partition, None)
        self._frozen.pop(partition, None)

    def position(self, partition: int) -> int:
        """The changelog position up to which RocksDB holds the state; 0 on an empty disk."""
        return int(self._db_for_partition(partition).get(self.offset_key) or 0)

    def _get(self, key: bytes) -> bytes | None:
        partition = _partition.get()
        for overlay in (self._fresh, self._frozen):
            if key in (changes := overlay[partition]):
                return changes[key]
        return cast("bytes | None", self._db_for_partition(partition).get(key))

    def _set(self, key: bytes, value: bytes | None) -> None:
        self._fresh[_partition.get()][key] = value

    def _del(self, key: bytes) -> None:
        self._fresh[_partition.get()][key] = None

    # A table's read asks `in` first: a key that lives in the overlay alone must be found here too.
    def _contains(self, key: bytes) -> bool:
        return self._get(key) is not None

    def _iteritems(self) -> Iterator[tuple[bytes, bytes]]:
        partition = _partition.get()
        overlay = self._frozen[partition] | self._fresh[partition]
        for key, value in self._visible_items(self._db_for_partition(partition)):
            if key not in overlay:
                yield key, value
        for key, changed in overlay.items():
            if changed is not None:
                yield key, changed

    def _iterkeys(self) -> Iterator[bytes]:
        return (key for key, _ in self._iteritems())

    def _itervalues(self) -> Iterator[bytes]:
        return (value for _, value in self._iteritems())

    def _size(self) -> int:
        return sum(1 for _ in self._iteritems())


class CheckpointedTable(Table[bytes, bytes]):
    """A Faust table of raw bytes whose changelog is written by the checkpoint, not by each change."""

    def _new_store(self) -> OverlayStore:
        return OverlayStore(
            "rocksdb://",
            self.app,
            self,
            table_name=self.name,
            driver="rocksdict",
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            options=dict(ROCKSDB_OPTIONS),
        )

    @property
    def store(self) -> OverlayStore:
        return cast(OverlayStore, self.data)

    def on_key_get(self, key: bytes) -> None: ...

    def on_key_set(self, key: bytes, value: bytes) -> None: ...

    def on_key_del(self, key: bytes) -> None: ...


class PartitionTable(MutableMapping[bytes, bytes]):
    """One partition of a table as a mapping, for code that runs outside of a Faust event (ticks, restores)."""

    def __init__(self, table: CheckpointedTable, partition: int) -> None:
        self._table, self._number = table, partition

    @contextmanager
    def _selected(self) -> Iterator[CheckpointedTable]:
        token = _partition.set(self._number)
        try:
            yield self._table
        finally:
            _partition.reset(token)

    def __getitem__(self, key: bytes) -> bytes:
        with self._selected() as table:
            return cast(bytes, table[key])

    def __setitem__(self, key: bytes, value: bytes) -> None:
        with self._selected() as table:
            table[key] = value

    def __delitem__(self, key: bytes) -> None:
        with self._selected() as table:
            del table[key]

    def __contains__(self, key: Any) -> bool:
        with self._selected() as table:
            return key in table

    def __iter__(self) -> Iterator[bytes]:
        with self._selected() as table:
            return iter(list(table.keys()))

    def __len__(self) -> int:
        with self._selected() as table:
            return len(table)
