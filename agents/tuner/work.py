"""What a study wants done off the event loop, and the results it takes back, as plain values."""

from __future__ import annotations

from dataclasses import dataclass

from agents.tuner.space import Params
from schemas.internal import TrainingFinished
from schemas.retrain import RetrainRequest
from schemas.trials import TrialResult, TrialState

TRAINING_TIMEOUTS = 10
"""The final training may take this many times the time limit of a trial: it usually sees more data."""


@dataclass(frozen=True, slots=True)
class TrialWork:
    """One trial to run. `id` (the trial's) is the same whenever the same trial is named again."""

    id: str
    event_id: str
    study_id: str
    request: RetrainRequest
    objective: str
    number: int
    params: Params
    seed: int
    incumbent: Params
    timeout_seconds: float

    def result(self, score: float | None, error: str | None, seconds: float) -> TrialResult:
        """The message that tells how it ended; it failed if there is an `error`."""
        return TrialResult(
            event_id=self.event_id,
            model_name=self.request.model_name,
            model_version=self.request.model_version,
            timestamp=self.request.timestamp,
            labels=self.request.labels,
            trial_id=self.id,
            study_id=self.study_id,
            number=self.number,
            params=self.params,
            score=score if error is None else None,
            state=TrialState.COMPLETE if error is None else TrialState.FAILED,
            duration_seconds=seconds,
            error=error,
        )

    def failed(self, error: str) -> TrialResult:
        """The message that tells it could not be run."""
        return self.result(None, error, 0.0)


@dataclass(frozen=True, slots=True)
class TrainingWork:
    """The final fit of a study with the best trial's params."""

    id: str
    event_id: str
    study_id: str
    request: RetrainRequest
    objective: str
    params: Params
    timeout_seconds: float

    def result(
        self, url: str, sha256: str | None, metrics: dict[str, float], error: str | None, seconds: float
    ) -> TrainingFinished:
        """The message that tells how it ended: where the artifact is, or the `error`."""
        return TrainingFinished(
            event_id=self.event_id,
            model_name=self.request.model_name,
            model_version=self.request.model_version,
            timestamp=self.request.timestamp,
            labels=self.request.labels,
            study_id=self.study_id,
            request_id=self.request.event_id,
            artifact=url,
            sha256=sha256,
            hyperparameters=self.params,
            metrics=metrics,
            duration_seconds=seconds,
            error=error,
        )

    def failed(self, error: str) -> TrainingFinished:
        """The message that tells it could not be run."""
        return self.result("", None, {}, error, 0.0)


Work = TrialWork | TrainingWork
