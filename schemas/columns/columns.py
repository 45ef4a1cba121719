"""What a column decoder gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Kind:
    """What messages of one kind have in common. `metrics`: names in the order of `Metrics.values`."""

    model_name: str
    model_version: str
    metrics: tuple[str, ...]


@dataclass(slots=True)  # not frozen: one is made for each model in a batch, in half the time
class MetricColumns:
    """Messages of one kind, at least one; not to be changed.

    `places`: of their records in the batch, ascending. `times`: event times in microseconds since the epoch. `values`:
    a row for each metric, a column for each message.
    """

    kind: Kind
    places: Integers
    times: Integers
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, part: slice) -> Self:
        """Some of them."""
        return type(self)(self.kind, self.places[part], self.times[part], self.values[:, part])

    def between(self, begin: int, end: int) -> Self | None:
        """Those at places from `begin` to before `end`, counted from there; None if there are none."""
        first, last = np.searchsorted(self.places, (begin, end))
        if first == last:
            return None
        part = self[first:last]
        return replace(part, places=part.places - begin)
