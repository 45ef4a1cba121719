"""The join of predictions and labels within a step: what it counts in the status, and what is told of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Final

from agents.monitor.findings import Findings
from agents.monitor.joining import MOST_PER_RECORD, MOST_PER_TICK, Join, Joined, Waiting, due_at
from agents.monitor.step import Step
from agents.monitor.telling import Telling
from schemas.fields import EPOCH
from schemas.message import Message
from schemas.metrics import Label, Prediction
from streams.stage import Tick

_MICROSECOND: Final = timedelta(microseconds=1)


class LateLabels:
    """Of one model in one step. What is given up is told at 1, 10, 100, … of them, with a status for the counts."""

    def __init__(self, step: Step, findings: Findings) -> None:
        self._step, self._state, self._plans, self._findings = step, step.state, step.plans, findings
        self._join: Join | None = None

    def take(self, index: int, message: Prediction | Label) -> Joined | None:
        """Take in a prediction or a label; the pair if its other half waits."""
        state = self._state
        if state.waiting is None:
            state.waiting = Waiting()
        join, version = self._joining(state.waiting), message.model_version
        if join.is_full and not state.waiting.capped:
            state.waiting.capped = True
            text = f"{self._plans.waiting_limit} predictions and labels wait: from now on the oldest are given up"
            self._tell(index, "waiting_limit", text, version, message.timestamp)
        keys = {each.key for each in self._plans.of_segments(state.model)}
        labels = {key: value for key, value in message.labels.items() if key in keys}
        note = partial(self._note, index, version, message.timestamp)
        return join.take(message, labels, state.event_time, note)

    def expire(self, index: int, message: Message) -> None:
        """Give up what has waited too long when this record came."""
        state = self._state
        if state.waiting is not None and self._is_due(state.event_time):
            note = partial(self._note, index, message.model_version, message.timestamp)
            self._joining(state.waiting).expire(state.event_time, MOST_PER_RECORD, note)

    def expire_by(self, index: int, tick: Tick) -> None:
        """Give up what has waited too long now that time went by without records."""
        state = self._state
        now = state.event_time + (tick.clock - state.clock) * 1_000
        if state.waiting is not None and self._is_due(now):
            note = partial(self._note, index, state.last_version, EPOCH + now * _MICROSECOND)
            left = self._joining(state.waiting).expire(now, MOST_PER_TICK, note)
            state.waiting.resume = tick.clock + 1 if left else 0

    def _is_due(self, now: int) -> bool:
        due = due_at(self._state.waiting, self._plans.horizon)
        return due is not None and now >= due

    def _joining(self, waiting: Waiting) -> Join:
        if self._join is None:
            self._join = Join(waiting, self._step.parts, self._plans.horizon, self._plans.waiting_limit)
        return self._join

    def _note(self, index: int, version: str, time: datetime, kind: str, by: int) -> None:
        self._step.counts.move(index, kind, by)
        number = self._state.counts[kind]
        if kind.startswith("expired_") and str(number).rstrip("0") == "1":
            days, what = self._plans.horizon / 86_400_000_000, kind.removeprefix("expired_")
            text = f"{number} {what} so far have found no partner within {days:g} days"
            self._tell(index, kind, text, version, time)

    def _tell(self, index: int, kind: str, text: str, version: str, time: datetime) -> None:
        self._findings.note(index, Telling.waiting, kind, text, self._step.latest_version(version), time)
