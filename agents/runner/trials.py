"""A trial request as a call of the process pool, and the call's end as messages. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from agents.settings import TuneRule
from agents.tuner.stage import SCORE
from agents.tuner.worker import Ended, TrialCall
from schemas.experiments import EpochEnd, RunStart, TrainingEnd
from schemas.ids import output_id
from schemas.retrain import RetrainRequest
from schemas.trial_requests import TrialRequest
from schemas.trials import TrialResult, TrialState


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


def unnamed(request: TrialRequest, rules: Iterable[TuneRule]) -> Ended | None:
    """How a trial ends whose objective, with these options, no rule of these settings names; None where one does.

    An objective is code by its import path: whoever may write to the topic must not choose what is run here.
    """
    if any((rule.objective, rule.options) == (request.objective, request.options) for rule in rules):
        return None
    return Ended(error=f"no [[tune]] of this runner's settings has the objective {request.objective!r} and its options")


def run_start_of(request: TrialRequest, now: datetime) -> RunStart:
    """A trial as a training run, which begins. A run's id is the trial's."""
    return RunStart(
        event_id=f"{request.event_id}:start",
        model_name=request.model_name,
        model_version=request.model_version,
        timestamp=now,
        labels=request.labels,
        run_id=request.trial_id,
        params=request.params,
        tags={"study": request.study_id, "trial": str(request.number), "objective": request.objective},
    )


def epoch_end_of(request: TrialRequest, step: int, value: float, now: datetime) -> EpochEnd:
    """What a trial reported for a step."""
    return EpochEnd(
        event_id=f"{request.event_id}:{step}",
        model_name=request.model_name,
        model_version=request.model_version,
        timestamp=now,
        labels=request.labels,
        run_id=request.trial_id,
        epoch=step,
        metrics={SCORE: value},
    )


def training_end_of(request: TrialRequest, ended: Ended, now: datetime) -> TrainingEnd:
    """The end of a trial as a training run; one that failed has no metrics."""
    return TrainingEnd(
        event_id=f"{request.event_id}:end",
        model_name=request.model_name,
        model_version=request.model_version,
        timestamp=now,
        labels=request.labels,
        run_id=request.trial_id,
        final_metrics={} if ended.error is not None or ended.score is None else {SCORE: ended.score},
        duration_seconds=ended.seconds,
    )


class Unsent:
    """The reports of a trial that have not been sent on yet, by step."""

    def __init__(self) -> None:
        self._new: dict[int, float] = {}
        self._sent: dict[int, float] = {}

    def add(self, step: int, value: float) -> None:
        """The trial reported, perhaps what it has reported before."""
        self._new[step] = value
        if self._sent.get(step) == value:
            del self._new[step]

    def complete(self, reports: Mapping[int, float]) -> None:
        """The trial has ended, and these are all of its reports."""
        self._new = {step: value for step, value in reports.items() if self._sent.get(step) != value}

    @property
    def waiting(self) -> list[tuple[int, float]]:
        """What is to be sent now, in the order of steps."""
        return sorted(self._new.items())

    def sent(self, step: int, value: float) -> None:
        """It was sent, as it was then."""
        self._sent[step] = value
        if self._new.get(step) == value:
            del self._new[step]


def result_of(request: TrialRequest, ended: Ended) -> TrialResult:
    """What the study's owner is told of a trial's end."""
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
