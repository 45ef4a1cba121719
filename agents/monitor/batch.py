"""One step of the monitor over one model's inputs, in three passes:

1. in order: count, put each value with its series, and note what else happened at which position;
2. series by series, vectorised: statistics, what the detector finds, minima, phases, each with its position;
3. in order of position: say it. So outputs and state are the same however the inputs were split into steps.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final, cast

import numpy as np

from agents.drift import Verdict
from agents.monitor.causes import cause_of
from agents.monitor.columns import Columns, columns_of
from agents.monitor.event_series import Results, event_window_of, means_of
from agents.monitor.expiry import next_due, version_due
from agents.monitor.late_labels import LateLabels
from agents.monitor.outcomes import Outcomes, Values
from agents.monitor.outputs import Publisher, Source, Value, WatchedSeries
from agents.monitor.pending import Finding, Pending
from agents.monitor.phases import follow
from agents.monitor.plan import Plan, Plans
from agents.monitor.readings import Reading, notice_of, outcome_readings, readings, segment_readings
from agents.monitor.segments import Segments, segment_name, value_in
from agents.monitor.state import MAX_METRICS, MAX_VERSIONS, Model, Series, Version, window_of
from agents.monitor.times import Span, Times, microseconds
from agents.monitor.watching import begin_with, found_in
from schemas.compact import CompactOutcomes
from schemas.drift import ExternalDrift
from schemas.fields import EPOCH
from schemas.internal import OperatorAction
from schemas.message import Message
from schemas.metrics import Heartbeat, Label, Prediction
from schemas.status import ModelState
from streams.event_windows import EventWindow
from streams.records import Output
from streams.run import EventRun
from streams.stage import Event, Input, Tick
from streams.windows import Floats, Pushed, Summary, WindowHead

_MICROSECOND: Final = timedelta(microseconds=1)


class Batch:
    """The inputs of one step, or those up to a retirement; `run` changes the state it was given.

    `retired` is then the index of the operator's order, which ends the batch: what comes after it is of a new model.
    """

    def __init__(self, model: Model, inputs: Sequence[Input], plans: Plans, timeout_ms: int) -> None:
        state, self._parts = model
        self._state, self._inputs, self._plans, self._timeout = state, inputs, plans, timeout_ms
        #: The counts before this step, and by which inputs they went up, and down.
        self._counts, self._seen, self._gone = dict(state.counts), dict[str, list[int]](), dict[str, list[int]]()
        self._late = LateLabels(model, plans)
        self._position = 0
        self._segments = Segments(model, plans.segment_limit)
        #: By version, metric and segment.
        self._pending: dict[tuple[int, str, str], Pending] = {}
        #: Every version of this step, in order of its beginning; those dropped on the way too.
        self._versions: list[Version] = list(state.versions)
        self._begun: dict[int, tuple[int, Version | None]] = {}
        self._findings: list[Finding] = []
        self._sources: dict[int, Source] = {}
        self._publish = Publisher(state)
        self._silent = state.silent
        self._changed: Version | None = None
        self._dropped: list[Series] = []
        self._gone_versions: list[Version] = []
        self.retired: int | None = None

    def run(self) -> list[Output]:
        """All three passes; the outputs are in the order of their causes."""
        if isinstance(self._inputs, EventRun):
            self._take_run(self._inputs)
        else:
            for index, item in enumerate(self._inputs):
                self._take(index, item)
                if self.retired is not None:
                    break
        order = {id(version): number for number, version in enumerate(self._versions)}
        for pending in sorted(self._pending.values(), key=lambda pending: order[id(pending.version)]):
            self._judge(pending)
        self._say()
        for series in self._dropped:  # last: what is said may be of their windows
            window_of(series, self._parts).discard()
        for version in self._gone_versions:
            self._segments.discard(version)
        self._segments.write()
        return self._publish.outputs

    # First pass: in order.

    def _take(self, index: int, item: Input) -> None:
        if isinstance(item, Tick):
            self._take_tick(index, item)
        else:
            self._take_event(index, item)

    def _take_run(self, run: EventRun) -> None:
        """The first event by itself; it settles version and series for the others, if these are like it."""
        first = run[0]
        self._take_event(0, first)
        with_average = self._plans.wants_average(self._state.model)
        columns = columns_of(run.messages, with_average) if len(run) > 1 else None
        due = next_due(self._state, self._plans)
        quick = columns is not None and not self._plans.by_time(self._state.model)
        if quick and columns is not None and (due is None or columns.latest < due):
            self._take_columns(columns, len(run) - 1)
            self._state.clock = run.clock
            return
        for index in range(1, len(run)):
            if self.retired is not None:
                break
            message = run.messages[index]
            if not isinstance(message, CompactOutcomes) or not self._take_outcomes(index, message, run.clock_at(index)):
                self._take_event(index, run[index])

    def _take_outcomes(self, index: int, message: CompactOutcomes, clock: int) -> bool:
        """What `_take_event` does, for outcomes that have no other consequence; False, and nothing, for others."""
        state, time = self._state, max(self._state.event_time, microseconds(message))
        due = next_due(state, self._plans)
        if state.silent or (due is not None and time >= due) or self._plans.by_time(state.model):
            return False
        self.count(index, "outcomes", 1)
        state.clock, state.event_time, state.last_version = clock, time, message.model_version
        if found := readings(message, False, self._plans.of_outcomes(state.model), self._plans.of_scores(state.model)):
            self._take_readings(index, message.model_version, found)
        return True

    def _take_columns(self, columns: Columns, count: int) -> None:
        """What `_take_event` does, for all messages but the first at once."""
        state, rest = self._state, range(1, count + 1)
        state.counts["metrics"] += count
        self._seen["metrics"].extend(rest)
        state.event_time = max(state.event_time, columns.latest)
        version = state.versions[-1]
        kept = [(self._pending.get((id(version), metric, "")), values) for metric, values in columns.values.items()]
        width = sum(pending is not None for pending, _ in kept)
        at = self._position
        for pending, values in kept:
            if pending is not None:
                pending.add_column(values[1:], rest, range(at, at + count * width, width))
                at += 1
        self._position += count * width

    def _take_tick(self, index: int, tick: Tick) -> None:
        state, elapsed = self._state, tick.clock - self._state.clock
        self._late.expire_by(self, index, tick)
        self._evict(index, state.event_time + elapsed * 1_000)
        if state.sends_heartbeats and not state.silent and elapsed >= self._timeout:
            state.silent = True
            self._note_silence(index, EPOCH + state.event_time * _MICROSECOND + timedelta(milliseconds=elapsed))

    def _take_event(self, index: int, event: Event) -> None:
        state, message = self._state, event.message
        if isinstance(message, OperatorAction) and message.action == "retire":
            self.retired = index
            return
        self.count(index, message.type, 1)
        state.clock = event.clock
        state.event_time = max(state.event_time, microseconds(message))
        self._late.expire(self, index, message)
        self._evict(index, state.event_time)
        if self._plans.by_time(state.model):
            self._complete_windows(index)
        if state.silent:
            state.silent = False
            self._note_silence(index, message.timestamp)
        if isinstance(message, Prediction | Label):
            self._take_half(index, message)
            return
        state.last_version = message.model_version
        wanted = self._plans.of_outcomes(state.model)
        scores = self._plans.of_scores(state.model)
        if found := readings(message, self._plans.wants_average(state.model), wanted, scores):
            version = self._take_readings(index, message.model_version, found)
            if message.labels:
                self._take_segments(index, version, message, message.labels)
        elif isinstance(message, Heartbeat):
            state.sends_heartbeats = True
        elif isinstance(message, ExternalDrift):
            self._note(index, partial(self._say_external, index, message.p_value))
        elif isinstance(message, OperatorAction) and message.action == "reset":
            while state.versions:
                self._drop_oldest_version()
        elif notice := notice_of(message):
            self._note(index, partial(self._publish.alert, *notice, message.model_version, message.timestamp))

    def count(self, index: int, kind: str, by: int) -> None:
        """Move a count of the status, up or down, on account of an input."""
        self._state.counts[kind] = self._state.counts.get(kind, 0) + by
        (self._seen if by > 0 else self._gone).setdefault(kind, []).extend([index] * abs(by))

    def _take_half(self, index: int, message: Prediction | Label) -> None:
        """A prediction or a label; once both are there they are an outcome of the version that predicted."""
        if isinstance(message, Prediction):
            self._state.last_version = message.model_version
            self._take_scores(index, message)
        if joined := self._late.take(self, index, message):
            wanted = self._plans.of_outcomes(self._state.model)
            version = self._take_readings(index, joined.version, outcome_readings(joined.outcomes, wanted))
            self._take_segments(index, version, joined.outcomes, joined.labels)

    def _take_scores(self, index: int, message: Prediction) -> None:
        """What the score of a prediction says already."""
        model, labels = self._state.model, message.labels or {}
        found = readings(message, False, (), self._plans.of_scores(model))
        if found or segment_readings(message, labels, self._plans.of_segments(model)):
            version = self._take_readings(index, message.model_version, found)
            self._take_segments(index, version, message, labels)

    def tell(self, index: int, kind: str, text: str, version: str, time: datetime) -> None:
        """Note an alert, and the status that goes with it."""
        latest = self._state.versions[-1] if self._state.versions else Version(version)
        self._note(index, partial(self._say_waiting, index, kind, text, latest, time))

    def _take_readings(self, index: int, version_name: str, found: list[Reading]) -> Version:
        version = self._version(index, version_name)
        for metric, values in found:
            if (pending := self._pending_of(index, version, metric)) is None:
                self._note_cap(index, version_name, metric)
            elif pending.plan.event is None:
                pending.add(values, index, self._position)
                self._position += len(values)
            else:
                self._take_timed(index, event_window_of(pending.series, pending.plan), values)
        return version

    def _take_timed(self, index: int, window: EventWindow, values: Values) -> None:
        """Put values into the pane of their time; those that come after it was complete are counted, and no more."""
        window.complete(self._state.event_time)  # nothing, but of a series that has only begun
        if not window.add(self._time(index), [float(value) for value in values]):
            self.count(index, "late_values", len(values))

    def _complete_windows(self, index: int) -> None:
        """Take in the windows by event time that this input's time completes, each as one value of its series."""
        for version in self._state.versions:
            for metric, series in version.series.items():
                plan = self._plans.of(self._state.model, metric)
                if plan.event is None or series.panes is None or series.watched != plan.watched:
                    continue  # of one whose settings have changed the next value says so
                window = event_window_of(series, plan)
                former = window.newest() if self._is_due(window) else None
                if results := window.complete(self._state.event_time):
                    pending = self._collecting(index, version, metric, plan, "", version.series)
                    begins = not series.window.pushed and not pending.results
                    pending.former = pending.former if pending.results else former
                    pending.results += results
                    pending.add([result.mean for result in results], index, self._position)
                    self._position += len(results)
                    if begins and plan.detector is not None:
                        self._note(index, partial(self._change, version))

    def _is_due(self, window: EventWindow) -> bool:
        return window.due is not None and self._state.event_time >= window.due

    def _take_segments(
        self, index: int, version: Version, message: Message | Outcomes, labels: Mapping[str, str]
    ) -> None:
        """Put what a message says of segments with their series, too."""
        for value, plan, values in segment_readings(message, labels, self._plans.of_segments(self._state.model)):
            name = segment_name(plan.key, value)
            if (series := self._segments.of(version, name)) is None:
                self._note_segments_cap(index, version, plan.key, value)
                continue
            pending = self._collecting(index, version, plan.metric, plan.plan, name, series)
            pending.add(values, index, self._position)
            self._position += len(values)

    def _version(self, index: int, name: str) -> Version:
        """The version of this name, which is now the one seen last; a new one if it is unknown."""
        versions = self._state.versions
        if versions and versions[-1].name == name:
            return versions[-1]
        for place, version in enumerate(versions):
            if version.name == name:
                versions[-1].seen = self._state.event_time
                versions.append(versions.pop(place))
                return version
        if versions:
            versions[-1].seen = self._state.event_time
        version = Version(name)
        self._begun[id(version)] = self._position, versions[-1] if versions else None
        self._versions.append(version)
        self._note(index, partial(self._change, version))
        versions.append(version)
        if len(versions) > MAX_VERSIONS:
            self._drop_oldest_version()
        return version

    def _evict(self, index: int, now: int) -> None:
        """Forget the versions that have not been seen for too long at the model's time `now`."""
        while (due := version_due(self._state, self._plans)) is not None and now >= due:
            self._drop_oldest_version()
            self.count(index, "evicted_versions", 1)

    def _drop_oldest_version(self) -> None:
        """Forget the version seen longest ago; series that begin from now on are numbered beyond its own."""
        version = self._state.versions.pop(0)
        self._gone_versions.append(version)
        for name, metric, series in self._series_of(version):
            pending = self._pending.get((id(version), metric, name))
            last = series.base + series.window.pushed + (len(pending) if pending else 0)
            self._state.retired = max(self._state.retired, last)
            self._dropped.append(series)

    def _pending_of(self, index: int, version: Version, metric: str) -> Pending | None:
        """Where this step collects the values of a series of the whole; None for a metric too many."""
        if pending := self._pending.get((id(version), metric, "")):
            return pending
        if metric not in version.series and len(version.series) >= MAX_METRICS:
            return None
        return self._collecting(index, version, metric, self._plans.of(self._state.model, metric), "", version.series)

    def _collecting(
        self, index: int, version: Version, metric: str, plan: Plan, segment: str, known: dict[str, Series]
    ) -> Pending:
        """Where this step collects the values of a series, which may be about to begin; it is among those `known`."""
        if pending := self._pending.get((id(version), metric, segment)):
            return pending
        series = known.get(metric)
        if series is None:
            series = known[metric] = self._begin(plan, self._state.retired)
            self._seed(series, plan, version, metric, segment)
            if plan.detector is not None and plan.event is None:
                self._note(index, partial(self._change, version))
        elif series.window.size != plan.size or (series.watched and series.watched != plan.watched):
            self._note(index, partial(self._say_anew, index, version, _called(metric, segment), series))
            self._dropped.append(series)
            series = known[metric] = self._begin(plan, series.base + series.window.pushed)
            self._seed(series, plan, version, metric, segment)
            self._note(index, partial(self._change, version))
        series.watched = plan.watched
        first, times = series.base + series.window.pushed + 1, Times.of(plan.size, series.times)
        pending = Pending(version, metric, series, plan, first, times, segment)
        self._pending[id(version), metric, segment] = pending
        return pending

    def _series_of(self, version: Version) -> Iterator[tuple[str, str, Series]]:
        """(segment, metric, series) of all series of a version, those of the whole first."""
        yield from (("", metric, series) for metric, series in version.series.items())
        yield from self._segments.every(version)

    def _begin(self, plan: Plan, base: int) -> Series:
        """A series with an empty window, whose values are numbered from `base` on."""
        self._state.begun += 1
        return Series(WindowHead(plan.size), self._state.begun, base)

    def _seed(self, series: Series, plan: Plan, version: Version, metric: str, segment: str) -> None:
        """Let a series begin with its baseline, if there is one."""
        values = None if segment else self._plans.baseline(self._state.model, version.name, metric)
        if values is not None:
            begin_with(series, plan, values, self._parts)

    def _note_cap(self, index: int, version: str, metric: str) -> None:
        if not self._state.metrics_capped:
            self._state.metrics_capped = True
            text = f"more than {MAX_METRICS} metrics: {metric!r} and any further ones are not kept"
            self._note(index, partial(self._say_cap, index, text, version))

    def _note_segments_cap(self, index: int, version: Version, key: str, value: str) -> None:
        if not self._state.segments_capped:
            self._state.segments_capped = True
            limit = self._plans.segment_limit
            text = f"more than {limit} segments: {key} {value!r} and any further ones are not watched by themselves"
            time = self._source(index).message.timestamp
            self._note(index, partial(self._publish.alert, "segment_limit", "warning", text, version.name, time))

    def _note_silence(self, index: int, time: datetime) -> None:
        """Silence begins or ends, at `time`."""
        state = self._state
        version = state.versions[-1] if state.versions else Version(state.last_version)
        self._note(index, partial(self._say_silence, index, state.silent, version, time))

    def _note(self, index: int, act: Callable[[], None]) -> None:
        self._findings.append(Finding(self._position, index, act))
        self._position += 1

    # Second pass: series by series.

    def _judge(self, pending: Pending) -> None:
        self._inherit(pending.version)
        if pending.plan.event is not None:
            self._judge_results(pending)
            return
        plan, values, window = pending.plan, pending.values(), window_of(pending.series, self._parts)
        if not plan.is_measured:
            window.extend(values)
            return
        self._note_times(pending, window.pushed, len(values))
        pushed = pending.pushed = window.push_many(values)
        self._judge_values(pending, values, pushed, pushed)

    def _judge_results(self, pending: Pending) -> None:
        """Of a window by event time the values are the means of panes."""
        pushed = pending.pushed = Results.of(pending.series, pending.results, pending.former, self._parts)
        self._judge_values(pending, means_of(pending.results), pushed, pushed.judged())

    def _judge_values(self, pending: Pending, values: Floats, pushed: Pushed, judged: Pushed) -> None:
        """What is found in values: `pushed` has the statistics to be told, `judged` those to compare values with."""
        plan = pending.plan
        fired, strayed = found_in(pending.series, plan, values, judged)
        if strayed is not None:
            self._note_at(pending, strayed, partial(self._say_strayed, pending, strayed, float(values[strayed])))
        for at, verdict in fired:
            if verdict.drift or verdict.warning:
                self._note_at(pending, at, partial(self._say_drift, pending, at, float(values[at]), pushed, verdict))
        if plan.minimum is not None:
            self._judge_minimum(pending, values, pushed, plan.minimum)
        if plan.detector is not None:
            after_drift = pending.version.after_drift and not pending.segment
            for at, phase in follow(pending.series, plan, values, judged, fired, after_drift):
                pending.changes.append((pending.position(at), phase))
                self._note_at(pending, at, partial(self._enter, pending, phase))

    def _note_times(self, pending: Pending, begin: int, count: int) -> None:
        """Keep when some of the values came, of which the first has the number `begin` in its window."""
        pending.times = pending.times.after(begin, begin + count, lambda at: self._time(pending.input(at - begin)))
        pending.series.times = pending.times.encode()

    def _time(self, index: int) -> int:
        """The event time of an input's record, in microseconds since the epoch."""
        inputs = self._inputs
        message = inputs.messages[index] if isinstance(inputs, EventRun) else cast(Event, inputs[index]).message
        return microseconds(message)

    def _judge_minimum(self, pending: Pending, values: Floats, pushed: Pushed, minimum: float) -> None:
        measured = pushed.mean if pending.plan.of_mean else values
        below = (np.sqrt(measured) if pending.plan.is_root else measured) < minimum
        if pending.plan.of_mean:
            below &= pushed.count >= pending.plan.min_samples
        for at in np.flatnonzero(below).tolist():
            self._note_at(pending, at, partial(self._say_breach, pending, at, pushed, float(measured[at]), minimum))

    def _inherit(self, version: Version) -> None:
        """Whether the version before was in drift when this one began; its own values have been judged by now."""
        position, former = self._begun.pop(id(version), (0, None))
        for metric, series in former.series.items() if former else ():
            pending = self._pending.get((id(former), metric, ""))
            phase = pending.phase_before(position) if pending else series.phase
            version.after_drift |= phase is ModelState.DRIFT and self._is_watched(metric)

    def _is_watched(self, metric: str) -> bool:
        return self._plans.of(self._state.model, metric).detector is not None

    def _note_at(self, pending: Pending, at: int, act: Callable[[], None]) -> None:
        self._findings.append(Finding(pending.position(at), pending.input(at), act))

    # Third pass: in order again.

    def _say(self) -> None:
        self._findings.sort(key=lambda finding: finding.position)
        for number, finding in enumerate(self._findings):
            finding.act()
            last = number + 1 == len(self._findings) or self._findings[number + 1].input != finding.input
            if last and self._changed is not None:
                time = self._source(finding.input).message.timestamp
                self._say_status(finding.input, self._changed, time)
        self._findings.clear()  # they refer to this: without them nothing holds a fetch's records for the collector

    def _change(self, version: Version) -> None:
        self._changed = version

    def _enter(self, pending: Pending, phase: ModelState) -> None:
        pending.series.phase = phase
        self._changed = pending.version

    def _say_cap(self, index: int, text: str, version: str) -> None:
        self._publish.alert("metric_limit", "warning", text, version, self._source(index).message.timestamp)

    def _say_waiting(self, index: int, kind: str, text: str, version: Version, time: datetime) -> None:
        self._publish.alert(kind, "warning", text, version.name, time)
        self._say_status(index, version, time)

    def _say_drift(self, pending: Pending, at: int, value: float, pushed: Pushed, verdict: Verdict) -> None:
        self._publish.drift(self._source(pending.input(at)), self._value(pending, at, pushed, value), verdict)

    def _say_anew(self, index: int, version: Version, metric: str, series: Series) -> None:
        time = self._source(index).message.timestamp
        text = f"{metric}: the settings have changed, so its window begins anew (it held {series.window.size} values)"
        self._publish.alert("settings_changed", "info", text, version.name, time)

    def _say_strayed(self, pending: Pending, at: int, value: float) -> None:
        time = self._source(pending.input(at)).message.timestamp
        name = pending.plan.detector_name
        called = _called(pending.metric, pending.segment)
        text = f"{called}: {value:g} is not from 0 to 1: {name} is not given it, nor any like it from now on"
        self._publish.alert("out_of_range", "warning", text, pending.version.name, time)

    def _say_breach(self, pending: Pending, at: int, pushed: Pushed, measured: float, minimum: float) -> None:
        value = self._value(pending, at, pushed, measured)
        self._publish.breach(self._source(pending.input(at)), value, minimum)

    def _value(self, pending: Pending, at: int, pushed: Pushed, value: float) -> Value:
        number = pending.numbers_from + at
        if pending.plan.event is not None:
            begin, end = event_window_of(pending.series, pending.plan).span(pending.results[at].pane)
            span = Span(begin, end)
        else:
            span = pending.times.span(pushed.before.pushed + at, self._time(pending.input(at)))
        version, segment = pending.version.name, value_in(pending.segment)
        return Value(version, pending.metric, segment, pending.plan, value, pushed.summary(at), number, span)

    def _say_external(self, index: int, p_value: float) -> None:
        self._publish.external_drift(self._source(index), p_value)

    def _say_silence(self, index: int, silent: bool, version: Version, time: datetime) -> None:
        self._silent = silent
        seconds = self._timeout / 1000
        text = f"nothing has come for {seconds:g} s" if silent else "records come again"
        self._publish.alert("silence", "error", text, version.name, time, "firing" if silent else "resolved")
        self._say_status(index, version, time)

    def _say_status(self, index: int, version: Version, time: datetime) -> None:
        self._changed = None
        counts = dict(self._counts)
        for kind, indices in self._seen.items():
            if seen := bisect_right(indices, index):
                counts[kind] = counts.get(kind, 0) + seen
        for kind, indices in self._gone.items():
            if gone := bisect_right(indices, index):
                counts[kind] = counts.get(kind, 0) - gone
        self._publish.status(self._silent, counts, self._rules(index, version), version.name, time)

    def _rules(self, index: int, version: Version) -> list[WatchedSeries]:
        """The watched series of a version as they were after an input."""
        rules = []
        for segment, metric, series in self._series_of(version):
            plan = self._plan_of(metric, segment)
            if plan is None or plan.detector is None:
                continue
            pending = self._pending.get((id(version), metric, segment))
            # Not if it is empty: by event time values may wait for their pane, and nothing was judged.
            window = pending.window_after(index) if pending else self._window(series, plan)
            if window is not None:
                rules.append(WatchedSeries(metric, value_in(segment), plan, series.phase, window))
        told = {rule.metric for rule in rules if not rule.segment}
        for metric in self._plans.by_time(self._state.model):
            if metric not in told:  # no window is complete yet
                plan = self._plans.of(self._state.model, metric)
                rules.append(WatchedSeries(metric, "", plan, ModelState.WARMING, None))
        return rules

    def _window(self, series: Series, plan: Plan) -> Summary | None:
        """The window of a series that nothing came for in this step."""
        if plan.event is None:
            return window_of(series, self._parts).summary()
        newest = event_window_of(series, plan).newest()
        return None if newest is None else newest.window

    def _plan_of(self, metric: str, segment: str) -> Plan | None:
        """What the settings ask of a series; None of a segment that they do not name any more."""
        if not segment:
            return self._plans.of(self._state.model, metric)
        key = segment.partition("\0")[0]
        plans = self._plans.of_segments(self._state.model)
        return next((each.plan for each in plans if (each.key, each.metric) == (key, metric)), None)

    def _source(self, index: int) -> Source:
        if index not in self._sources:
            event = self._inputs[index]
            assert isinstance(event, Event), "only records have a cause"
            self._sources[index] = Source(event.message, cause_of(event))
        return self._sources[index]


def _called(metric: str, segment: str) -> str:
    """A series as people call it."""
    return f"{metric} of {' '.join(segment.split(chr(0)))}" if segment else metric
