"""Whether a finding on `drift` calls for retraining under a rule, and why, in words and in figures."""

from __future__ import annotations

from dataclasses import dataclass

from agents.monitor.plan import AVERAGE_PRECISION_RECALL
from agents.settings import RetrainRule
from schemas.drift import Cause, DriftDetected, ExternalDrift, ThresholdBreached, WindowSummary
from schemas.message import Message


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a model should be retrained: what a request says of it."""

    text: str
    metric: str
    value: float
    threshold: float
    window: WindowSummary | None
    cause_ids: list[str]


def reason_for(rule: RetrainRule, message: Message) -> Reason | None:
    """The reason that a message gives for retraining; None if under this rule it gives none."""
    if isinstance(message, DriftDetected):
        return _of_drift(rule, message)
    if isinstance(message, ThresholdBreached):
        return _of_breach(message)
    if isinstance(message, ExternalDrift):
        return _of_external(rule, message)
    return None


def _of_drift(rule: RetrainRule, drift: DriftDetected) -> Reason | None:
    wanted = rule.on_drift and drift.severity == "drift" and (drift.direction == "worse" or rule.on_improvement)
    # A minimum that counts as drift was set in a retrain rule: it asks for retraining whatever `on_drift` says. No
    # monitor rule can be of this metric.
    if not wanted and drift.metric != AVERAGE_PRECISION_RECALL:
        return None
    metric = f"{drift.metric} of {drift.segment}" if drift.segment else drift.metric
    text = (
        f"{metric} {drift.value:.6g} is {drift.direction}: {drift.detector} {drift.statistic:.4g} is beyond"
        f" {drift.threshold:.6g} (window mean {drift.window.mean:.6g} of {drift.window.count}; rule {drift.rule})"
    )
    causes = _cause_ids(drift.cause, drift)
    return Reason(text, drift.metric, drift.value, drift.threshold, drift.window, causes)


def _of_breach(breach: ThresholdBreached) -> Reason:
    text = f"{breach.metric} {breach.value:.6g} is below the minimum of {breach.threshold:.6g}"
    causes = _cause_ids(breach.cause, breach)
    return Reason(text, breach.metric, breach.value, breach.threshold, breach.window, causes)


def _of_external(rule: RetrainRule, message: ExternalDrift) -> Reason | None:
    external = rule.external_drift
    if external is None:
        return None
    below = external.direction == "p_value_below"
    if not (message.p_value < external.threshold if below else message.p_value > external.threshold):
        return None
    side = "below" if below else "above"
    text = f"another monitor reports p_value {message.p_value:.6g}, {side} {external.threshold:.6g}"
    causes = _cause_ids(message.cause, message)
    return Reason(text, "p_value", message.p_value, external.threshold, None, causes)


def _cause_ids(cause: Cause | None, message: Message) -> list[str]:
    ids = (cause.event_id if cause else None, message.event_id)
    return [identity for identity in ids if identity is not None]
