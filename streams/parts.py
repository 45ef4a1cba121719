"""What a key keeps beside its state: values that are too many to be written with each change of the state.

A state is read and written whole. What it need not look at for every record goes into parts, which are records of their
own in the same table: read when they are looked at, and written together with the state, or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import Protocol, cast


class Table(Protocol):
    """One partition's keys and values: a Faust table's when live, a dict's in a backtest."""

    def get(self, key: bytes, /) -> bytes | None: ...
    def get_many(self, keys: Sequence[bytes], /) -> list[bytes | None]:
        """The values of keys, which costs less than to get each."""
        ...

    def __setitem__(self, key: bytes, value: bytes, /) -> None: ...
    def update(self, changes: Mapping[bytes, bytes], /) -> None: ...
    def __delitem__(self, key: bytes, /) -> None: ...
    def __contains__(self, key: object, /) -> bool: ...
    def scan(self, prefix: bytes, /) -> Iterator[tuple[bytes, bytes]]:
        """The items whose keys begin with `prefix`."""
        ...


class MemoryTable(dict[bytes, bytes]):
    """A table in memory alone."""

    def get_many(self, keys: Sequence[bytes], /) -> list[bytes | None]:
        return [self.get(key) for key in keys]

    def scan(self, prefix: bytes, /) -> Iterator[tuple[bytes, bytes]]:
        return iter([(key, value) for key, value in self.items() if key.startswith(prefix)])


class Parts:
    """The parts of one key, or (`within`) those whose names begin alike. Changes wait until they are written."""

    __slots__ = ("_changes", "_prefix", "_table")

    def __init__(
        self, table: Table, prefix: bytes = b"", changes: MutableMapping[bytes, bytes | None] | None = None
    ) -> None:
        self._table, self._prefix = table, prefix
        self._changes: MutableMapping[bytes, bytes | None] = {} if changes is None else changes

    def within(self, prefix: bytes) -> Parts:
        """The parts whose names begin with `prefix`, by the rest of their names."""
        return Parts(self._table, self._prefix + prefix, self._changes)

    def __getitem__(self, name: bytes) -> bytes:
        key = self._prefix + name
        value = self._changes[key] if key in self._changes else self._table.get(key)
        if value is None:
            raise KeyError(name)
        return value

    def __setitem__(self, name: bytes, value: bytes) -> None:
        self._changes[self._prefix + name] = value

    def get_all(self, names: Iterable[bytes]) -> list[bytes]:
        """Several parts; raises KeyError if one is not there."""
        keys, changes = [self._prefix + name for name in names], self._changes
        others = [key for key in keys if key not in changes]
        stored = dict(zip(others, self._table.get_many(others), strict=True)) if others else {}
        found = [changes[key] if key in changes else stored[key] for key in keys]
        if None in found:
            raise KeyError(keys[found.index(None)][len(self._prefix) :])
        return cast("list[bytes]", found)

    def put_all(self, names: Iterable[bytes], values: Iterable[bytes]) -> None:
        """Set several parts, each to the value in its place."""
        prefix = self._prefix
        self._changes.update(zip([prefix + name for name in names], values, strict=True))

    def discard(self, name: bytes) -> None:
        """Delete a part, if there is one."""
        self._changes[self._prefix + name] = None

    def write(self) -> None:
        """Put all changes, of whatever prefix, into the table."""
        if not self._changes:
            return
        self._table.update({key: value for key, value in self._changes.items() if value is not None})
        for key in [key for key, value in self._changes.items() if value is None and key in self._table]:
            del self._table[key]
        self._changes.clear()
