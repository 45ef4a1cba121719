"""A map whose entries are kept for a time: what waits for a partner, beside the state of a key rather than in it.

Each entry is a part of its own. The order in which they entered, which is that of their expiry, is a queue in chunks of
`CHUNK` names: a chunk that is full is sealed into a part, and the head keeps the open one. So a change writes one entry
and at most a chunk of names, however many wait, and what is due is found without looking at the others.

    |chunk 7: . . a b c d|chunk 8: e f g h i j|open: k l m|
                  ^ gone: those before it                  ^ pushed
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

import msgspec

from streams.parts import Parts

#: Names of a chunk.
CHUNK: Final = 32

_ENTERED: Final = struct.Struct("<q")
_ENTRIES: Final = b"e"
_CHUNKS: Final = b"c"

_Names = list[tuple[int, str]]
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Names).decode


class ExpiringHead(msgspec.Struct, array_like=True):
    """What is written with each change: how many names have ever been `pushed` and are `gone`, and the open chunk.

    `oldest` is when the first that is not gone entered; it means nothing where there is none.
    """

    pushed: int = 0
    gone: int = 0
    oldest: int = 0
    open: list[tuple[int, str]] = msgspec.field(default_factory=list)

    def __post_init__(self) -> None:
        """Raises ValueError, also when it is decoded, if more is gone than there ever was."""
        if not 0 <= self.gone <= self.pushed:
            raise ValueError(f"expected at most {self.pushed} gone, got {self.gone}")

    def __len__(self) -> int:
        return self.pushed - self.gone


class Expiring:
    """Entries by name, the oldest first to go. Times are whole numbers of any unit that never go back."""

    __slots__ = ("_chunks", "_entries", "head")

    def __init__(self, head: ExpiringHead, parts: Parts) -> None:
        self.head = head
        self._entries, self._chunks = parts.within(_ENTRIES), parts.within(_CHUNKS)

    def get(self, name: str) -> tuple[int, bytes] | None:
        """When an entry entered, and what it is; None if there is none of this name."""
        try:
            data = self._entries[name.encode()]
        except KeyError:
            return None
        return _ENTERED.unpack_from(data)[0], data[_ENTERED.size :]

    def enter(self, name: str, value: bytes, now: int) -> None:
        """A new entry, the last to expire. It replaces one of the same name that has not been taken out yet."""
        head = self.head
        if not len(head):
            head.oldest = now
        self._entries[name.encode()] = _ENTERED.pack(now) + value
        head.open.append((now, name))
        head.pushed += 1
        if len(head.open) == CHUNK:
            self._chunks[_number(head.pushed // CHUNK - 1)] = _encode(head.open)
            head.open = []

    def replace(self, name: str, entered: int, value: bytes) -> None:
        """Change what an entry is; it keeps its place among the others."""
        self._entries[name.encode()] = _ENTERED.pack(entered) + value

    def take_oldest(self) -> bytes | None:
        """Take out what entered first, of which there must be one; None if it had been replaced by a later entry."""
        head = self.head
        chunk, place = divmod(head.gone, CHUNK)
        names = self._names(chunk)
        entered, name = names[place]
        found = self.get(name)
        if found is not None and found[0] == entered:
            self._entries.discard(name.encode())
        head.gone += 1
        if place + 1 == CHUNK:
            self._chunks.discard(_number(chunk))
        if len(head):
            chunk, place = divmod(head.gone, CHUNK)
            head.oldest = (names if place else self._names(chunk))[place][0]
        return found[1] if found is not None and found[0] == entered else None

    def _names(self, chunk: int) -> _Names:
        return self.head.open if chunk == self.head.pushed // CHUNK else _decode(self._chunks[_number(chunk)])

    def discard(self) -> None:
        """Delete everything that is kept outside of the head; the map is not used after that."""
        for name in self._all_names():
            self._entries.discard(name.encode())
        for chunk in range(self.head.gone // CHUNK, self.head.pushed // CHUNK):
            self._chunks.discard(_number(chunk))

    def _all_names(self) -> Iterator[str]:
        for chunk in range(self.head.gone // CHUNK, self.head.pushed // CHUNK + 1):
            for _, name in self._names(chunk):
                yield name


def _number(chunk: int) -> bytes:
    return chunk.to_bytes(8, "big")
