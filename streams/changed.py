"""Values of keys in memory, and about how many bytes they are, without a look at those that newer ones replace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Changes = Mapping[bytes, bytes | None]


class Changed:
    """`values`: the newest of each key, None for a deletion; `size`: about how many bytes they are.

    A value that replaces another is taken to be as long as that, for to look at the other one costs as much as to look
    it up: states of a large fleet are in no cache. After `counted_after` bytes of values all are counted.
    """

    __slots__ = ("_counted_after", "_since", "size", "values")

    def __init__(self, counted_after: int, values: dict[bytes, bytes | None] | None = None) -> None:
        self.values = {} if values is None else values
        self._counted_after = counted_after
        self._count()

    def __len__(self) -> int:
        return len(self.values)

    def take(self, changes: Changes, size: int) -> None:
        """Set the values of keys, which are so many bytes."""
        if not changes:
            return
        before = len(self.values)
        self.values.update(changes)
        self.size += size * (len(self.values) - before) // len(changes)
        self._since += size
        if self._since > self._counted_after:
            self._count()

    def _count(self) -> None:
        self.size, self._since = bytes_of(self.values.values()), 0


def bytes_of(values: Iterable[bytes | None]) -> int:
    """How many bytes values are together."""
    return sum(map(len, filter(None, values)))
