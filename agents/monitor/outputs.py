"""Makes the monitor's messages: ids from the key's own counters, times from the cause."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from agents.drift import Verdict
from agents.monitor.phases import is_worse
from agents.monitor.plan import Plan
from agents.monitor.scores import band_of
from agents.monitor.segments import series_of
from agents.monitor.state import Model, MonitorState, Watching
from agents.monitor.times import Span
from schemas.alerts import Alert
from schemas.drift import Cause, DriftDetected, ExternalDrift, ThresholdBreached, WindowSummary
from schemas.fields import EPOCH
from schemas.ids import output_id
from schemas.internal import OperatorAction
from schemas.message import OutputMessage
from schemas.status import ModelState, ModelStatus, RuleStatus
from streams.records import Output
from streams.windows import Summary

STAGE: Final = "monitor"

MAX_TEXT: Final = 10_000

_MICROSECOND: Final = timedelta(microseconds=1)

#: Of more rules, a status has these; its state is the worst of all.
MAX_RULES: Final = 1_000

#: A model is as the first of these that one of its rules is in: warming only while no rule can tell.
_PRECEDENCE: Final = (ModelState.DRIFT, ModelState.WARNING, ModelState.RECOVERED, ModelState.OK, ModelState.WARMING)


@dataclass(frozen=True, slots=True)
class Source:
    """The record that an output is about, as outputs refer to it; of what time brought about, when that was."""

    version: str
    time: datetime
    cause: Cause


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a series, in its window, with its number in the series (the first is 1).

    `version` is that of the series; of a label that came late its record may name another, or none.
    """

    version: str
    metric: str
    segment: str
    plan: Plan
    value: float
    window: Summary
    number: int
    span: Span


@dataclass(frozen=True, slots=True)
class WatchedSeries:
    """A series that a rule watches, as the status reports it."""

    metric: str
    segment: str
    plan: Plan
    phase: ModelState
    window: Summary | None


class Publisher:
    """Collects the outputs of one step in order, and advances the key's counter of outputs."""

    def __init__(self, state: MonitorState) -> None:
        self._state = state
        self.outputs: list[Output] = []

    def drift(self, source: Source, at: Value, verdict: Verdict) -> None:
        """`drift_detected`: the detector that watches the series fired, or warned, on a value."""
        plan = at.plan
        self._add(
            DriftDetected(
                event_id=self._value_id(at, plan.rule, "drift_detected"),
                rule=plan.rule,
                detector=plan.detector_name,
                statistic=_finite(verdict.statistic),
                threshold=verdict.threshold,
                p_value=verdict.p_value,
                direction="worse" if is_worse(verdict, plan.higher_is_better) else "better",
                severity="drift" if verdict.drift else "warning",
                **self._of_value(source, at),
            )
        )

    def breach(self, source: Source, at: Value, minimum: float) -> None:
        """A value (or mean) below a retrain rule's minimum: `threshold_breached`, or drift where the rule says so."""
        rule = at.plan.minimum_rule
        if not at.plan.minimum_is_drift:
            identity = self._value_id(at, rule, "threshold_breached")
            self._add(ThresholdBreached(event_id=identity, rule=rule, threshold=minimum, **self._of_value(source, at)))
            return
        self._add(
            DriftDetected(
                event_id=self._value_id(at, rule, "drift_detected"),
                rule=rule,
                detector="threshold",
                statistic=at.value,
                threshold=minimum,
                direction="worse",
                severity="drift",
                **self._of_value(source, at),
            )
        )

    def external_drift(self, source: Source, p_value: float) -> None:
        """Another monitor's finding, passed on with where it came from."""
        common = self._common("external_drift", source.version, source.time)
        self._add(ExternalDrift(p_value=p_value, cause=source.cause, **common))

    def alert(
        self,
        kind: str,
        severity: Literal["info", "warning", "error"],
        text: str,
        version: str,
        time: datetime,
        state: Literal["firing", "resolved"] = "firing",
    ) -> None:
        """`alert`: what a person should know."""
        common = self._common(f"alert {kind}", version, time)
        self._add(Alert(kind=kind, severity=severity, state=state, message=text[:MAX_TEXT], **common), "alerts")

    def status(
        self, silent: bool, counts: dict[str, int], rules: list[WatchedSeries], version: str, time: datetime
    ) -> None:
        """`model_status`: how the model is doing, and each of its rules."""
        phases = {rule.phase for rule in rules}
        worst = next((phase for phase in _PRECEDENCE if phase in phases), ModelState.OK)
        reports = [
            RuleStatus(
                rule=rule.plan.rule,
                metric=rule.metric,
                segment=rule.segment,
                state=rule.phase,
                window=None if rule.window is None else summary_of(rule.plan, rule.window),
            )
            for rule in rules[:MAX_RULES]
        ]
        state = ModelState.SILENT if silent else worst
        common = self._common("model_status", version, time)
        self._add(ModelStatus(state=state, counts=counts, rules=reports, **common), "status")

    def _of_value(self, source: Source, at: Value) -> dict[str, Any]:
        return {
            "model_name": self._state.model,
            "model_version": at.version,
            "timestamp": source.time,
            "metric": at.metric,
            "segment": at.segment,
            "value": math.sqrt(at.value) if at.plan.is_root else at.value,
            "window": summary_of(at.plan, at.window, at.span),
            "cause": source.cause,
        }

    def _value_id(self, at: Value, rule: str, kind: str) -> str:
        return output_id(STAGE, self._state.model, at.version, at.metric, at.segment, rule, kind, at.number)

    def _common(self, kind: str, version: str, time: datetime) -> dict[str, Any]:
        self._state.sequence += 1
        identity = output_id(STAGE, self._state.model, version, "", "", "", kind, self._state.sequence)
        return {
            "event_id": identity,
            "model_name": self._state.model,
            "model_version": version,
            "timestamp": time,
        }

    def _add(self, message: OutputMessage | ExternalDrift, topic: str = "drift") -> None:
        self.outputs.append(Output(topic, self._state.model, message))


