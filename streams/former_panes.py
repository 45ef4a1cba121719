"""Panes as earlier releases cut them: of 64 values. A window that has such is read once, and cut anew."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
import numpy as np

from streams.panes import FOLLOWING, LARGEST, Floats, WindowHead
from streams.parts import Parts
from streams.windows import CountWindow

_PANE: Final = 64
_BYTES: Final = 8


class FormerHead(msgspec.Struct, array_like=True):
    """What was written with each change: the fields of `streams.panes.WindowHead`, with longer panes."""

    size: Annotated[int, msgspec.Meta(ge=2, le=LARGEST)]
    pushed: Annotated[int, msgspec.Meta(ge=0)] = 0
    level: float = 0.0
    total: float = 0.0
    squares: float = 0.0
    open: Annotated[bytes, msgspec.Meta(max_length=_PANE * _BYTES)] = b""

    @property
    def panes(self) -> int:
        """How many a block has."""
        return -(-self.size // _PANE)


def cut_anew(head: FormerHead, parts: Parts) -> WindowHead:
    """The window's head, with the same values in panes of today; what is measured next is the same to the digit.

    `parts` are the window's own. Raises ValueError where one is damaged, KeyError where one is missing.
    """
    values = _values(head, parts)
    for number in range(2 * head.panes):
        parts.discard(_name(number))
    parts.discard(FOLLOWING)
    return CountWindow.holding(head.size, head.pushed, head.level, values, parts).head


def _values(head: FormerHead, parts: Parts) -> Floats:
    """What is in the window, oldest first."""
    block, place = divmod(head.pushed, head.size)
    if not place and head.pushed:
        block, place = block - 1, head.size
    now = _block(head, block, place, parts, head.open)
    if place == head.size or not block:
        return now
    return np.concatenate((_block(head, block - 1, head.size, parts, b"")[place:], now))


def _block(head: FormerHead, block: int, end: int, parts: Parts, unsealed: bytes) -> Floats:
    """The values of a block up to a place; those that no pane has yet are `unsealed`."""
    count = -(-(end - len(unsealed) // _BYTES) // _PANE)
    panes = parts.get_all([_name(block % 2 * head.panes + number) for number in range(count)])
    values = np.frombuffer(b"".join([*panes, unsealed]), "<f8")
    if len(values) != end:
        raise ValueError(f"window: expected {end} values of a block, got {len(values)}")
    return values


def _name(number: int) -> bytes:
    return number.to_bytes(4, "big")
