"""What a study wants done off the event loop, and the results it takes back, as plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agents.registry.known import KnownVersion
from agents.registry.promotion import BY_DEFAULT
from agents.settings.promotion import PromotionSettings
from agents.tuner.sampler import History
from agents.tuner.space import Params
from schemas.internal import TrainingFinished, TrialsAsked
from schemas.models import Promotion
from schemas.retrain import RetrainRequest

TRAINING_TIMEOUTS = 10
"""The final training may take this many times the time limit of a trial: it usually sees more data."""


@dataclass(frozen=True, slots=True)
class SamplingWork:
    """Choose `count` trials, the first of which gets the number `first`, given the study's `history`.

    `id` is the same whenever the same choice is named again, though the history may have grown meanwhile.
    """

    id: str
    event_id: str
    study_id: str
    request: RetrainRequest
    sampler: str
    space: Mapping[str, Any]
    seed: int
    options: Mapping[str, Any]
    first: int
    count: int
    history: Callable[[], History]

    def result(
        self, now: datetime, params: list[Params], exhausted: str | None = None, error: str | None = None
    ) -> TrialsAsked:
        """The message that tells what was chosen."""
        return TrialsAsked(
            event_id=self.event_id,
            model_name=self.request.model_name,
            model_version=self.request.model_version,
            timestamp=now,
            labels=self.request.labels,
            study_id=self.study_id,
            first=self.first,
            params=params,
            exhausted=exhausted,
            error=error,
        )

    def failed(self, error: str) -> TrialsAsked:
        """The message that tells that the sampler failed."""
        return self.result(self.request.timestamp, [], error=error)


@dataclass(frozen=True, slots=True)
class TrainingWork:
    """The final fit of a study with the best trial's params."""

    id: str
    event_id: str
    study_id: str
    request: RetrainRequest
    objective: str
    options: Mapping[str, Any]
    params: Params
    timeout_seconds: float
    champion: KnownVersion | None = None
    promotion: PromotionSettings = BY_DEFAULT

    def result(
        self,
        url: str,
        sha256: str | None,
        metrics: dict[str, float],
        error: str | None,
        seconds: float,
        promotion: Promotion | None = None,
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
            promotion=promotion,
            error=error,
        )

    def failed(self, error: str) -> TrainingFinished:
        """The message that tells it could not be run."""
        return self.result("", None, {}, error, 0.0)


Work = SamplingWork | TrainingWork
