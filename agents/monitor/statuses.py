"""What a status tells of the watched series of a version, as they were after any input of a step."""

from __future__ import annotations

from agents.monitor.event_series import event_window_of
from agents.monitor.outputs import WatchedSeries
from agents.monitor.plan import Plan
from agents.monitor.segments import value_in
from agents.monitor.state import Series, Version, window_of
from agents.monitor.step import Step
from schemas.status import ModelState
from streams.windows import Summary


class Statuses:
    """Asked in the third pass: each series is in the phase of the last finding that was said."""

    def __init__(self, step: Step) -> None:
        self._step = step

    def rules_after(self, index: int, version: Version) -> list[WatchedSeries]:
        """The watched series of a version after an input; last those of event time that have no complete window yet."""
        step, rules = self._step, []
        for segment, metric, series in step.series_of(version):
            plan = step.segment_plan(segment, metric) if segment else step.plan_of(metric)
            if plan is None or plan.detector is None:
                continue
            pending = step.pending_of(version, metric, segment)
            window = pending.window_after(index) if pending else self._window(series, plan)
            if window is not None:
                rules.append(WatchedSeries(metric, value_in(segment), plan, series.phase, window))
        told = {rule.metric for rule in rules if not rule.segment}
        waiting = [metric for metric in step.plans.by_time(step.state.model) if metric not in told]
        rules += [WatchedSeries(metric, "", step.plan_of(metric), ModelState.WARMING, None) for metric in waiting]
        return rules

    def _window(self, series: Series, plan: Plan) -> Summary | None:
        """The window of a series that nothing came for in this step."""
        if plan.event is None:
            return window_of(series, self._step.parts).summary()
        newest = event_window_of(series, plan).newest()
        return None if newest is None else newest.window
