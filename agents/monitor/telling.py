"""The third pass: what was found is said, in order of position, each with the record that it came of."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from agents.drift import Verdict
from agents.monitor.event_series import event_window_of
from agents.monitor.outputs import Publisher, Value
from agents.monitor.pending import Pending
from agents.monitor.readings import Notice
from agents.monitor.segments import value_in
from agents.monitor.state import Series, Version
from agents.monitor.statuses import Statuses
from agents.monitor.step import Step
from agents.monitor.times import Span
from schemas.drift import ExternalDrift
from schemas.status import ModelState
from streams.records import Output
from streams.windows import Pushed


class Telling:
    """Says findings, each on account of input `index`; `findings.Findings` calls these in order.

    What changes how the model is doing is followed by a status: at once for what is about the model as a whole, and
    else once all that the input brought about is said (`end_input`). It begins before the first pass does: as the
    model was then, so it is when the first finding is said.
    """

    def __init__(self, step: Step) -> None:
        self._step: Final = step
        self._publish, self._statuses = Publisher(step.state), Statuses(step)
        self._silent = step.state.silent
        self._changed: Version | None = None

    @property
    def outputs(self) -> list[Output]:
        """What was said so far."""
        return self._publish.outputs

    def end_input(self, index: int) -> None:
        """All that came of an input is said: its status, if there is to be one."""
        if self._changed is not None:
            self._status(index, self._changed, self._time(index))

    # Of series.

    def changed(self, _: int, version: Version) -> None:
        """There are other versions or series than before."""
        self._changed = version

    def phase(self, _: int, pending: Pending, phase: ModelState) -> None:
        """A series is in another phase from here on."""
        pending.series.phase = phase
        self._changed = pending.version

    def drift(self, index: int, pending: Pending, at: int, value: float, pushed: Pushed, verdict: Verdict) -> None:
        """The detector fired, or warned."""
        source = pending.idle.get(at) or self._step.source(index)
        self._publish.drift(source, self._value(index, pending, at, pushed, value), verdict)

    def breach(self, index: int, pending: Pending, at: int, measured: float, pushed: Pushed, minimum: float) -> None:
        """A value, or the window's mean, is below its minimum."""
        source = pending.idle.get(at) or self._step.source(index)
        self._publish.breach(source, self._value(index, pending, at, pushed, measured), minimum)

    def strayed(self, index: int, pending: Pending, value: float) -> None:
        """A value cannot be given to the detector: the first."""
        name, called = pending.plan.detector_name, _called(pending.metric, pending.segment)
        text = f"{called}: {value:g} is not from 0 to 1: {name} is not given it, nor any like it from now on"
        self._publish.alert("out_of_range", "warning", text, pending.version.name, self._time(index))

    def begun_anew(self, index: int, version: Version, metric: str, segment: str, former: Series) -> None:
        """The settings ask something else of a series."""
        called, size = _called(metric, segment), former.window.size
        text = f"{called}: the settings have changed, so its window begins anew (it held {size} values)"
        self._publish.alert("settings_changed", "info", text, version.name, self._time(index))

    def _value(self, index: int, pending: Pending, at: int, pushed: Pushed, value: float) -> Value:
        number = pending.numbers_from + at
        if pending.plan.event is not None:
            span = Span(*event_window_of(pending.series, pending.plan).span(pending.results[at].pane))
        else:
            span = pending.times.span(pushed.before.pushed + at, self._step.time(index))
        version, segment = pending.version.name, value_in(pending.segment)
        return Value(version, pending.metric, segment, pending.plan, value, pushed.summary(at), number, span)

    # Of the model, or of a record by itself.

    def external(self, index: int, message: ExternalDrift) -> None:
        """Somebody else found drift."""
        self._publish.external_drift(self._step.source(index), message.p_value)

    def notice(self, index: int, notice: Notice) -> None:
        """The record calls for an alert by itself."""
        source = self._step.source(index)
        self._publish.alert(*notice, source.version, source.time)

    def limit(self, index: int, kind: str, text: str, version: str) -> None:
        """More came of something than is kept."""
        self._publish.alert(kind, "warning", text, version, self._time(index))

    def waiting(self, index: int, kind: str, text: str, version: Version, time: datetime) -> None:
        """Predictions or labels were given up; the status has how many."""
        self._publish.alert(kind, "warning", text, version.name, time)
        self._status(index, version, time)

    def silence(self, index: int, silent: bool, timeout_ms: int, version: Version, time: datetime) -> None:
        """Silence begins or ends."""
        self._silent = silent
        text = f"nothing has come for {timeout_ms / 1000:g} s" if silent else "records come again"
        self._publish.alert("silence", "error", text, version.name, time, "firing" if silent else "resolved")
        self._status(index, version, time)

    def _status(self, index: int, version: Version, time: datetime) -> None:
        self._changed = None
        counts, rules = self._step.counts.after(index), self._statuses.rules_after(index, version)
        self._publish.status(self._silent, counts, rules, version.name, time)

    def _time(self, index: int) -> datetime:
        return self._step.time_of(index)


def _called(metric: str, segment: str) -> str:
    """A series as people call it."""
    return f"{metric} of {' '.join(segment.split(chr(0)))}" if segment else metric
