"""The first pass over a run of one model's events: like messages are taken at once, or by a shorter way."""

from __future__ import annotations

from agents.monitor.columns import Columns, columns_of
from agents.monitor.expiry import next_due
from agents.monitor.findings import Findings
from agents.monitor.intake import Intake
from agents.monitor.readings import labelled_readings
from agents.monitor.step import Step
from agents.monitor.times import microseconds
from schemas.compact import CompactOutcomes
from streams.run import EventRun


class RunIntake:
    """Does what `Intake` does with each event, in less time."""

    def __init__(self, step: Step, findings: Findings, intake: Intake) -> None:
        self._step, self._findings, self._intake = step, findings, intake
        # What the settings ask of the model, which is the same for all of its messages.
        model, plans = step.state.model, step.plans
        self._by_time, self._wants_average = bool(plans.by_time(model)), plans.wants_average(model)
        self._outcomes, self._scores = plans.of_outcomes(model), plans.of_scores(model)

    def take(self, run: EventRun) -> None:
        """The first event by itself; it settles version and series for the others, if these are like it."""
        self._intake.take_event(0, run[0])
        if len(run) > 1 and not self._take_columns(run):
            self._take_rest(run)

    def _take_rest(self, run: EventRun) -> None:
        for index in range(1, len(run)):
            if self._intake.retired is not None:
                break
            message = run.messages[index]
            if not isinstance(message, CompactOutcomes) or not self._take_outcomes(index, message, run.clock_at(index)):
                self._intake.take_event(index, run[index])

    def _take_outcomes(self, index: int, message: CompactOutcomes, clock: int) -> bool:
        """Outcomes that have no other consequence; False, and nothing, for others."""
        state, due = self._step.state, next_due(self._step.state, self._step.plans)
        time = max(state.event_time, microseconds(message))
        if state.silent or (due is not None and time >= due) or self._by_time:
            return False
        self._step.counts.move(index, "outcomes", 1)
        state.clock, state.event_time, state.last_version = clock, time, message.model_version
        if found := labelled_readings(message, self._outcomes, self._scores):
            self._intake.placing.take(index, message.model_version, found)
        return True

    def _take_columns(self, run: EventRun) -> bool:
        """All messages but the first at once; False, and nothing, if they are not alike or have other consequences."""
        if self._by_time:
            return False
        state, columns = self._step.state, columns_of(run, self._wants_average)
        due = next_due(state, self._step.plans)
        if columns is None or (due is not None and columns.latest >= due):
            return False
        self._add(columns, range(1, len(run)))
        state.event_time, state.clock = max(state.event_time, columns.latest), run.clock
        return True

    def _add(self, columns: Columns, rest: range) -> None:
        """Put columns, of which the first values are taken already, with their series."""
        step = self._step
        step.counts.move_with_each(rest, "metrics")
        version = step.state.versions[-1]
        kept = [(step.pending_of(version, metric), values) for metric, values in columns.values.items()]
        width = sum(pending is not None for pending, _ in kept)
        first = self._findings.reserve(len(rest) * width)
        end = self._findings.position
        for pending, values in kept:
            if pending is not None:
                pending.add_column(values, rest, range(first, end, width))
                first += 1
