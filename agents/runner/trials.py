"""A trial request as a call of the process pool, and the call's end as messages. Pure."""

from __future__ import annotations

from datetime import datetime

from agents.tuner.stage import SCORE
from agents.tuner.worker import Ended, TrialCall
from schemas.dead_letter import DeadLetter, dead_letter_of
from schemas.experiments import EpochEnd
from schemas.ids import output_id
from schemas.message import Message
from schemas.retrain import RetrainRequest
from schemas.trial_requests import TrialRequest
from schemas.trials import TrialResult, TrialState
from streams.records import Record


def call_of(request: TrialRequest) -> TrialCall:
    """What a process of the pool is asked to do."""
    return TrialCall(
        objective=request.objective,
        request=_cause_of(request).to_json(),
        number=request.number,
        params=dict(request.params),
        seed=request.seed,
        incumbent=dict(request.incumbent),
        limit_seconds=request.timeout_seconds,
        options=dict(request.options),
        bounds={int(step): bound for step, bound in request.bounds.items() if step.isdecimal()},
        maximize=request.direction == "maximize",
        memory_mb=request.memory_mb,
    )


def overdue(request: TrialRequest, now: datetime) -> Ended | None:
    """How a trial ends that nobody waits for any more; None while its deadline has not passed."""
    if request.deadline is None or now <= request.deadline:
        return None
    return Ended(error="it was taken after its deadline")


def messages_of(request: TrialRequest, ended: Ended) -> list[Message]:
    """What the study's owner is sent: the reports in their order, then the result."""
    reports = [
        EpochEnd(
            event_id=f"{request.event_id}:{step}",
            model_name=request.model_name,
            model_version=request.model_version,
            timestamp=request.timestamp,
            labels=request.labels,
            run_id=request.trial_id,
            epoch=step,
            metrics={SCORE: value},
        )
        for step, value in sorted(ended.reports.items())
    ]
    return [*reports, _result_of(request, ended)]


def letter_of(record: Record, reason: str) -> DeadLetter:
    """The dead letter of a record that is no trial request."""
    return dead_letter_of(
        reason=reason,
        stage="runner",
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp=record.timestamp,
        key=record.key,
        value=record.value,
        headers=record.headers,
    )


def _result_of(request: TrialRequest, ended: Ended) -> TrialResult:
    state = TrialState.PRUNED if ended.pruned else TrialState.COMPLETE
    name, version = request.model_name, request.model_version
    return TrialResult(
        event_id=output_id("runner", name, version, "", "", request.study_id, "trial_result", request.number),
        model_name=name,
        model_version=version,
        timestamp=request.timestamp,
        labels=request.labels,
        trial_id=request.trial_id,
        study_id=request.study_id,
        number=request.number,
        params=request.params,
        score=ended.score if ended.error is None else None,
        state=state if ended.error is None else TrialState.FAILED,
        duration_seconds=ended.seconds,
        error=ended.error,
    )


def _cause_of(request: TrialRequest) -> RetrainRequest:
    """The retrain request behind it; for a trial that somebody else asked for, one that says as much as is known."""
    if request.cause is not None:
        return request.cause
    return RetrainRequest(
        event_id=request.event_id,
        model_name=request.model_name,
        model_version=request.model_version,
        timestamp=request.timestamp,
        labels=request.labels,
        rule="none",
        reason="a trial was requested",
        metric=SCORE,
        cause_ids=[],
    )
