"""What one step collects for a series before it is judged, and what is then to be said."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from agents.monitor.plan import Plan
from agents.monitor.state import Series, Version
from schemas.status import ModelState
from streams.windows import Pushed, Summary


@dataclass(slots=True)
class Pending:
    """The values of one series in this step, with the input that brought each and its position among all that happens.

    `numbers_from` is the number of the first value in the series.
    """

    version: Version
    metric: str
    series: Series
    plan: Plan
    numbers_from: int
    values: list[float] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    pushed: Pushed | None = None
    changes: list[tuple[int, ModelState]] = field(default_factory=list)

    def add(self, values: Sequence[float], index: int, position: int) -> None:
        """Values that input `index` brought, the first at `position`."""
        self.values.extend(values)
        self.inputs.extend([index] * len(values))
        self.positions.extend(range(position, position + len(values)))

    def phase_before(self, position: int) -> ModelState:
        """The phase of the series just before a position."""
        earlier = [phase for at, phase in self.changes if at < position]
        return earlier[-1] if earlier else self.series.phase

    def window_after(self, index: int) -> Summary | None:
        """The window after input `index`; None if it was empty then."""
        assert self.pushed is not None, "judged before anything is said"
        at = bisect_right(self.inputs, index) - 1
        return None if at < 0 and not self.pushed.before.pushed else self.pushed.summary(at)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that happened at a position, on account of an input; `act` says it."""

    position: int
    input: int
    act: Callable[[], None]
