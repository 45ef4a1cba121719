"""The tuner's alerts: which fire for a model, and when they end."""

from __future__ import annotations

from typing import Literal

from agents.tuner.state import TunerState
from agents.tuner.study import STAGE
from schemas.alerts import Alert
from schemas.ids import output_id
from schemas.internal import OperatorAction
from schemas.retrain import RetrainRequest
from streams.records import Output

Severity = Literal["info", "warning", "error"]


def fire(state: TunerState, cause: RetrainRequest, kind: str, severity: Severity, text: str) -> list[Output]:
    """An alert, if it is not firing for this model already; a failed study is an event and fires each time."""
    if kind in state.firing and kind != "study_failed":
        return []
    if kind not in state.firing:
        state.firing.append(kind)
    return [_alert(state, cause, kind, severity, "firing", text)]


def resolve(state: TunerState, cause: RetrainRequest, kind: str, text: str) -> list[Output]:
    """The end of an alert, if it is firing for this model."""
    if kind not in state.firing:
        return []
    state.firing.remove(kind)
    return [_alert(state, cause, kind, "info", "resolved", text)]


def end_all(state: TunerState, action: OperatorAction, text: str) -> list[Output]:
    """The end of everything that fires for a model, by an operator's order."""
    outputs = []
    for kind in state.firing:
        alert = Alert(
            event_id=output_id(STAGE, action.model_name, "", "", "", "", f"alert {kind}", state.take_sequence()),
            model_name=action.model_name,
            timestamp=action.timestamp,
            labels=action.labels,
            kind=kind,
            severity="info",
            state="resolved",
            message=text,
        )
        outputs.append(Output("alerts", action.model_name, alert))
    state.firing = []
    return outputs


def _alert(
    state: TunerState,
    cause: RetrainRequest,
    kind: str,
    severity: Severity,
    status: Literal["firing", "resolved"],
    text: str,
) -> Output:
    name, version = cause.model_name, cause.model_version
    alert = Alert(
        event_id=output_id(STAGE, name, version, cause.metric, "", cause.rule, "alert", state.take_sequence()),
        model_name=name,
        model_version=version,
        timestamp=cause.timestamp,
        labels=cause.labels,
        kind=kind,
        severity=severity,
        state=status,
        message=text,
    )
    return Output("alerts", name, alert)
