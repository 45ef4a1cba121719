"""The first pass: inputs are counted in order, their values put with their series, and what else happened is noted."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from agents.monitor.findings import Findings
from agents.monitor.late_labels import LateLabels
from agents.monitor.placing import Placing
from agents.monitor.readings import notice_of, outcome_readings, readings, segment_readings
from agents.monitor.step import Step
from agents.monitor.telling import Telling
from agents.monitor.times import microseconds
from agents.monitor.versions import Versions
from schemas.drift import ExternalDrift
from schemas.fields import EPOCH
from schemas.internal import OperatorAction
from schemas.message import Message
from schemas.metrics import Heartbeat, Label, Prediction
from streams.stage import Event, Input, Tick

_MICROSECOND: Final = timedelta(microseconds=1)


class Intake:
    """Takes inputs one by one. `retired` is the index of the operator's order that ends the step, once it came."""

    def __init__(self, step: Step, findings: Findings, timeout_ms: int) -> None:
        self._step, self._findings, self._timeout = step, findings, timeout_ms
        self.versions: Final = Versions(step, findings)
        self.placing: Final = Placing(step, findings, self.versions)
        self._late = LateLabels(step, findings)
        self.retired: int | None = None

    def take(self, index: int, item: Input) -> None:
        """Take an event or a tick."""
        if isinstance(item, Tick):
            self._take_tick(index, item)
        else:
            self.take_event(index, item)

    def _take_tick(self, index: int, tick: Tick) -> None:
        state, elapsed = self._step.state, tick.clock - self._step.state.clock
        if state.sends_heartbeats:
            self._late.expire_by(index, tick)
            self.versions.evict(index, state.event_time + elapsed * 1_000)
        self.placing.timed.pass_tick(index, tick)
        if state.sends_heartbeats and not state.silent and elapsed >= self._timeout:
            state.silent = True
            self._note_silence(index, EPOCH + state.event_time * _MICROSECOND + timedelta(milliseconds=elapsed))

    def take_event(self, index: int, event: Event) -> None:
        """Take a record, with all that it may bring about."""
        message = event.message
        if isinstance(message, OperatorAction) and message.action == "retire":
            self.retired = index
            return
        self._step.counts.move(index, message.type, 1)
        self._step.state.clock = event.clock
        self._pass_time(index, message)
        if isinstance(message, Prediction | Label):
            self._take_half(index, message)
        else:
            self._take_message(index, message)

    def _pass_time(self, index: int, message: Message) -> None:
        """What is due by the time of a record: things are given up, windows complete, silence ends."""
        step = self._step
        step.state.event_time = max(step.state.event_time, microseconds(message))
        self._late.expire(index, message)
        self.versions.evict(index, step.state.event_time)
        self.placing.timed.pass_time(index)
        self.placing.timed.pass_segment_times(index, message.labels or {})
        if step.state.silent:
            step.state.silent = False
            self._note_silence(index, message.timestamp)

    def _note_silence(self, index: int, time: datetime) -> None:
        """Silence begins or ends, at `time`."""
        state = self._step.state
        version = self._step.latest_version(state.last_version)
        self._findings.note(index, Telling.silence, state.silent, self._timeout, version, time)

    def _take_message(self, index: int, message: Message) -> None:
        state, plans = self._step.state, self._step.plans
        state.last_version = message.model_version
        wanted, scores = plans.of_outcomes(state.model), plans.of_scores(state.model)
        if found := readings(message, plans.wants_average(state.model), wanted, scores):
            version = self.placing.take(index, message.model_version, found)
            if message.labels:
                self.placing.take_segments(index, version, message, message.labels)
        elif isinstance(message, Heartbeat):
            state.sends_heartbeats = True
        elif isinstance(message, ExternalDrift):
            self._findings.note(index, Telling.external, message)
        elif isinstance(message, OperatorAction) and message.action == "reset":
            self.versions.drop_all()
        elif notice := notice_of(message):
            self._findings.note(index, Telling.notice, notice)

    def _take_half(self, index: int, message: Prediction | Label) -> None:
        """A prediction or a label; once both are there they are an outcome of the version that predicted."""
        if isinstance(message, Prediction):
            self._step.state.last_version = message.model_version
            self._take_scores(index, message)
        if joined := self._late.take(index, message):
            wanted = self._step.plans.of_outcomes(self._step.state.model)
            version = self.placing.take(index, joined.version, outcome_readings(joined.outcomes, wanted))
            self.placing.take_segments(index, version, joined.outcomes, joined.labels)

    def _take_scores(self, index: int, message: Prediction) -> None:
        """What the score of a prediction says already."""
        model, plans, labels = self._step.state.model, self._step.plans, message.labels or {}
        found = readings(message, False, (), plans.of_scores(model))
        if found or segment_readings(message, labels, plans.of_segments(model)):
            version = self.placing.take(index, message.model_version, found)
            self.placing.take_segments(index, version, message, labels)
