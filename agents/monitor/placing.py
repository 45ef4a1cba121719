"""Each value of the first pass is put with its series: of the whole, of a segment, or in a pane of event time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from agents.monitor.collecting import Collecting
from agents.monitor.findings import Findings
from agents.monitor.outcomes import Outcomes
from agents.monitor.readings import Reading, segment_readings
from agents.monitor.segments import segment_name
from agents.monitor.state import MAX_METRICS, Version
from agents.monitor.step import Step
from agents.monitor.telling import Telling
from agents.monitor.timed import Timed
from agents.monitor.versions import Versions
from schemas.message import Message


class Placing:
    """Takes what inputs say, in their order."""

    def __init__(self, step: Step, findings: Findings, versions: Versions) -> None:
        self._step, self._findings, self._versions = step, findings, versions
        self._collecting = Collecting(step, findings)
        self.timed: Final = Timed(step, findings, self._collecting)

    def take(self, index: int, version_name: str, found: list[Reading]) -> Version:
        """Put readings with the series of a version."""
        version = self._versions.seen(index, version_name)
        for metric, values in found:
            if (pending := self._collecting.of_whole(index, version, metric)) is None:
                self._note_cap(index, version_name, metric)
            elif pending.plan.event is None:
                pending.add(values, index, self._findings.reserve(len(values)))
            else:
                self.timed.take(index, pending, values)
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
            if plan.plan.event is not None:
                self.timed.pass_segment_time(index, name)
            pending = self._collecting.of(index, version, plan.metric, plan.plan, name, series)
            if plan.plan.event is None:
                pending.add(values, index, self._findings.reserve(len(values)))
            else:
                self.timed.take(index, pending, values)

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
