"""One fleet: a deployed classifier that reads handwritten digits from its cameras and reports how well it did.

Of the images it sees, the labels of some are used to measure, the labels of others are kept to train on later. No image
is in both parts, so that a retrained classifier is measured on images it has never seen.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import numpy.typing as npt

from agents.demo.digits import (
    BEFORE,
    RECENT,
    DigitClassifier,
    Images,
    Labels,
    degrade,
    fit,
    load_classifier,
    pools,
    save_recent,
)
from agents.demo.plan import DEGRADED, FIRST_VERSION, FLEETS, Plan
from schemas.metrics import Metrics, Outcomes
from schemas.models import ModelVersion

#: Recent images are written after so many batches: often enough to be recent, seldom enough to cost nothing.
SAVE_EVERY = 5


class Fleet:
    """One model in production. Deterministic but for the event times that it is given."""

    def __init__(self, name: str, plan: Plan, classifier: DigitClassifier, seed: int) -> None:
        images = pools(plan.seed)
        self.name, self.version, self.batch = name, FIRST_VERSION, 0
        self._plan, self._classifier = plan, classifier
        self._measured, self._kept = images.serve, images.recent
        self._rng = np.random.default_rng([plan.seed, seed])

    @property
    def degraded(self) -> bool:
        """Whether the camera is bad by now."""
        return self.name == DEGRADED and self.batch >= self._plan.degrade_at

    def serve(self, now: datetime) -> tuple[Outcomes, Metrics]:
        """Read the next batch of images, and report it with event time `now`."""
        rows = self._rng.choice(len(self._measured), self._plan.batch_size, replace=False)
        seen = self._seen(self._measured, rows)
        if self.batch % SAVE_EVERY == 0:
            self._save_recent()
        self.batch += 1
        return self._report(seen.labels, self._classifier.predict(seen.pixels), now)

    def take(self, version: ModelVersion) -> bool:
        """Serve with this version from now on; False if it does already.

        Raises `ValueError`, and serves on as before, if the artifact is missing or is not the one that was published.
        """
        if version.version == self.version:
            return False
        self._classifier = load_classifier(version.artifact, version.sha256)
        self.version = version.version
        return True

    @property
    def artifact(self) -> bytes:
        """The classifier in service, as it is registered."""
        return self._classifier.to_bytes()

    def _seen(self, images: Images, rows: npt.NDArray[np.int64]) -> Images:
        """Some of the images, as they come out of the camera now."""
        seen = images.rows(rows)
        return Images(degrade(seen.pixels), seen.labels) if self.degraded else seen

    def _save_recent(self) -> None:
        """Labels arrive for the other part of what the camera sees, for each image once; trials learn from these.

        The first ones are kept beside the newest.
        """
        recent = self._seen(self._kept, np.arange(len(self._kept)))
        for period in (BEFORE, RECENT) if self.batch == 0 else (RECENT,):
            save_recent(self._plan.data_dir, self.name, recent.pixels, recent.labels, period)

    def _report(self, true: Labels, predicted: Labels, now: datetime) -> tuple[Outcomes, Metrics]:
        batch = f"{self.name}-{self.batch - 1}"
        precision, recall, f1_score = macro_averages(true, predicted)
        outcomes = Outcomes(
            event_id=f"{batch}-outcomes",
            model_name=self.name,
            model_version=self.version,
            timestamp=now,
            y_true=true.tolist(),
            y_pred=predicted.tolist(),
        )
        metrics = Metrics(
            event_id=f"{batch}-metrics",
            model_name=self.name,
            model_version=self.version,
            timestamp=now,
            accuracy=float(np.mean(true == predicted)),
            precision=precision,
            recall=recall,
            f1_score=f1_score,
        )
        return outcomes, metrics


def macro_averages(true: Labels, predicted: Labels) -> tuple[float, float, float]:
    """Precision, recall and F1, each the plain mean over the classes seen; 0 for a class where it is not defined."""
    classes = np.union1d(true, predicted)
    hits = np.array([np.sum((true == each) & (predicted == each)) for each in classes], dtype=float)
    precision = _ratio(hits, np.array([np.sum(predicted == each) for each in classes]))
    recall = _ratio(hits, np.array([np.sum(true == each) for each in classes]))
    f1_score = _ratio(2 * precision * recall, precision + recall)
    return float(precision.mean()), float(recall.mean()), float(f1_score.mean())


def _ratio(parts: npt.NDArray[np.float64], wholes: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    ratios: npt.NDArray[np.float64] = np.divide(parts, wholes, out=np.zeros_like(parts), where=wholes != 0)
    return ratios


def first_fleets(plan: Plan) -> list[Fleet]:
    """The fleets as they are before anything happens, all with the same first model."""
    classifier = fit(pools(plan.seed).train, seed=plan.seed)
    return [Fleet(name, plan, classifier, seed) for seed, name in enumerate(FLEETS)]
