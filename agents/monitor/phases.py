"""How a watched series is doing: warming, ok, warning, drift, recovered.

    warming ──min_samples values──▶ ok ──fires, for the worse──▶ drift ──calm──▶ recovered ──min_samples──▶ ok
       └── the former version was in drift ──▶ recovered

    ok, recovered ──warns of the worse──▶ warning ──min_samples values after its end──▶ ok
                                             └── fires, for the worse ──▶ drift

Calm means, where a detector judges single values by the window: `min_samples` values in a row that neither fire nor lie
beyond 3 standard deviations of the window as it was before drift began: a level that stays low soon is the sliding
window's normal, but it is no recovery. Where a detector remembers by itself, it looks for changes of the level, and
its values may be as coarse as 0 and 1: then it means `min_samples` values in a row without a drift, whose mean is no
worse than the window's just before drift was found (when it may hold some values of the drift already). Where it looks
at distributions, the level tells nothing: then it means so many values without a drift that a whole window of them has
been held against the reference, and against a new one if that is made of the values after the drift.

An improvement is reported and leaves the phase as it is.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Final

from agents.drift import Verdict
from agents.monitor.plan import Plan
from agents.monitor.state import Series, Watching
from schemas.status import ModelState
from streams.windows import Floats, Pushed, Summary

#: How far from the mean before drift, in standard deviations, a value may lie and still count as back.
RECOVERY_DEVIATIONS: Final = 3.0

#: A mean this close to the one before drift (relative to it) is the same: sums of the same values differ by less.
_SAME: Final = 1e-9


def is_worse(verdict: Verdict, higher_is_better: bool) -> bool:
    """Whether what the detector found is for the worse; so is a change that has no direction."""
    return verdict.direction != ("up" if higher_is_better else "down")


def follow(
    series: Series, plan: Plan, values: Floats, pushed: Pushed, fired: list[tuple[int, Verdict]], after_drift: bool
) -> list[tuple[int, ModelState]]:
    """(index, phase) of each change of phase in these values. Moves on `series` except its `phase`."""
    if (series.phase is ModelState.OK and not fired) or not len(values):
        return []
    if series.phase is ModelState.WARMING and pushed.count.max() < plan.min_samples and not fired:
        return []
    return _Walk(series, plan, pushed, dict(fired), after_drift).run(values)


def is_back(series: Series, plan: Plan, value: float) -> bool:
    """Whether a value in drift lies where values lay before."""
    return value >= series.level if plan.higher_is_better else value <= series.level


def calm_values_needed(phase: ModelState, plan: Plan) -> int:
    """How many calm values in a row end a phase."""
    return plan.calm_samples if phase is ModelState.DRIFT else plan.min_samples


def calm_after(series: Series, plan: Plan, values: Sequence[float]) -> Iterator[int]:
    """How many calm values there were in a row after each of these, if they came next.

    For a series that is neither ok nor warming, under a detector that judges by the window and fires on none of them.
    """
    calm = series.calm
    for value in values:
        calm = 0 if series.phase is ModelState.DRIFT and not is_back(series, plan, value) else calm + 1
        yield calm


class _Walk:
    """One value after the other; a series that is ok is passed over up to where something is found."""

    def __init__(
        self,
        series: Series,
        plan: Plan,
        pushed: Pushed,
        found: dict[int, Verdict],
        after_drift: bool,
    ) -> None:
        self._series, self._plan, self._pushed = series, plan, pushed
        self._found, self._after_drift = found, after_drift
        self._phase = series.phase
        self._watching = series.detector if isinstance(series.detector, Watching) else None

    def run(self, values: Floats) -> list[tuple[int, ModelState]]:
        changes = []
        numbers: list[float] = values.tolist()
        places = list(self._found)
        index = 0
        while index < len(numbers):
            if self._phase is ModelState.OK:
                nearest = bisect_left(places, index)
                if nearest == len(places):
                    break
                index = places[nearest]
            if (phase := self._after(index, numbers[index])) is not self._phase:
                self._phase = phase
                changes.append((index, phase))
            index += 1
        return changes

    def _after(self, index: int, value: float) -> ModelState:
        """The phase after this value."""
        if self._drifts_at(index):
            if self._phase is not ModelState.DRIFT:
                self._series.level = self._level_before(index)
            self._begin_calm()
            return ModelState.DRIFT
        if self._phase is ModelState.WARMING:
            if self._pushed.count[index] < self._plan.min_samples:
                return ModelState.WARMING
            if not self._warns:
                return ModelState.RECOVERED if self._after_drift else ModelState.OK
        if self._warns and self._phase is not ModelState.DRIFT:
            self._begin_calm()
            return ModelState.WARNING
        if not self._is_calm(index, value):
            return self._phase
        return ModelState.RECOVERED if self._phase is ModelState.DRIFT else ModelState.OK

    def _drifts_at(self, index: int) -> bool:
        """Whether it fires for the worse on this value. Takes down whether it warns from now on."""
        if (verdict := self._found.get(index)) is None:
            return False
        worse = is_worse(verdict, self._plan.higher_is_better)
        if self._watching is not None:
            self._watching.warns = verdict.warning and worse
        return verdict.drift and worse

    @property
    def _warns(self) -> bool:
        return self._watching is not None and self._watching.warns

    def _begin_calm(self) -> None:
        self._series.calm = 0
        if self._watching is not None:
            self._watching.total = 0.0

    def _is_calm(self, index: int, value: float) -> bool:
        """Whether, with this value, it has been calm for long enough; then the next begins anew."""
        if self._phase is ModelState.DRIFT and not self._may_be_calm(index, value):
            self._begin_calm()
            return False
        self._series.calm += 1
        in_drift = self._phase is ModelState.DRIFT
        if self._series.calm < calm_values_needed(self._phase, self._plan):
            return False
        mean = None if self._watching is None else self._watching.total
        self._begin_calm()
        return not in_drift or mean is None or self._plan.of_distribution or self._is_back(mean)

    def _may_be_calm(self, index: int, value: float) -> bool:
        """Whether a value in drift is calm so far as one value can tell."""
        if index in self._found and self._found[index].drift:
            return False
        if self._watching is None:
            return self._is_back(value)
        if self._plan.of_distribution:
            return True
        self._watching.total += value / self._plan.min_samples
        return True

    def _is_back(self, value: float) -> bool:
        return is_back(self._series, self._plan, value)

    def _level_before(self, index: int) -> float:
        before = self._before(index)
        margin = RECOVERY_DEVIATIONS * before.std if self._watching is None else _SAME * abs(before.mean)
        return before.mean - margin if self._plan.higher_is_better else before.mean + margin

    def _before(self, index: int) -> Summary:
        """The window before this value; if it was empty, with it."""
        return self._pushed.summary(index - 1 if index or self._pushed.before.pushed else index)
