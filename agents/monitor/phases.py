"""How a watched series is doing: warming, ok, drift, recovered.

    warming ──min_samples values──▶ ok ──fires, for the worse──▶ drift ──calm──▶ recovered ──min_samples──▶ ok
       └── the former version was in drift ──▶ recovered

Calm means `min_samples` values in a row that neither fire nor lie beyond 3 standard deviations of the window as it was
before drift began: a level that stays low soon is the sliding window's normal, but it is no recovery. An improvement is
reported and leaves the phase as it is.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection
from typing import Final

from agents.drift import Verdict
from agents.monitor.plan import Plan
from agents.monitor.state import Series
from schemas.status import ModelState
from streams.windows import Floats, Pushed

#: How far from the mean before drift, in standard deviations, a value may lie and still count as back.
RECOVERY_DEVIATIONS: Final = 3.0


def is_worse(verdict: Verdict, higher_is_better: bool) -> bool:
    """Whether what the detector found is for the worse."""
    return verdict.direction == ("down" if higher_is_better else "up")


def follow(
    series: Series, plan: Plan, values: Floats, pushed: Pushed, fired: list[tuple[int, Verdict]], after_drift: bool
) -> list[tuple[int, ModelState]]:
    """(index, phase) of each change of phase in these values. Moves on `series` except its `phase`."""
    worse = [index for index, verdict in fired if verdict.drift and is_worse(verdict, plan.higher_is_better)]
    if (series.phase is ModelState.OK and not worse) or not len(values):
        return []
    if series.phase is ModelState.WARMING and pushed.count[-1] < plan.min_samples:
        return []
    return _Walk(series, plan, pushed, {index for index, _ in fired}, worse, after_drift).run(values)


class _Walk:
    """One value after the other; a series that is ok is passed over up to where it fires."""

    def __init__(
        self,
        series: Series,
        plan: Plan,
        pushed: Pushed,
        fired: Collection[int],
        worse: list[int],
        after_drift: bool,
    ) -> None:
        self._series, self._plan, self._pushed = series, plan, pushed
        self._fired, self._worse, self._after_drift = fired, worse, after_drift
        self._phase = series.phase

    def run(self, values: Floats) -> list[tuple[int, ModelState]]:
        changes = []
        numbers: list[float] = values.tolist()
        index = 0
        while index < len(numbers):
            if self._phase is ModelState.OK:
                nearest = bisect_left(self._worse, index)
                if nearest == len(self._worse):
                    break
                index = self._worse[nearest]
            if (phase := self._after(index, numbers[index])) is not self._phase:
                self._phase = phase
                changes.append((index, phase))
            index += 1
        return changes

    def _after(self, index: int, value: float) -> ModelState:
        """The phase after this value."""
        place = bisect_left(self._worse, index)
        if place < len(self._worse) and self._worse[place] == index:
            if self._phase is not ModelState.DRIFT:
                self._series.level = self._level_before(index)
            self._series.calm = 0
            return ModelState.DRIFT
        if self._phase is ModelState.WARMING:
            if self._pushed.count[index] < self._plan.min_samples:
                return ModelState.WARMING
            return ModelState.RECOVERED if self._after_drift else ModelState.OK
        self._series.calm = self._series.calm + 1 if self._is_calm(index, value) else 0
        if self._series.calm < self._plan.min_samples:
            return self._phase
        self._series.calm = 0
        return ModelState.RECOVERED if self._phase is ModelState.DRIFT else ModelState.OK

    def _level_before(self, index: int) -> float:
        before = self._pushed.summary(index - 1)
        margin = RECOVERY_DEVIATIONS * before.std
        return before.mean - margin if self._plan.higher_is_better else before.mean + margin

    def _is_calm(self, index: int, value: float) -> bool:
        if self._phase is ModelState.RECOVERED:
            return True
        back = value >= self._series.level if self._plan.higher_is_better else value <= self._series.level
        return back and index not in self._fired
