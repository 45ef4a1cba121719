"""Where a step collects the values of each series; the series begin here, and begin anew with other settings."""

from __future__ import annotations

from agents.monitor.findings import Findings
from agents.monitor.pending import Pending
from agents.monitor.plan import Plan
from agents.monitor.state import MAX_METRICS, Series, Version
from agents.monitor.step import Step
from agents.monitor.telling import Telling
from agents.monitor.times import Times
from agents.monitor.watching import begin_with
from streams.windows import WindowHead


class Collecting:
    """Finds or makes what `Step.pending` has of a series."""

    def __init__(self, step: Step, findings: Findings) -> None:
        self._step, self._findings, self._pending = step, findings, step.pending

    def of_whole(self, index: int, version: Version, metric: str) -> Pending | None:
        """That of a series of the whole; None for a metric too many."""
        if (pending := self._pending.get((id(version), metric, ""))) is not None:
            return pending
        if metric not in version.series and len(version.series) >= MAX_METRICS:
            return None
        return self.of(index, version, metric, self._step.plan_of(metric), "", version.series)

    def of(
        self, index: int, version: Version, metric: str, plan: Plan, segment: str, known: dict[str, Series]
    ) -> Pending:
        """That of a series, which may be about to begin; it is among those `known`."""
        if (pending := self._pending.get((id(version), metric, segment))) is not None:
            return pending
        series = known.get(metric)
        if series is None:
            series = known[metric] = self._begin(plan, self._step.state.retired)
            self._seed(series, plan, version, metric, segment)
            if plan.detector is not None and plan.event is None:
                self._findings.note(index, Telling.changed, version)
        elif series.window.size != plan.size or (series.watched and series.watched != plan.watched):
            self._findings.note(index, Telling.begun_anew, version, metric, segment, series)
            self._step.dropped_series.append(series)
            series = known[metric] = self._begin(plan, series.base + series.window.pushed)
            self._seed(series, plan, version, metric, segment)
            self._findings.note(index, Telling.changed, version)
        series.watched = plan.watched
        first, times = series.base + series.window.pushed + 1, Times.of(plan.size, series.times)
        pending = Pending(version, metric, series, plan, first, times, segment)
        self._pending[id(version), metric, segment] = pending
        return pending

    def _begin(self, plan: Plan, base: int) -> Series:
        """A series with an empty window, whose values are numbered from `base` on."""
        self._step.state.begun += 1
        return Series(WindowHead(plan.size), self._step.state.begun, base)

    def _seed(self, series: Series, plan: Plan, version: Version, metric: str, segment: str) -> None:
        """Let a series of the whole begin with its baseline, if there is one."""
        values = None if segment else self._step.plans.baseline(self._step.state.model, version.name, metric)
        if values is not None:
            begin_with(series, plan, values, self._step.parts)
