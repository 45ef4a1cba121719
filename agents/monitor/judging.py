"""The second pass, series by series and vectorised: statistics, what the detector finds, minima, phases."""

from __future__ import annotations

import numpy as np

from agents.monitor.event_series import Results, event_window_of, means_of
from agents.monitor.findings import Findings
from agents.monitor.pending import Pending
from agents.monitor.phases import follow
from agents.monitor.state import Version, window_of
from agents.monitor.step import Step
from agents.monitor.telling import Telling
from agents.monitor.versions import Versions
from agents.monitor.watching import found_in
from schemas.status import ModelState
from streams.windows import Floats, Pushed


class Judging:
    """Judges what a step has collected, and moves the windows on."""

    def __init__(self, step: Step, findings: Findings, versions: Versions) -> None:
        self._step, self._findings, self._versions = step, findings, versions

    def judge_all(self) -> None:
        """The versions in order of their beginning: one may inherit drift from the one before."""
        order = {id(version): number for number, version in enumerate(self._versions.ever)}
        for pending in sorted(self._step.pending.values(), key=lambda pending: order[id(pending.version)]):
            self._inherit(pending.version)
            if pending.plan.event is not None:
                self._judge_results(pending)
            else:
                self._judge_pending(pending)

    def _inherit(self, version: Version) -> None:
        """Whether the version before was in drift when this one began; its own values have been judged by now."""
        position, former = self._versions.begun.pop(id(version), (0, None))
        if former is None:
            return
        for metric, series in former.series.items():
            pending = self._step.pending_of(former, metric)
            phase = pending.phase_before(position) if pending else series.phase
            is_watched = self._step.plan_of(metric).detector is not None
            version.after_drift |= phase is ModelState.DRIFT and is_watched

    def _judge_pending(self, pending: Pending) -> None:
        values, window = pending.values(), window_of(pending.series, self._step.parts)
        if not pending.plan.is_measured:
            window.extend(values)
            return
        self._note_times(pending, window.pushed, len(values))
        pushed = pending.pushed = window.push_many(values)
        self._judge(pending, values, pushed, pushed)

    def _note_times(self, pending: Pending, begin: int, count: int) -> None:
        """Keep when some of the values came, of which the first has the number `begin` in its window."""

        def times_of(numbers: range) -> list[int]:
            return self._step.times(pending.inputs(range(numbers.start - begin, numbers.stop - begin, numbers.step)))

        pending.times = pending.times.after(begin, begin + count, times_of)
        pending.series.times = pending.times.encode()

    def _judge_results(self, pending: Pending) -> None:
        """Of a window by event time the values are the means of panes."""
        former = pending.former if pending.results else event_window_of(pending.series, pending.plan).newest()
        pushed = pending.pushed = Results.of(pending.series, pending.results, former, self._step.parts)
        self._judge(pending, means_of(pending.results), pushed, pushed.judged())

    def _judge(self, pending: Pending, values: Floats, pushed: Pushed, judged: Pushed) -> None:
        """What is found in values: `pushed` has the statistics to be told, `judged` those to compare values with."""
        plan, note = pending.plan, self._findings.note_at
        fired, strayed = found_in(pending.series, plan, values, judged)
        if strayed is not None:
            note(*pending.place(strayed), Telling.strayed, pending, float(values[strayed]))
        for at, verdict in fired:
            if verdict.drift or verdict.warning:
                note(*pending.place(at), Telling.drift, pending, at, float(values[at]), pushed, verdict)
        if plan.minimum is not None:
            self._judge_minimum(pending, values, pushed, plan.minimum)
        if plan.detector is not None:
            after_drift = pending.version.after_drift and not pending.segment
            for at, phase in follow(pending.series, plan, values, judged, fired, after_drift):
                pending.changes.append((pending.position(at), phase))
                note(*pending.place(at), Telling.phase, pending, phase)

    def _judge_minimum(self, pending: Pending, values: Floats, pushed: Pushed, minimum: float) -> None:
        plan, measured = pending.plan, pushed.mean if pending.plan.of_mean else values
        below = (np.sqrt(measured) if plan.is_root else measured) < minimum
        if plan.of_mean:
            below &= pushed.count >= plan.min_samples
        for at in np.flatnonzero(below).tolist():
            place, value = pending.place(at), float(measured[at])
            self._findings.note_at(*place, Telling.breach, pending, at, value, pushed, minimum)
