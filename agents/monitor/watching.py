"""What the detector of a series finds in new values: by the window, or by a memory of its own kept with the series."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents.drift import Verdict
from agents.monitor.plan import Plan
from agents.monitor.state import Series, Watching, window_of
from streams.parts import Parts
from streams.windows import Floats, Pushed

Found = list[tuple[int, Verdict]]


def found_in(series: Series, plan: Plan, values: Floats, pushed: Pushed) -> tuple[Found, int | None]:
    """(index, verdict) of what fires and of where a warning begins or ends, and the first value that is out of range.

    The first of the series, that is: none if others came before. A value out of the detector's range is counted and not
    given to it. Moves on `series.detector`.
    """
    if plan.detector is None:
        return [], None
    if plan.window_detector is not None:
        return plan.window_detector.judge(values, pushed), None
    watching = series.detector
    if not isinstance(watching, Watching):
        watching = series.detector = Watching(plan.detector.state())
    inside = _inside(values) if plan.takes_ratios else None
    strayed = None
    if inside is not None and len(inside) < len(values):
        strayed = None if watching.outside else _first_missing(inside)
        watching.outside += len(values) - len(inside)
        values = values[inside]
    detector = type(plan.detector).from_state(watching.memory)
    found = detector.update_many(values, with_ends=True)
    watching.memory = detector.state()
    return [(at if inside is None else int(inside[at]), verdict) for at, verdict in found], strayed


def begin_with(series: Series, plan: Plan, values: Floats, parts: Parts) -> None:
    """Let a series that has only begun go on from recorded values. Nothing is told of them."""
    window = window_of(series, parts)
    if not plan.is_measured:
        window.extend(values)
        return
    found_in(series, plan, values, window.push_many(values))
    if isinstance(series.detector, Watching):
        series.detector.warns, series.detector.outside = False, 0


def _inside(values: Floats) -> NDArray[np.intp]:
    return np.flatnonzero((values >= 0) & (values <= 1))


def _first_missing(indices: NDArray[np.intp]) -> int:
    """The least index that is not among these, which ascend."""
    gaps = np.flatnonzero(indices != np.arange(len(indices)))
    return int(gaps[0]) if len(gaps) else len(indices)
