"""Series whose windows go by event time: each complete pane is one value, judged within the window that it ends."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Self

import msgspec
import numpy as np

from agents.monitor.plan import Plan
from agents.monitor.state import Series, TimedPanes, panes_of
from streams.event_windows import EventWindow, Result
from streams.parts import Parts
from streams.windows import CountWindow, Floats, Pushed, Summary


def event_window_of(series: Series, plan: Plan) -> EventWindow:
    """The window of a series whose plan has one by event time."""
    if series.panes is None:
        series.panes = TimedPanes()
    assert plan.event is not None, "a plan by event time"
    return EventWindow(series.panes, *plan.event)


@dataclass(slots=True)
class Results(Pushed):
    """What a push is for a window by count: `mean` and `count` are those of each window that was complete.

    A value is the mean of the window's newest pane, so `std` is the standard error of such a mean: the deviation of the
    window's values, divided by the root of how many are in the pane. `summary` tells the deviation of the values, but
    for a judge.
    """

    results: list[Result] = field(default_factory=list)
    former: Result | None = None
    for_judge: bool = False

    @classmethod
    def of(cls, series: Series, results: list[Result], former: Result | None, parts: Parts) -> Self:
        """The results of a step; they count as values of the series from now on."""
        count = np.array([result.window.count for result in results], dtype=np.int64)
        mean = np.array([result.window.mean for result in results], dtype=np.float64)
        std = np.array([_standard_error(result) for result in results], dtype=np.float64)
        before = CountWindow.of(msgspec.structs.replace(series.window), panes_of(series, parts))
        series.window.pushed += len(results)
        return cls(count, mean, std, means_of(results), before, results=results, former=former)

    def judged(self) -> Self:
        """The same, with deviations that a value can be compared with."""
        made: Self = type(self)(
            self.count, self.mean, self.std, self.new, self.before, results=self.results, former=self.former
        )
        made.for_judge = True
        return made

    def summary(self, index: int) -> Summary:
        """The window of one result; −1 is the one before them all."""
        result = self.results[index] if index >= 0 else self.former
        assert result is not None, "asked for only if there was one"
        if not self.for_judge:
            return result.window
        window = result.window
        return Summary(window.count, window.mean, _standard_error(result), window.min, window.max)


def means_of(results: list[Result]) -> Floats:
    """The values that results are to a detector."""
    return np.array([result.mean for result in results], dtype=np.float64)


def _standard_error(result: Result) -> float:
    return result.window.std / math.sqrt(result.size)
