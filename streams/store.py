"""RocksDB under a Faust table, holding committed state only.

What changed since the last checkpoint lives in memory, over RocksDB: first in `fresh` (the open checkpoint), then,
while its transaction commits, in `frozen`. Only after the commit is it written, with the changelog position, in one
batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from itertools import chain
from typing import Any, cast

import rocksdict
from faust.stores.rocksdb import Store
from faust.tables.table import Table

from streams.rocksdb import open_database

Changes = Mapping[bytes, bytes | None]


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

    def committed(self, partition: int, key: bytes) -> bytes | None:
        """What RocksDB alone holds under a key, without the changes in memory."""
        return cast("bytes | None", self._db_for_partition(partition).get(key))

    def read(self, partition: int, key: bytes) -> bytes | None:
        """The newest value of a key, committed or not; None if there is none."""
        if (changes := self._fresh.get(partition)) and key in changes:
            return changes[key]
        if (changes := self._frozen.get(partition)) and key in changes:
            return changes[key]
        return cast("bytes | None", self._db_for_partition(partition).get(key))

    def read_many(self, partition: int, keys: Sequence[bytes]) -> list[bytes | None]:
        """The newest values of keys; RocksDB is asked for all at once, which halves what each costs."""
        fresh, frozen = self._fresh[partition], self._frozen[partition]
        found = {key: fresh[key] if key in fresh else frozen[key] for key in keys if key in fresh or key in frozen}
        others = [key for key in keys if key not in found]
        if others:
            found.update(zip(others, self._db_for_partition(partition).get(others), strict=True))
        return [found[key] for key in keys]

    def change_many(self, partition: int, changes: Mapping[bytes, bytes]) -> None:
        """Set the values of keys in the open checkpoint."""
        self._fresh[partition].update(changes)

    def change(self, partition: int, key: bytes, value: bytes | None) -> None:
        """Set a key's value in the open checkpoint; None deletes it."""
        self._fresh[partition][key] = value

    def scan(self, partition: int, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """The items whose keys begin with `prefix`, without what Faust keeps for itself."""
        overlay = self._frozen[partition] | self._fresh[partition]
        for key, value in self._db_for_partition(partition).items(from_key=prefix):
            if not key.startswith(prefix):
                break
            if key not in overlay and key != self.offset_key:
                yield key, value
        yield from ((key, value) for key, value in overlay.items() if key.startswith(prefix) and value is not None)

    def _open_for_partition(self, partition: int) -> rocksdict.Rdict:
        return open_database(self.partition_path(partition))

    # What the table itself is asked, which knows no partitions: whichever is here and has the key answers.

    def _get(self, key: bytes) -> bytes | None:
        return next((value for each in self._dbs if (value := self.read(each, key)) is not None), None)

    def _contains(self, key: bytes) -> bool:
        return self._get(key) is not None

    def _set(self, key: bytes, value: bytes | None) -> None:
        raise RuntimeError("a checkpointed table is changed by the owner of the key's partition alone")

    def _del(self, key: bytes) -> None:
        self._set(key, None)

    def _iteritems(self) -> Iterator[tuple[bytes, bytes]]:
        return chain.from_iterable(self.scan(partition) for partition in list(self._dbs))

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
        )

    @property
    def store(self) -> OverlayStore:
        return cast(OverlayStore, self.data)

    def partition(self, number: int) -> PartitionTable:
        """One partition's keys, to read and to change."""
        return PartitionTable(self, number)


class PartitionTable(MutableMapping[bytes, bytes]):
    """One partition of a table as a mapping, whose changes belong to the open checkpoint."""

    def __init__(self, table: CheckpointedTable, partition: int) -> None:
        self._store, self._partition = table.store, partition

    def get(self, key: bytes, default: Any = None, /) -> Any:
        value = self._store.read(self._partition, key)
        return default if value is None else value

    def get_many(self, keys: Sequence[bytes], /) -> list[bytes | None]:
        """The values of keys, None for those that have none."""
        return self._store.read_many(self._partition, keys)

    def update(self, changes: Mapping[bytes, bytes], /) -> None:  # type: ignore[override] # of what it takes, one form
        """Set the values of keys."""
        self._store.change_many(self._partition, changes)

    def __getitem__(self, key: bytes) -> bytes:
        if (value := self._store.read(self._partition, key)) is None:
            raise KeyError(key)
        return value

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self._store.change(self._partition, key, value)

    def __delitem__(self, key: bytes) -> None:
        self._store.change(self._partition, key, None)

    def __contains__(self, key: Any) -> bool:
        return self._store.read(self._partition, key) is not None

    def __iter__(self) -> Iterator[bytes]:
        return iter([key for key, _ in self.scan(b"")])

    def __len__(self) -> int:
        return sum(1 for _ in self.scan(b""))

    def scan(self, prefix: bytes, /) -> Iterator[tuple[bytes, bytes]]:
        """The items whose keys begin with `prefix`; not to be changed on the way."""
        return self._store.scan(self._partition, prefix)
