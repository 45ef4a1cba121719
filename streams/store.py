"""RocksDB under a Faust table.

What changed since the last checkpoint lives in memory, over RocksDB (`streams.overlay`): in the open checkpoint, then
among what its transaction commits. Only after the commit does it wait for RocksDB (`streams.write_back`).
"""

from __future__ import annotations

import logging
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from itertools import chain
from typing import Any, Final, cast

import rocksdict
from faust.stores.rocksdb import Store
from faust.tables.table import Table
from faust.types import TP

from streams.changed import Changes
from streams.overlay import Overlay, Unwritten, most_waiting
from streams.rocksdb import open_database
from streams.write_back import Change

log = logging.getLogger(__name__)

#: Changes in one call to RocksDB: so few that its copy of them is made in memory that the former used.
_TOGETHER: Final = 500

#: So many changes are written for each that comes to wait.
_PACE: Final = 2

#: When RocksDB had all that was committed, in seconds since the epoch. It is on this disk alone.
SAVED_KEY: Final = b"\0saved"

_UNKNOWN: Final = cast(bytes, object())


class OverlayStore(Store):
    """Faust's RocksDB store with changes in memory over each partition. None among these is a deletion."""

    def __post_init__(self) -> None:
        self._overlays: dict[int, Overlay] = defaultdict(Overlay)

    def changed_bytes(self, partition: int) -> int:
        """The bytes of the values that were set in the open checkpoint."""
        return self._overlays[partition].changed

    def unwritten(self) -> Unwritten:
        """What RocksDB does not have of all partitions."""
        return Unwritten.of(self._overlays.values())

    def freeze(self, partition: int) -> Changes:
        """Close the open checkpoint: its changes are returned, and later ones belong to the next."""
        if self._overlays[partition].is_frozen:
            raise RuntimeError(f"partition {partition} is being checkpointed already")
        return self._overlays[partition].freeze()

    def settle(self, partition: int, position: int | None) -> None:
        """After the commit: what was frozen waits for RocksDB, with the changelog position it reaches.

        Where too much waits, some of it is written.
        """
        count = self._overlays[partition].settle(position)
        writing = next((each for each, overlay in self._overlays.items() if overlay.waiting.is_writing), None)
        if writing is None and (writing := most_waiting(self._overlays)) is not None:
            self._overlays[writing].waiting.begin()
        if writing is not None:
            self._write_waiting(writing, _PACE * count)

    def write_all(self, partition: int) -> None:
        """Write everything that waits."""
        while waiting := self._overlays[partition].waiting:
            if not waiting.is_writing:
                waiting.begin()
            self._write_waiting(partition, len(waiting))

    def _write_waiting(self, partition: int, count: int) -> None:
        overlay = self._overlays[partition]
        changes, position = overlay.waiting.next(count)
        self._write(partition, changes, position)
        overlay.note_written(len(changes))

    def write_committed(self, partition: int, changes: Iterable[Change], position: int | None) -> None:
        """Write committed changes at once, after all that waits, and then the changelog position."""
        self.write_all(partition)
        self._write(partition, list(changes), position)

    def _write(self, partition: int, changes: Sequence[Change], position: int | None) -> None:
        """The position comes last: with it RocksDB has all that it stands for."""
        for first in range(0, max(len(changes), 1), _TOGETHER):
            batch = rocksdict.WriteBatch(raw_mode=True)
            for key, value in changes[first : first + _TOGETHER]:
                if value is None:
                    batch.delete(key)
                else:
                    batch.put(key, value)
            if position is not None and first + _TOGETHER >= len(changes):
                batch.put(self.offset_key, str(position).encode())
            self._db_for_partition(partition).write(batch)

    def drop(self, partition: int) -> None:
        """Forget every uncommitted change of a partition."""
        self._overlays[partition].drop()

    def position(self, partition: int) -> int:
        """The changelog position up to which the committed state is here; 0 on an empty disk."""
        if (waiting := self._overlays[partition].waiting) and waiting.position is not None:
            return waiting.position
        return int(self._db_for_partition(partition).get(self.offset_key) or 0)

    def save(self, partition: int, now: float) -> None:
        """Have everything that is committed on disk, and the time of that: `now`, in seconds since the epoch."""
        self.write_all(partition)
        database = self._db_for_partition(partition)
        database.put(SAVED_KEY, str(int(now)).encode())
        database.flush()

    def saved_at(self, partition: int) -> int:
        """When RocksDB had all that was committed, in seconds since the epoch; 0 where that is not known."""
        return int(self._db_for_partition(partition).get(SAVED_KEY) or 0)

    def wipe(self, partition: int) -> None:
        """Remove what this disk has of a partition."""
        self._overlays.pop(partition, None)
        if (database := self._dbs.pop(partition, None)) is not None:
            database.close()
        shutil.rmtree(self.partition_path(partition))

    def read(self, partition: int, key: bytes) -> bytes | None:
        """The newest value of a key, committed or not; None if there is none."""
        value: bytes | None = self._overlays[partition].get(key, _UNKNOWN)
        return self._db_for_partition(partition).get(key) if value is _UNKNOWN else value

    def read_many(self, partition: int, keys: Sequence[bytes]) -> list[bytes | None]:
        """The newest values of keys; RocksDB is asked for all at once, which halves what each costs."""
        values: list[bytes | None] = self._overlays[partition].get_many(keys, _UNKNOWN)
        if others := [at for at, value in enumerate(values) if value is _UNKNOWN]:
            stored = self._db_for_partition(partition).get([keys[at] for at in others])
            for at, value in zip(others, stored, strict=True):
                values[at] = value
        return values

    def change_many(self, partition: int, changes: Mapping[bytes, bytes]) -> None:
        """Set the values of keys in the open checkpoint."""
        self._overlays[partition].change_many(changes)

    def change(self, partition: int, key: bytes, value: bytes | None) -> None:
        """Set a key's value in the open checkpoint; None deletes it."""
        self._overlays[partition].change(key, value)

    def scan(self, partition: int, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """The items whose keys begin with `prefix`, without what Faust keeps for itself.

        What waits is written first: RocksDB alone has it in order.
        """
        self.write_all(partition)
        uncommitted = self._overlays[partition].uncommitted()
        for key, value in self._db_for_partition(partition).items(from_key=prefix):
            if not key.startswith(prefix):
                break
            if key not in uncommitted and key not in (self.offset_key, SAVED_KEY):
                yield key, value
        yield from ((key, value) for key, value in uncommitted.items() if key.startswith(prefix) and value is not None)

    def revoke_partitions(self, table: Any, tps: set[TP]) -> None:
        """Close the databases of partitions that went, with what waits for them."""
        changelogs = table.changelog_topic.topics
        for tp in tps:
            if tp.topic in changelogs and tp.partition in self._dbs:
                self._save(tp.partition)
        super().revoke_partitions(table, tps)

    async def stop(self) -> None:
        """Close all databases, with what waits for them."""
        for partition in list(self._dbs):
            self._save(partition)
        await super().stop()

    def _save(self, partition: int) -> None:
        try:
            self.write_all(partition)
        except Exception as problem:  # noqa: BLE001 - a full disk, say; the changelog has it
            what = f"{type(problem).__name__}: {problem}"
            log.warning("%s [%d]: not all was written (%s); a restore brings it", self.table_name, partition, what)
        self._overlays.pop(partition, None)

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
