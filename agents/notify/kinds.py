"""Every kind of event that a `[[notify]]` rule can send: alerts by their kind, and others in the form of an alert."""

from __future__ import annotations

from typing import Any, Final, Literal

from agents.settings import NotifyRule
from agents.settings.notify import Severity
from schemas.alerts import Alert
from schemas.drift import DriftDetected, ExternalDrift, ThresholdBreached
from schemas.message import Message
from schemas.models import ModelVersion
from schemas.retrain import RetrainRequest
from schemas.status import ModelState, ModelStatus

ALERT_KINDS: Final[dict[str, Severity]] = {
    "data_quality_issue": "warning",
    "expired_labels": "warning",
    "expired_predictions": "warning",
    "inference_failure": "error",
    "metric_limit": "warning",
    "out_of_range": "warning",
    "records_lost": "error",
    "retrain_budget_exceeded": "warning",
    "retrain_dry_run": "info",
    "retrain_paused": "info",
    "retrain_suppressed": "warning",
    "schema_drift": "warning",
    "segment_limit": "warning",
    "settings_changed": "info",
    "silence": "error",
    "study_failed": "error",
    "tick_failed": "error",
    "tuner_queue_full": "warning",
    "waiting_limit": "warning",
}
"""Kinds on the topic `alerts`, with the severity that each has while it fires."""

OTHER_KINDS: Final[dict[str, tuple[str, Severity]]] = {
    "drift": ("drift", "error"),
    "drift_for_the_better": ("drift", "info"),
    "drift_warning": ("drift", "warning"),
    "external_drift": ("drift", "info"),
    "retrain_request": ("retrain", "info"),
    "threshold_breached": ("drift", "warning"),
    "version_not_promoted": ("models", "warning"),
    "version_promoted": ("models", "info"),
}
"""Kinds made of other topics' messages, with the topic and the severity."""

RECOVERING: Final = "drift"
"""The kind that a model's status ends: by the state `recovered`."""


ENDING: Final = frozenset({"drift", "retrain_paused", "silence", "study_failed", "tuner_queue_full"})
"""Kinds of which it is known whether they go on: their end is published."""


def severity_of(kind: str) -> Severity:
    """What a kind has while it fires; "error" for one that is not known here, so that nothing is held back."""
    return OTHER_KINDS[kind][1] if kind in OTHER_KINDS else ALERT_KINDS.get(kind, "error")


def topics_for(rules: list[NotifyRule]) -> list[str]:
    """The topics of the registry that these rules need to be read."""
    wanted = {"alerts"}
    for kind, (topic, severity) in OTHER_KINDS.items():
        if any(rule.heeds(severity) and rule.wants(kind) for rule in rules):
            wanted |= {topic, "status"} if kind == RECOVERING else {topic}
    return sorted(wanted)


def alert_of(message: Message) -> Alert | None:
    """A message in the form of an alert; None for one that nobody is told of."""
    match message:
        case Alert():
            return message
        case DriftDetected():
            return _made(message, kind_of(message), _of_drift(message))
        case ThresholdBreached():
            text = f"{_series(message.metric, message.segment)} {message.value:g} is below {message.threshold:g}"
            return _made(message, "threshold_breached", text)
        case ExternalDrift():
            return _made(message, "external_drift", f"another monitor's test gave p = {message.p_value:g}")
        case RetrainRequest():
            return _made(message, "retrain_request", f"is to be trained again: {message.reason}")
        case ModelVersion(promotion=verdict) if verdict is not None:
            kind = "version_promoted" if verdict.promoted else "version_not_promoted"
            return _made(message, kind, f"version {message.version}: {verdict.reason}")
        case ModelStatus(state=ModelState.RECOVERED):
            return _made(message, RECOVERING, "has recovered", "resolved")
        case _:
            return None


def rule_of(message: Message) -> str:
    """The rule that led to a message; "" where none did."""
    match message:
        case DriftDetected() | ThresholdBreached() | RetrainRequest():
            return message.rule
        case _:
            return ""


def kind_of(message: DriftDetected) -> str:
    """The kind of a detector's finding."""
    if message.direction == "better":
        return "drift_for_the_better"
    return "drift" if message.severity == "drift" else "drift_warning"


def _of_drift(message: DriftDetected) -> str:
    series = _series(message.metric, message.segment)
    return (
        f"{series} {message.value:g} is {message.direction}: {message.detector} {message.statistic:.4g} of"
        f" {message.threshold:.4g}, window mean {message.window.mean:.4g} (rule {message.rule})"
    )


def _series(metric: str, segment: str) -> str:
    return f"{metric} of {segment}" if segment else metric


def _made(message: Message, kind: str, text: str, state: Literal["firing", "resolved"] = "firing") -> Alert:
    common: dict[str, Any] = message.model_dump(include={"model_name", "model_version", "timestamp", "labels"})
    identity = message.event_id or f"{message.model_name} {message.timestamp.isoformat()}"
    severity = severity_of(kind) if state == "firing" else "info"
    return Alert(event_id=identity[:256], kind=kind, severity=severity, state=state, message=text[:10_000], **common)
