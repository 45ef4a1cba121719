"""Turns valid values into others: mostly still JSON, so that what lies behind the JSON parser is reached too."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Final

_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|[a-zA-Z]+|[{}\[\]:,]|[^"]', re.DOTALL)

#: Values at which something changes, and such as no parser expects.
LITERALS: Final[tuple[bytes, ...]] = (
    *rb"""
    0 -0 1 -1 0.5 -0.0 1.0 1.0000000000000002 1e308 1e309 -1e400 5e-324 1e-400 01 .5 nan NaN Infinity -Infinity
    9223372036854775807 9223372036854775808 -9223372036854775809 18446744073709551616
    946684799 946684800 1700000000 1700000000.5 1700000000000 4102444799.9999999 4102444800
    true false null [] {} [[]] {"a":1} [1] [1.5,"a",true] [null] "" "a" "a/b" "1" "1.5" "eyJ9"
    "\u0000" "\ud800" "\ud83d\ude00" "\u2028" "\n"
    "2024-01-01" "2024-01-01T00:00:00" "2024-02-30T00:00:00Z" "2024-02-29T23:59:60Z" "2024-01-01T00:00:00+23:59"
    "2099-12-31T23:59:59.999999999Z" "2100-01-01T00:00:00+00:01"
    "0001-01-01T00:00:00+14:00" "9999-12-31T23:59:59-14:00"
    """.split(),
    *(b"9" * 400, b"-" + b"9" * 5_000, b"0." + b"3" * 400, '"é"'.encode(), b'"\x7f"'),
    *(b'"\n"', b'"\xff"', b'"\xed\xa0\x80"'),
    *(b'"' + b"x" * length + b'"' for length in (64, 65, 128, 129, 249, 250, 256, 257, 1_000, 1_001, 10_001)),
)

_BYTES: Final = (
    b"\x00",
    b"\xff",
    b"\xc3",
    b"\xef\xbb\xbf",
    b"\r",
    b"\n",
    b" ",
    b"\\",
    b'"',
    b"{",
    b"}",
    b"\xe2\x80\xa8",
)

#: Beginnings of MessagePack values that promise more than follows, and others that change what follows.
_PACKED: Final = (
    *(b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff",
      b"\xdc\xff\xff"),
    *(b"\xcf" + b"\xff" * 8, b"\xd3\x80" + bytes(7), b"\xcb\x7f\xf0" + bytes(6), b"\xcb\x7f\xf8" + bytes(6), b"\xc0"),
    *(b"\x80", b"\x90", b"\xa0", b"\xc4\x00", b"\xc2", b"\xc3", b"\xff", b"\x7f", b"\x00", b"\xd9\x01\xff",
      b"\x91" * 2_000),
)  # fmt: skip


class Mutator:
    """Draws values near valid ones. All its choices come from `random`, so that a seed gives the same values again."""

    def __init__(self, draw: random.Random, seeds: Sequence[bytes]) -> None:
        self.random = draw
        self._seeds: list[list[bytes]] = [_TOKEN.findall(seed) for seed in seeds]
        self._names = sorted({token for tokens in self._seeds for token in tokens if token.startswith(b'"')}) or [
            b'"a"'
        ]

    def json(self) -> bytes:
        """A value: one of the valid ones after a few changes; one in twelve as it is."""
        tokens = list(self.random.choice(self._seeds))
        chance = self.random.random()
        if chance < 1 / 12:
            return b"".join(tokens)
        for _ in range(1 if chance < 0.6 else self.random.randint(2, 5)):
            self._change(tokens)
        value = b"".join(tokens)
        return self.damaged(value) if self.random.random() < 0.08 else value

    def literal(self) -> bytes:
        """A JSON value, or nearly one."""
        known: Sequence[bytes] = LITERALS if self.random.random() < 0.7 else self._names
        return self.random.choice(known)

    def _change(self, tokens: list[bytes]) -> None:
        draw, at = self.random, self.random.randrange(len(tokens) + 1)
        kind = draw.random()
        if kind < 0.45:  # another value where a value is
            values = [place for place, token in enumerate(tokens) if token not in b"{}[]:,"]
            if values:
                tokens[draw.choice(values)] = self.literal()
        elif kind < 0.6:  # one more member, or item
            opened = [place for place, token in enumerate(tokens) if token in (b"{", b"[")]
            if opened:
                place = draw.choice(opened)
                name = draw.choice(self._names) + b":" if tokens[place] == b"{" else b""
                tokens[place + 1 : place + 1] = [name + self.literal(), b","]
        elif kind < 0.75:  # less
            del tokens[at : at + draw.choice((1, 2, 3, 4, 4, 4, 8))]
        elif kind < 0.85:  # the end of another
            other = draw.choice(self._seeds)
            tokens[at:] = other[draw.randrange(len(other)) :]
        elif kind < 0.92:  # the same again
            tokens[at:at] = tokens[at : at + draw.randint(1, 8)]
        elif kind < 0.999:  # in another order
            begin, end = sorted((at, draw.randrange(len(tokens) + 1)))
            tokens[begin:end] = tokens[begin:end][::-1]
        else:  # very much of it
            times = draw.choice((50, 210, 1_001, 100_001 if draw.random() < 0.02 else 2_000))
            tokens[at:at] = tokens[at : at + draw.randint(1, 4)] * times

    def damaged(self, value: bytes) -> bytes:
        """A value with some bytes lost, added or changed."""
        draw, at = self.random, self.random.randrange(len(value) + 1)
        kind = draw.random()
        if kind < 0.3:
            return value[:at]
        if kind < 0.6:
            return value[:at] + draw.choice(_BYTES) + value[at + draw.randint(0, 3) :]
        if kind < 0.8:
            return value[:at] + draw.randbytes(draw.randint(1, 8)) + value[at + draw.randint(0, 8) :]
        changed = bytearray(value or b"\0")
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
        return bytes(changed)

    def packed(self, value: bytes) -> bytes:
        """Bytes of a state, changed at a few places."""
        draw = self.random
        for _ in range(draw.choice((1, 1, 1, 2, 4))):
            at = draw.randrange(len(value) + 1)
            if draw.random() < 0.5:
                value = value[:at] + draw.choice(_PACKED) + value[at + draw.choice((0, 1, 5, 9)) :]
            else:
                value = self.damaged(value)
        return value
