"""What a column decoder gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self, overload

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Kind:
    """What messages of one kind have in common. `metrics`: names in the order of `Metrics.values`."""

    model_name: str
    model_version: str
    metrics: tuple[str, ...]


@dataclass(slots=True)  # not frozen, for it is made in half the time
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


class ColumnGroups(Sequence[MetricColumns]):
    """The messages of a batch by kind, made into `MetricColumns` where somebody looks: there may be many kinds.

    Those of `kinds[n]` are columns from `firsts[n]` to before `ends[n]` of `places`, `times` and `values`, whose rows
    are as many as any kind has metrics, and more.
    """

    def __init__(
        self,
        kinds: Sequence[Kind],
        firsts: Integers,
        ends: Integers,
        places: Integers,
        times: Integers,
        values: NDArray[np.float64],
    ) -> None:
        self.kinds, self.firsts, self.ends = kinds, firsts, ends
        self.places, self.times, self.values = places, times, values

    def __len__(self) -> int:
        return len(self.kinds)

    @overload
    def __getitem__(self, number: int) -> MetricColumns: ...
    @overload
    def __getitem__(self, number: slice) -> ColumnGroups: ...
    def __getitem__(self, number: int | slice) -> MetricColumns | ColumnGroups:
        if isinstance(number, slice):
            return self.only(range(len(self))[number])
        kind, part = self.kinds[number], slice(self.firsts[number], self.ends[number])
        return MetricColumns(kind, self.places[part], self.times[part], self.values[: len(kind.metrics), part])

    def only(self, numbers: Sequence[int]) -> ColumnGroups:
        """Those of some kinds."""
        some = np.asarray(numbers, np.int64)
        kinds = [self.kinds[number] for number in numbers]
        return ColumnGroups(kinds, self.firsts[some], self.ends[some], self.places, self.times, self.values)
