"""MessagePack as a tree, whose parts can be changed so that what is around them still fits."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

#: Of first bytes: how many bytes of a number follow, and how many of a length.
_NUMBERS: Final = {0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
_LENGTHS: Final = {0xC4: 1, 0xC5: 2, 0xD9: 1, 0xDA: 2}

#: Values at which something changes, or that are not what they were; the empty ones stand for whole arrays and maps.
_LEAVES: Final[tuple[bytes, ...]] = (
    *(b"\x00", b"\x01", b"\x7f", b"\xcc\x05", b"\xcd\x01\xf4", b"\xce\xff\xff\xff\xff", b"\xcf\x7f" + b"\xff" * 7),
    *(b"\xcf" + bytes(3) + b"\x01" + bytes(4), b"\xcf\x01" + bytes(7)),
    *(b"\xcf\x80" + bytes(7), b"\xcf" + b"\xff" * 8, b"\xff", b"\xd3\x80" + bytes(7)),
    *(b"\xcb" + bytes(8), b"\xcb\xbf\xf0" + bytes(6), b"\xcb\x7f\xf0" + bytes(6), b"\xcb\x7f\xf8" + bytes(6)),
    *(b"\xcb\x7f\xef" + b"\xff" * 6, b"\xcb" + bytes(7) + b"\x01", b"\xc0", b"\xc2", b"\xc3", b"\x80", b"\x90"),
    *(b"\xa0", b"\xa1a", b"\xa1\xff", b"\xd9\x01a", b"\xa2ok", b"\xa7warming", b"\xa5drift"),
    *(b"\xc4\x00", b"\xc4\x08" + bytes(8), b"\xc4\xf8" + bytes(248), b"\xc5\x01\xf8" + bytes(504)),
    *(b"\xc5\x02\x00" + bytes(512), b"\xc5\x04\x00" + bytes(1_024), b"\xd9\x08" + bytes(8)),
)


@dataclass
class Nested:
    """An array, or a map whose keys and values take turns."""

    is_map: bool
    parts: list[Nested | bytes]

    def __bytes__(self) -> bytes:
        count = len(self.parts) >> self.is_map
        short, long = (0x80, b"\xde") if self.is_map else (0x90, b"\xdc")
        header = bytes([short + count]) if count < 16 else long + count.to_bytes(2, "big")
        return header + b"".join(map(bytes, self.parts))

    def all(self) -> Iterator[Nested]:
        """It and all that is within."""
        yield self
        for part in self.parts:
            if isinstance(part, Nested):
                yield from part.all()


def tree_of(data: bytes) -> Nested:
    """Of an array, or a map, as msgspec writes them."""
    found, end = _read(data, 0)
    assert isinstance(found, Nested)
    assert end == len(data)
    return found


def _read(data: bytes, at: int) -> tuple[Nested | bytes, int]:
    first = data[at]
    is_map = 0x80 <= first < 0x90 or first == 0xDE
    if is_map or 0x90 <= first < 0xA0 or first == 0xDC:
        is_short = first < 0xA0
        count = first & 15 if is_short else int.from_bytes(data[at + 1 : at + 3], "big")
        end, parts = at + (1 if is_short else 3), list[Nested | bytes]()
        for _ in range(count << is_map):
            part, end = _read(data, end)
            parts.append(part)
        return Nested(is_map, parts), end
    if size := _LENGTHS.get(first):
        end = at + 1 + size + int.from_bytes(data[at + 1 : at + 1 + size], "big")
    else:
        end = at + 1 + (first & 31 if 0xA0 <= first < 0xC0 else _NUMBERS.get(first, 0))
    return data[at:end], end


def changed(draw: random.Random, data: bytes) -> bytes:
    """An array or a map of which something is another value, missing, moved, or there several times."""
    tree = tree_of(data)
    for _ in range(draw.choice((1, 1, 2, 3))):
        one = draw.choice([each for each in tree.all() if each.parts])
        size = 1 + one.is_map
        at = draw.randrange(0, len(one.parts), size)
        kind = draw.random()
        if kind < 0.6:
            one.parts[draw.randrange(len(one.parts))] = draw.choice(_LEAVES)
        elif kind < 0.7:
            del one.parts[at : at + size]
        elif kind < 0.8:
            other = draw.randrange(len(one.parts))
            one.parts[at], one.parts[other] = one.parts[other], one.parts[at]
        elif kind < 0.9:  # one more takes another's place, so that there are as many
            place = draw.randrange(0, len(one.parts), size)
            one.parts[place : place + size] = one.parts[at : at + size]
        else:
            one.parts[at:at] = one.parts[at : at + size] * draw.choice((1, 1, 3, 300))
    return bytes(tree)