def retirement(model: Model, order: OperatorAction) -> list[Output]:
    """What is said when a model is retired: its alerts end, and its status is removed from the topic."""
    state = model.state
    publish = Publisher(state)
    text = f"the model was retired by {order.actor}" + (f": {order.note}" if order.note else "")
    version = state.versions[-1].name if state.versions else state.last_version
    firing = {
        "silence": state.silent,
        "metric_limit": state.metrics_capped,
        "out_of_range": _strayed(model),
        "segment_limit": state.segments_capped,
        "waiting_limit": state.waiting is not None and state.waiting.capped,
        **{f"expired_{kind}": state.counts.get(f"expired_{kind}", 0) > 0 for kind in ("predictions", "labels")},
    }
    for kind, fires in firing.items():
        if fires:
            publish.alert(kind, "info", text, version, order.timestamp, "resolved")
    return [*publish.outputs, Output("status", state.model, None)]


def _strayed(model: Model) -> bool:
    every = (series.detector for series in series_of(model))
    return any(isinstance(each, Watching) and each.outside for each in every)


def _finite(statistic: float) -> float:
    """Sums of huge values overflow; a message holds the largest number then."""
    return max(-sys.float_info.max, min(statistic, sys.float_info.max))


def summary_of(plan: Plan, window: Summary, span: Span | None = None) -> WindowSummary:
    """A window as messages report it."""
    if plan.is_root:
        window = _root(window)
    return WindowSummary(
        size=plan.size if plan.event is None else window.count,
        count=window.count,
        mean=window.mean,
        std=window.std,
        min=window.min,
        max=window.max,
        begin=None if span is None or span.begin is None else EPOCH + span.begin * _MICROSECOND,
        end=None if span is None else EPOCH + span.end * _MICROSECOND,
        band=band_of(window) if plan.is_estimate else None,
    )


def _root(window: Summary) -> Summary:
    """Of squared errors in the errors' own unit: the mean's root, and by the delta method its deviation."""
    root = math.sqrt(window.mean)
    std = min(window.std / (2 * root), sys.float_info.max) if root else 0.0
    return Summary(window.count, root, std, math.sqrt(window.min), math.sqrt(window.max))
