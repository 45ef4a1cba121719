"""When time alone completes windows: those of a model, or a segment, from which no more records come.

Its time is the greatest event time of its records, and the ticks since the last of them. A pane with values is complete
once that is `idle` beyond the pane's end and grace. Ticks are time on the clock while nothing was left to read, so a
year-old replay is as far ahead of its last record as it would have been live.
"""

from __future__ import annotations

from agents.monitor.event_series import event_window_of
from agents.monitor.plan import Plan, Plans
from agents.monitor.state import MonitorState, Series


def idle_due(series: Series, plan: Plan) -> int | None:
    """The time, in microseconds, at which a window of the series is complete though no record comes; None: never."""
    if not plan.idle or series.panes is None or series.panes.cause is None or series.watched != plan.watched:
        return None
    due = event_window_of(series, plan).due
    return None if due is None else due + plan.idle


def idle_deadline(state: MonitorState, plans: Plans) -> int | None:
    """When the first such window of a model is complete, in milliseconds of the tick clock; None: none will be."""
    if not plans.may_idle:
        return None
    metrics = plans.by_time(state.model)
    dues = [
        idle_due(version.series[metric], plans.of(state.model, metric))
        for version in state.versions
        for metric in metrics
        if metric in version.series
    ]
    deadlines = [clock_at(due, state.event_time, state.clock) for due in dues if due is not None]
    deadlines += [clock_at(each.due, each.time, each.clock) for each in state.timed.values() if each.due]
    return min(deadlines, default=None)


def clock_at(due: int, time: int, clock: int) -> int:
    """The tick clock when the time will be `due`, which was `time` (both in microseconds) at this clock."""
    return clock + -(-max(due - time, 0) // 1_000)


def time_at(now: int, time: int, clock: int) -> int:
    """The time, in microseconds, when the tick clock is at `now`, which was `time` at this clock."""
    return time + (now - clock) * 1_000
