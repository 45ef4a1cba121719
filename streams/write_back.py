"""Write-back: committed changes that RocksDB does not have yet wait in memory, where newer ones take their place.

States of a busy fleet change again and again; RocksDB would take in, sort and write each change. The changelog has
everything that waits. A crash takes it from memory, and a restore begins at the position that RocksDB holds: that is
written after the changes it stands for, so values may be ahead of it, which a restore does not mind.
"""

from __future__ import annotations

from streams.changed import Changes

Change = tuple[bytes, bytes | None]


class WriteBack:
    """What waits of one partition: changes that are being written, and newer ones. None for a value is a deletion.

    `position` is the changelog position that all of it reaches; `logged` the bytes of all changes after the position
    that RocksDB holds, or will hold when what is being written is.
    """

    def __init__(self) -> None:
        self.position: int | None = None
        self.logged = 0
        self._newer: dict[bytes, bytes | None] = {}
        self._older: dict[bytes, bytes | None] = {}
        self._to_write: list[Change] = []
        self._written = 0
        self._reaches: int | None = None

    def __len__(self) -> int:
        """How many changes wait."""
        return len(self._newer) + len(self._older)

    def changes(self) -> dict[bytes, bytes | None]:
        """What waits, by key."""
        return self._older | self._newer

    @property
    def is_writing(self) -> bool:
        """Whether changes are being written."""
        return self._reaches is not None

    def add(self, changes: Changes, position: int, size: int) -> None:
        """Have committed changes wait, which reach this position of the changelog and take so many bytes."""
        self._newer.update(changes)
        self.logged += size
        self.position = position

    def begin(self) -> None:
        """Begin to write what waits by now; nothing else may be being written."""
        self._older, self._newer, self.logged = self._newer, {}, 0
        self._to_write, self._written, self._reaches = list(self._older.items()), 0, self.position

    def next(self, count: int) -> tuple[list[Change], int | None]:
        """So many of the changes to be written; with the last of them, the position that is to follow them."""
        some = self._to_write[self._written : self._written + count]
        return some, self._reaches if self._written + len(some) == len(self._to_write) else None

    def note_written(self, count: int) -> None:
        """So many more are written, with the position if they were the last."""
        self._written += count
        if self._written == len(self._to_write):
            self._older, self._to_write, self._reaches = {}, [], None
