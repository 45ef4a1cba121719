"""What one step collects for a series before it is judged."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from agents.monitor.outputs import Source
from agents.monitor.plan import Plan
from agents.monitor.state import Series, Version
from agents.monitor.times import Times
from schemas.status import ModelState
from streams.event_windows import Result
from streams.windows import Floats, Pushed, Summary

_EMPTY: Final = np.empty(0)


@dataclass(slots=True)
class Pending:
    """The values of one series in this step, with the input that brought each and its position among all that happens.

    `numbers_from` is the number of the first value in the series, `times` when values of its window came, `segment` the
    name of its segment (empty: the whole). A column of values, one of each further input, may follow those that came
    one by one. Of a window by event time the values are those of `results`; `former` is the one before them, `newest`
    the input that last put a value into a pane, and `idle` tells of results, by their number here, which time alone
    brought about, of what record and when.
    """

    version: Version
    metric: str
    series: Series
    plan: Plan
    numbers_from: int
    times: Times
    segment: str = ""
    results: list[Result] = field(default_factory=list)
    former: Result | None = None
    newest: int | None = None
    idle: dict[int, Source] = field(default_factory=dict)
    pushed: Pushed | None = None
    changes: list[tuple[int, ModelState]] = field(default_factory=list)
    #: Of what each input brought: the number of its first value here, the input, the position of that value.
    _begins: list[int] = field(default_factory=list)
    _inputs: list[int] = field(default_factory=list)
    _positions: list[int] = field(default_factory=list)
    _pieces: list[Floats] = field(default_factory=list)
    _rest: list[float] = field(default_factory=list)
    _count: int = 0
    _column: Floats = field(default_factory=lambda: _EMPTY)
    _whole: Floats | None = None
    _column_positions: range = range(0)
    _column_inputs: range = range(0)

    def __len__(self) -> int:
        return self._count + len(self._column)

    def add(self, values: Sequence[float] | Floats, index: int, position: int) -> None:
        """Values that input `index` brought, the first at `position`."""
        self._begins.append(self._count)
        self._inputs.append(index)
        self._positions.append(position)
        self._count += len(values)
        if isinstance(values, np.ndarray):
            self._close()
            self._pieces.append(values)
        else:
            self._rest.extend(values)

    def _close(self) -> None:
        if self._rest:
            self._pieces.append(np.array(self._rest, np.float64))
            self._rest = []

    def add_column(self, whole: Floats, inputs: range, positions: range) -> None:
        """The rest of the step: one value of each of these inputs, after the first of `whole`, which came by itself."""
        self._column, self._column_inputs, self._column_positions = whole[1:], inputs, positions
        self._whole = whole if self._count == 1 else None

    def values(self) -> Floats:
        """All of them, in order; not to be changed."""
        if self._whole is not None:
            return self._whole
        self._close()
        return np.concatenate((*self._pieces, self._column))

    def position(self, at: int) -> int:
        """That of one value."""
        if at >= self._count:
            return self._column_positions[at - self._count]
        which = bisect_right(self._begins, at) - 1
        return self._positions[which] + at - self._begins[which]

    def input(self, at: int) -> int:
        """The one that brought a value."""
        if at >= self._count:
            return self._column_inputs[at - self._count]
        return self._inputs[bisect_right(self._begins, at) - 1]

    def inputs(self, ats: range) -> Sequence[int]:
        """Those that brought these values, one of each; `ats` ascend."""
        ahead = len(range(ats.start, min(self._count, ats.stop), ats.step))
        rest = ats[ahead:]
        first, end = rest.start - self._count, rest.stop - self._count
        return [*map(self.input, ats[:ahead]), *self._column_inputs[max(first, 0) : max(end, 0) : ats.step]]

    def place(self, at: int) -> tuple[int, int]:
        """Position and input of one value."""
        return self.position(at), self.input(at)

    def phase_before(self, position: int) -> ModelState:
        """The phase of the series just before a position."""
        earlier = [phase for at, phase in self.changes if at < position]
        return earlier[-1] if earlier else self.series.phase

    def window_after(self, index: int) -> Summary | None:
        """The window after input `index`; None if it was empty then."""
        assert self.pushed is not None, "judged before anything is said"
        which = bisect_right(self._inputs, index)
        brought = self._begins[which] if which < len(self._begins) else self._count
        at = brought + bisect_right(self._column_inputs, index) - 1
        return None if at < 0 and not self.pushed.before.pushed else self.pushed.summary(at)
