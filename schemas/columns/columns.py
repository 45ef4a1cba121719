"""What a column decoder gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Self, TypeVar, cast, overload

import numpy as np
from numpy.typing import NDArray

from schemas.columns.words import Bytes

T = TypeVar("T")
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Kind:
    """What messages of one kind have in common. `metrics`: names in the order of `Metrics.values`.

    `key`: the model's name as the key of its records; one object for all of a decoder's lookups.
    """

    model_name: str
    model_version: str
    metrics: tuple[str, ...]
    key: bytes


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


class Kinds(list[Kind | None]):
    """All kinds that one decoder knows, by their numbers, which stay; None: messages that are decoded one by one."""

    def __init__(self) -> None:
        super().__init__()
        self._keys: NDArray[Any] = np.zeros(0, np.object_)

    @property
    def keys(self) -> NDArray[Any]:
        """The key of each. To look at each kind for its key would cost a large fleet more than all else here."""
        if new := self[len(self._keys) :]:
            self._keys = np.append(self._keys, np.array([kind and kind.key for kind in new], np.object_))
        return self._keys


class ColumnGroups(Sequence[MetricColumns]):
    """The messages of a batch by kind, made into `MetricColumns` where somebody looks: there may be many kinds.

    Group n is of the kind `kinds[numbers[n]]`: columns from `firsts[n]` to before `ends[n]` of `places`, `times` and
    `values`, whose rows are as many as any kind has metrics, and more. `texts`, from `texts_at[n]` on, has the names of
    group n's kind, as `schemas.columns.kinds.put_key` writes them.
    """

    def __init__(
        self,
        kinds: Kinds,
        numbers: Integers,
        texts: Bytes,
        texts_at: Integers,
        firsts: Integers,
        ends: Integers,
        places: Integers,
        times: Integers,
        values: NDArray[np.float64],
    ) -> None:
        self.kinds, self.numbers, self.firsts, self.ends = kinds, numbers, firsts, ends
        self.texts, self.texts_at = texts, texts_at
        self.places, self.times, self.values = places, times, values

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, number: int) -> MetricColumns: ...
    @overload
    def __getitem__(self, number: slice) -> ColumnGroups: ...
    def __getitem__(self, number: int | slice) -> MetricColumns | ColumnGroups:
        if isinstance(number, slice):
            return self.only(np.arange(len(self))[number])
        kind, part = self.kind(number), slice(self.firsts[number], self.ends[number])
        return MetricColumns(kind, self.places[part], self.times[part], self.values[: len(kind.metrics), part])

    def kind(self, number: int) -> Kind:
        """What the messages of one group have in common."""
        return cast(Kind, self.kinds[self.numbers[number]])

    def keys(self) -> list[bytes]:
        """The key of each group."""
        keys: list[bytes] = self.kinds.keys[self.numbers].tolist()
        return keys

    def only(self, some: Integers) -> ColumnGroups:
        """Some of the groups, by their places among them."""
        return ColumnGroups(
            self.kinds, self.numbers[some], self.texts, self.texts_at[some], self.firsts[some], self.ends[some],
            self.places, self.times, self.values,
        )  # fmt: skip

    def between(self, begin: int, end: int) -> ColumnGroups:
        """Of each group the messages from number `begin` to before `end`, or as many of those as it has."""
        ends = np.minimum(self.firsts + end, self.ends)
        return ColumnGroups(
            self.kinds, self.numbers, self.texts, self.texts_at, np.minimum(self.firsts + begin, ends), ends,
            self.places, self.times, self.values,
        )  # fmt: skip


class PerKind(Generic[T]):
    """What is worked out once for each kind, to have it for many groups at once."""

    def __init__(self, work_out: Callable[[Kind], T], dtype: type) -> None:
        self._work_out, self._dtype = work_out, dtype
        self._kinds: Sequence[Kind | None] = ()
        self._known: NDArray[Any] = np.zeros(0, dtype)

    def of(self, groups: ColumnGroups) -> NDArray[Any]:
        """It for each group."""
        if groups.kinds is not self._kinds:  # another decoder's
            self._kinds, self._known = groups.kinds, np.zeros(0, self._dtype)
        if new := self._kinds[len(self._known) :]:
            found = [0 if kind is None else self._work_out(kind) for kind in new]
            self._known = np.append(self._known, np.array(found, self._dtype))
        return self._known[groups.numbers]
