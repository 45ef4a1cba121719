"""What one step collects for a series before it is judged, and what is then to be said."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from agents.monitor.plan import Plan
from agents.monitor.state import Series, Version
from agents.monitor.times import Times
from schemas.status import ModelState
from streams.windows import Floats, Pushed, Summary

_EMPTY: Final = np.empty(0)


@dataclass(slots=True)
class Pending:
    """The values of one series in this step, with the input that brought each and its position among all that happens.

    `numbers_from` is the number of the first value in the series, `times` when values of its window came, `segment` the
    name of its segment (empty: the whole). A column of values, one of each further input, may follow those that came
    one by one.
    """

    version: Version
    metric: str
    series: Series
    plan: Plan
    numbers_from: int
    times: Times
    segment: str = ""
    pushed: Pushed | None = None
    changes: list[tuple[int, ModelState]] = field(default_factory=list)
    _values: list[float] = field(default_factory=list)
    _positions: list[int] = field(default_factory=list)
    _inputs: list[int] = field(default_factory=list)
    _column: Floats = field(default_factory=lambda: _EMPTY)
    _column_positions: range = range(0)
    _column_inputs: range = range(0)

    def __len__(self) -> int:
        return len(self._values) + len(self._column)

    def add(self, values: Sequence[float], index: int, position: int) -> None:
        """Values that input `index` brought, the first at `position`."""
        self._values.extend(values)
        self._inputs.extend([index] * len(values))
        self._positions.extend(range(position, position + len(values)))

    def add_column(self, column: Floats, inputs: range, positions: range) -> None:
        """The rest of the step: one value of each of these inputs."""
        self._column, self._column_inputs, self._column_positions = column, inputs, positions

    def values(self) -> Floats:
        """All of them, in order."""
        return np.concatenate((self._values, self._column))

    def position(self, at: int) -> int:
        """That of one value."""
        ahead = at - len(self._positions)
        return self._positions[at] if ahead < 0 else self._column_positions[ahead]

    def input(self, at: int) -> int:
        """The one that brought a value."""
        ahead = at - len(self._inputs)
        return self._inputs[at] if ahead < 0 else self._column_inputs[ahead]

    def phase_before(self, position: int) -> ModelState:
        """The phase of the series just before a position."""
        earlier = [phase for at, phase in self.changes if at < position]
        return earlier[-1] if earlier else self.series.phase

    def window_after(self, index: int) -> Summary | None:
        """The window after input `index`; None if it was empty then."""
        assert self.pushed is not None, "judged before anything is said"
        at = bisect_right(self._inputs, index) + bisect_right(self._column_inputs, index) - 1
        return None if at < 0 and not self.pushed.before.pushed else self.pushed.summary(at)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that happened at a position, on account of an input; `act` says it."""

    position: int
    input: int
    act: Callable[[], None]
