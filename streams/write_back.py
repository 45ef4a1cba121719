"""Write-back: committed changes that RocksDB does not have yet wait in memory, where newer ones take their place.

States of a busy fleet change again and again; RocksDB would take in, sort and write each change. The changelog has
everything that waits. A crash takes it from memory, and a restore begins at the position that RocksDB holds: that is
written after the changes it stands for, so values may be ahead of it, which a restore does not mind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

Changes = Mapping[bytes, bytes | None]
Change = tuple[bytes, bytes | None]

#: Bytes that a change takes in memory beside its value: its key, and its places in dictionaries.
OVERHEAD: Final = 400


class Changed:
    """`newest`: the newest values of keys; and how many bytes they are at most, counted only where that matters.

    To know it after each change would cost several looks into dictionaries that are too large for caches.
    """

    __slots__ = ("_counted", "_since", "newest")

    def __init__(self) -> None:
        self.newest: dict[bytes, bytes | None] = {}
        self._counted = self._since = 0

    def __len__(self) -> int:
        return len(self.newest)

    def take(self, changes: Changes, size: int) -> None:
        """Set the values of keys, which are so many bytes."""
        self._since += size
        self.newest.update(changes)

    @property
    def at_most(self) -> int:
        """Bytes of all values when they were counted, and of all that came since then."""
        return self._counted + self._since

    def count(self) -> int:
        """Bytes of all values."""
        self._counted, self._since = bytes_of(self.newest.values()), 0
        return self._counted

    def reaches(self, limit: int) -> bool:
        """Whether the values are so many bytes, or were when they were counted."""
        return self._counted >= limit or (self.at_most >= limit and self.count() >= limit)


class WriteBack:
    """What waits of one partition: changes that are being written, and newer ones. None for a value is a deletion.

    `position` is the changelog position that all of it reaches; `logged` the bytes of all changes after the position
    that RocksDB holds, or will hold when what is being written is, as they were counted when they came.
    """

    def __init__(self) -> None:
        self.position: int | None = None
        self.logged = 0
        self._newer, self._older = Changed(), Changed()
        self._to_write: list[Change] = []
        self._written = 0
        self._reaches: int | None = None

    def __len__(self) -> int:
        """How many changes wait."""
        return len(self._newer) + len(self._older)

    def changes(self) -> dict[bytes, bytes | None]:
        """What waits, by key."""
        return self._older.newest | self._newer.newest

    @property
    def is_writing(self) -> bool:
        """Whether changes are being written."""
        return self._reaches is not None

    @property
    def at_most(self) -> int:
        """Bytes of what waits, at most."""
        return self._older.at_most + self._newer.at_most

    def count(self) -> int:
        """Bytes of what waits."""
        return self._older.count() + self._newer.count()

    def add(self, changes: Changed, position: int) -> None:
        """Have committed changes wait, which reach this position of the changelog."""
        self.logged += changes.at_most + OVERHEAD * len(changes)
        self._newer.take(changes.newest, changes.at_most)
        self.position = position

    def begin(self) -> None:
        """Begin to write what waits by now; nothing else may be being written."""
        self._older, self._newer, self.logged = self._newer, Changed(), 0
        self._to_write, self._written, self._reaches = list(self._older.newest.items()), 0, self.position

    def next(self, count: int) -> tuple[list[Change], int | None]:
        """So many of the changes to be written; with the last of them, the position that is to follow them."""
        some = self._to_write[self._written : self._written + count]
        return some, self._reaches if self._written + len(some) == len(self._to_write) else None

    def note_written(self, count: int) -> None:
        """So many more are written, with the position if they were the last."""
        self._written += count
        if self._written == len(self._to_write):
            self._older, self._to_write, self._reaches = Changed(), [], None


def bytes_of(values: Iterable[bytes | None]) -> int:
    """Of all these together."""
    return sum(map(len, filter(None, values)))
