"""Each value of the first pass is put with its series: of the whole, of a segment, or in a pane of event time."""

from __future__ import annotations

from collections.abc import Mapping

from agents.monitor.collecting import Collecting
from agents.monitor.event_series import event_window_of
from agents.monitor.findings import Findings
from agents.monitor.outcomes import Outcomes, Values
from agents.monitor.pending import Pending
from agents.monitor.readings import Reading, segment_readings
from agents.monitor.segments import segment_name
from agents.monitor.state import MAX_METRICS, Series, Version
from agents.monitor.step import Step
from agents.monitor.telling import Telling
from agents.monitor.versions import Versions
from schemas.message import Message
from streams.event_windows import EventWindow, Result


class Placing:
    """Takes what inputs say, in their order."""

    def __init__(self, step: Step, findings: Findings, versions: Versions) -> None:
        self._step, self._findings, self._versions = step, findings, versions
        self._collecting = Collecting(step, findings)

    def take(self, index: int, version_name: str, found: list[Reading]) -> Version:
        """Put readings with the series of a version."""
        version = self._versions.seen(index, version_name)
        for metric, values in found:
            if (pending := self._collecting.of_whole(index, version, metric)) is None:
                self._note_cap(index, version_name, metric)
            elif pending.plan.event is None:
                pending.add(values, index, self._findings.reserve(len(values)))
            else:
                self._take_timed(index, event_window_of(pending.series, pending.plan), values)
        return version

    def take_segments(
        self, index: int, version: Version, message: Message | Outcomes, labels: Mapping[str, str]
    ) -> None:
        """Put what a message says of segments with their series, too."""
        plans = self._step.plans.of_segments(self._step.state.model)
        for value, plan, values in segment_readings(message, labels, plans):
            name = segment_name(plan.key, value)
            if (series := self._step.segments.of(version, name)) is None:
                self._note_segments_cap(index, version, plan.key, value)
                continue
            pending = self._collecting.of(index, version, plan.metric, plan.plan, name, series)
            pending.add(values, index, self._findings.reserve(len(values)))

    def _note_cap(self, index: int, version: str, metric: str) -> None:
        if not self._step.state.metrics_capped:
            self._step.state.metrics_capped = True
            text = f"more than {MAX_METRICS} metrics: {metric!r} and any further ones are not kept"
            self._findings.note(index, Telling.limit, "metric_limit", text, version)

    def _note_segments_cap(self, index: int, version: Version, key: str, value: str) -> None:
        if not self._step.state.segments_capped:
            self._step.state.segments_capped = True
            limit = self._step.plans.segment_limit
            text = f"more than {limit} segments: {key} {value!r} and any further ones are not watched by themselves"
            self._findings.note(index, Telling.limit, "segment_limit", text, version.name)

    # By event time.

    def _take_timed(self, index: int, window: EventWindow, values: Values) -> None:
        """Put values into the pane of their time; those that come after it was complete are counted, and no more."""
        window.complete(self._step.state.event_time)  # nothing, but of a series that has only begun
        if not window.add(self._step.time(index), [float(value) for value in values]):
            self._step.counts.move(index, "late_values", len(values))

    def complete_windows(self, index: int) -> None:
        """Take in the windows by event time that this input's time completes, each as one value of its series."""
        time = self._step.state.event_time
        for version in self._step.state.versions:
            for metric, series in version.series.items():
                plan = self._step.plan_of(metric)
                if plan.event is None or series.panes is None or series.watched != plan.watched:
                    continue  # of one whose settings have changed the next value says so
                window = event_window_of(series, plan)
                is_due = window.due is not None and time >= window.due
                former = window.newest() if is_due else None
                if results := window.complete(time):
                    pending = self._collecting.of(index, version, metric, plan, "", version.series)
                    self._take_results(index, pending, series, former, results)

    def _take_results(
        self, index: int, pending: Pending, series: Series, former: Result | None, results: list[Result]
    ) -> None:
        """Add the results of a window; `former` is the one before them, unless the step had some already."""
        begins = not series.window.pushed and not pending.results
        pending.former = pending.former if pending.results else former
        pending.results += results
        pending.add([result.mean for result in results], index, self._findings.reserve(len(results)))
        if begins and pending.plan.detector is not None:
            self._findings.note(index, Telling.changed, pending.version)
