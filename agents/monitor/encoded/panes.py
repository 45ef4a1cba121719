"""Sealed panes that a kernel asks for, read and given to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Self, cast

import numpy as np
from numpy.typing import NDArray

from agents.monitor.encoded.layout import (
    BLOCK_BEGIN,
    LANE,
    OWNER,
    PANE_BEGIN,
    PLACE,
    SERIES,
    SEVERAL,
    SLOT,
    SPAN,
    VALUE_BYTES,
    Whole,
)
from agents.monitor.encoded.msgpack import joined
from schemas.columns.words import Bytes
from streams.panes import FOLLOWING, PANE
from streams.stage import ReadParts

_SUMS_BYTES: Final = 2 * VALUE_BYTES


@dataclass(frozen=True, eq=False)
class Panes:
    """Panes that are to leave, each with the sums of what follows it, and panes that a block begins with.

    `spans`: of each state and lane where they begin and end in `text`, an end of 0 where it has none (`series`).
    """

    text: Bytes
    spans: NDArray[Any]

    @classmethod
    def none(cls, states: int, lanes: int) -> Self:
        return cls(joined([]), np.zeros((states, lanes, SPAN), np.int64))

    @classmethod
    def read(cls, wanted: Whole, places: Sequence[int], lanes: int, read: ReadParts) -> Self:
        """Those of `wanted`, for the states that want any, in their order; what is damaged is left out."""
        owners, states = np.unique(wanted[:, OWNER], return_inverse=True)
        panes, rows = cls.none(len(owners), lanes), wanted.tolist()
        found = iter(read([(places[row[OWNER]], name) for row in rows for name in _names(row)]))
        text, end = list[bytes](), 0
        for state, row in zip(states.tolist(), rows, strict=True):
            data = _block_of(row, found) if row[SEVERAL] else _pane_of(row, found)
            if data is not None:
                begins = BLOCK_BEGIN if row[SEVERAL] else PANE_BEGIN
                length = len(data) - (0 if row[SEVERAL] else _SUMS_BYTES)
                panes.spans[state, row[LANE], begins : begins + 2] = end, end + length
                text.append(data)
                end += len(data)
        return cls(joined(text), panes.spans)


class NewestParts(dict[tuple[int, bytes], bytes]):
    """Parts that were made, which others are read from before the table has them; by the places of their groups."""

    def __init__(self, read: ReadParts) -> None:
        super().__init__()
        self._read = read

    def read(self, which: Sequence[tuple[int, bytes]]) -> list[bytes | None]:
        """These, or those of the table."""
        others = [one for one in which if one not in self]
        stored = dict(zip(others, self._read(others), strict=True)) if others else {}
        return [self[one] if one in self else stored[one] for one in which]


def _names(row: list[int]) -> list[bytes]:
    """The names of the parts that are to be read."""
    series, slot = row[SERIES].to_bytes(4, "big"), row[SLOT]
    if several := row[SEVERAL]:
        return [series + number.to_bytes(4, "big") for number in range(slot, slot + several)]
    return [series + slot.to_bytes(4, "big"), series + FOLLOWING]


def _block_of(row: list[int], found: Iterator[bytes | None]) -> bytes | None:
    """The values of panes one after the other; None where one is not there."""
    panes = [*islice(found, row[SEVERAL])]
    return None if None in panes else b"".join(cast("list[bytes]", panes))


def _pane_of(row: list[int], found: Iterator[bytes | None]) -> bytes | None:
    """A pane and the sums of what follows it; None where they cannot be these."""
    first, pane, sums = row[PLACE] * _SUMS_BYTES, next(found), next(found)
    own = (sums or b"")[first : first + _SUMS_BYTES]
    return pane + own if pane and len(pane) <= PANE * VALUE_BYTES and len(own) == _SUMS_BYTES else None
