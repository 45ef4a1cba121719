"""Sealed panes that a kernel asks for, read and given to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from agents.monitor.encoded.msgpack import joined
from agents.monitor.encoded.series import LANE, OWNER, PLACE, SERIES, SLOT, Whole
from schemas.columns.words import Bytes
from streams.panes import FOLLOWING, PANE
from streams.stage import ReadParts

_BYTES: Final = 8
_SUMS_BYTES: Final = 2 * _BYTES


@dataclass(frozen=True, eq=False)
class Panes:
    """Panes, each with the sums of what follows it; `spans`: of each state and lane where its pane begins and ends in
    `text`, an end of 0 where it has none.
    """

    text: Bytes
    spans: NDArray[Any]

    @classmethod
    def none(cls, states: int, lanes: int) -> Self:
        return cls(joined([]), np.zeros((states, lanes, 2), np.int64))

    @classmethod
    def read(cls, wanted: Whole, places: Sequence[int], lanes: int, read: ReadParts) -> Self:
        """Those of `wanted`, for the states that want any, in their order; what is damaged is left out."""
        owners, states = np.unique(wanted[:, OWNER], return_inverse=True)
        panes = cls.none(len(owners), lanes)
        keys = [places[owner] for owner in wanted[:, OWNER].tolist()]
        series, slots = (_names(wanted[:, column]) for column in (SERIES, SLOT))
        found = read([(key, one + slot) for key, one, slot in zip(keys, series, slots, strict=True)])
        following = read([(key, one + FOLLOWING) for key, one in zip(keys, series, strict=True)])
        text, end = list[bytes](), 0
        for row, (pane, sums) in enumerate(zip(found, following, strict=True)):
            first = int(wanted[row, PLACE]) * _SUMS_BYTES
            own = (sums or b"")[first : first + _SUMS_BYTES]
            if pane and len(pane) <= PANE * _BYTES and len(own) == _SUMS_BYTES:
                panes.spans[states[row], wanted[row, LANE]] = end, end + len(pane)
                text += (pane, own)
                end += len(pane) + _SUMS_BYTES
        return cls(joined(text), panes.spans)


def _names(numbers: Whole) -> list[bytes]:
    return [number.to_bytes(4, "big") for number in numbers.tolist()]
