"""The first pass for windows by event time: values go into panes, and time completes them.

Of the whole it is the model's time that counts, which any record of the model moves on; of a segment its own, which is
moved on by the segment's records alone. So a segment is as if it were a model of its own: one whose records are on
their way for longer than others' is not late.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import NamedTuple

from agents.monitor.collecting import Collecting
from agents.monitor.event_series import event_window_of
from agents.monitor.findings import Findings
from agents.monitor.idle import clock_at, time_at
from agents.monitor.outcomes import Values
from agents.monitor.outputs import Source
from agents.monitor.pending import Pending
from agents.monitor.plan import Plan
from agents.monitor.segments import segment_name
from agents.monitor.state import SegmentTime, Series, Version
from agents.monitor.step import Step
from agents.monitor.telling import Telling
from schemas.drift import Cause
from schemas.fields import EPOCH
from streams.event_windows import EventWindow, Result
from streams.stage import Tick


class _Timed(NamedTuple):
    """A series whose window goes by event time, among those `known` of its version, or of a segment of it."""

    version: Version
    segment: str
    metric: str
    series: Series
    plan: Plan
    known: dict[str, Series]

    @property
    def window(self) -> EventWindow:
        return event_window_of(self.series, self.plan)


class Timed:
    """Takes values, and lets time pass, in the order of inputs."""

    def __init__(self, step: Step, findings: Findings, collecting: Collecting) -> None:
        self._step, self._findings, self._collecting = step, findings, collecting

    def take(self, index: int, pending: Pending, values: Values) -> None:
        """Put values into the pane of their time; those that come after it was complete are counted, and no more."""
        state, window = self._step.state, event_window_of(pending.series, pending.plan)
        # Completes nothing, but tells a series that has only begun what is late.
        window.complete(state.timed[pending.segment].time if pending.segment else state.event_time)
        if window.add(self._step.time(index), [float(value) for value in values]):
            pending.newest = index
        else:
            self._step.counts.move(index, "late_values", len(values))

    def pass_time(self, index: int) -> None:
        """Take in the windows of the whole that this record's time completes, each as one value of its series."""
        if self._step.plans.by_time(self._step.state.model):
            for each in self._of_whole():
                self._complete(index, each, self._step.state.event_time)

    def pass_segment_times(self, index: int, labels: Mapping[str, str]) -> None:
        """The same for the segments that the record is of."""
        for key in self._step.plans.timed_keys(self._step.state.model):
            if value := labels.get(key):
                self.pass_segment_time(index, segment_name(key, value))

    def pass_segment_time(self, index: int, name: str) -> None:
        """The same for one segment, if it is kept."""
        state = self._step.state
        if not any(name in version.segments for version in state.versions):
            return
        times = state.timed.setdefault(name, SegmentTime())
        times.time, times.clock = max(times.time, self._step.time(index)), state.clock
        self._step.timed_segments.add(name)
        for each in self._of_segment(name):
            self._complete(index, each, times.time)

    def pass_tick(self, index: int, tick: Tick) -> None:
        """Take in the windows that time alone completes."""
        state = self._step.state
        if not self._step.plans.may_idle:
            return
        now = time_at(tick.clock, state.event_time, state.clock)
        for each in self._of_whole():
            self._complete_idle(index, each, now)
        for name, times in state.timed.items():
            if times.due and clock_at(times.due, times.time, times.clock) <= tick.clock:
                self._step.timed_segments.add(name)
                for each in self._of_segment(name):
                    self._complete_idle(index, each, time_at(tick.clock, times.time, times.clock))

    def _of_whole(self) -> Iterator[_Timed]:
        for version in self._step.state.versions:
            for metric, series in version.series.items():
                plan = self._step.plan_of(metric)
                if _is_timed(series, plan):
                    yield _Timed(version, "", metric, series, plan, version.series)

    def _of_segment(self, name: str) -> Iterator[_Timed]:
        for version in self._step.state.versions:
            known = self._step.segments.of(version, name) if name in version.segments else None
            for metric, series in (known or {}).items():
                plan = self._step.segment_plan(name, metric)
                if known is not None and plan is not None and _is_timed(series, plan):
                    yield _Timed(version, name, metric, series, plan, known)

    def _complete(self, index: int, each: _Timed, now: int) -> None:
        window = each.window
        is_due = window.due is not None and now >= window.due
        former = window.newest() if is_due else None
        if results := window.complete(now):
            self._take_results(index, each, former, results)

    def _complete_idle(self, index: int, each: _Timed, now: int) -> None:
        """Each result has the time at which it was due, and its cause is the record that brought the last value."""
        panes, idle, window = each.series.panes, each.plan.idle, each.window
        if not idle or panes is None or panes.cause is None:
            return
        former = window.newest()
        if not (results := window.complete_waiting(now - idle)):
            return
        pending = self._take_results(index, each, former, results)
        event_id, topic, partition, offset = panes.cause
        cause = Cause(event_id=event_id, topic=topic, partition=partition, offset=offset)
        for at, result in enumerate(results, len(pending.results) - len(results)):
            due = window.end(result.pane) + idle
            pending.idle[at] = Source(each.version.name, EPOCH + timedelta(microseconds=due), cause)
            self._step.moments[index] = due

    def _take_results(self, index: int, each: _Timed, former: Result | None, results: list[Result]) -> Pending:
        """Add the results of a window; `former` is the one before them, unless the step had some already."""
        pending = self._collecting.of(index, each.version, each.metric, each.plan, each.segment, each.known)
        begins = not each.series.window.pushed and not pending.results
        pending.former = pending.former if pending.results else former
        pending.results += results
        pending.add([result.mean for result in results], index, self._findings.reserve(len(results)))
        if begins and pending.plan.detector is not None:
            self._findings.note(index, Telling.changed, pending.version)
        return pending


def _is_timed(series: Series, plan: Plan) -> bool:
    """Whether it is in use; of a series whose settings have changed the next value says so."""
    return plan.event is not None and series.panes is not None and series.watched == plan.watched
