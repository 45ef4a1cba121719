"""What the scores of predictions say by themselves, before any label is known.

    predictions.score    the scores: a change of their distribution is a change of the inputs or of the model
    estimated_accuracy   of each prediction the probability that it is right; its mean over a window is the accuracy to
                         be expected

The second is the confidence-based estimate of performance (CBPE: NannyML's documentation, "Estimation of Performance of
the Monitored Model", 2022): of a score that is the probability of the positive class, a prediction of that class is
right with this probability, and a prediction of the other with the rest. It holds as far as the scores are calibrated,
also after the change: it sees that the model is less sure, not that it is wrong without knowing (concept drift).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Final, NamedTuple

from agents.monitor.calibration import Calibration
from schemas.compact import CompactOutcomes
from schemas.fields import Scalar
from schemas.metrics import Outcomes, Prediction
from streams.windows import Summary

PREDICTED_SCORE: Final = "predictions.score"
ESTIMATED_ACCURACY: Final = "estimated_accuracy"
SCORE_METRICS: Final = (PREDICTED_SCORE, ESTIMATED_ACCURACY)

#: Half the width of the band, in standard errors.
_ERRORS: Final = 3.0


class Scoring(NamedTuple):
    """A metric to be taken from scores: of which class they are the probability, and what they are worth."""

    metric: str
    positive: Scalar
    calibration: Calibration | None


def score_readings(
    message: Prediction | Outcomes | CompactOutcomes, wanted: Sequence[Scoring]
) -> list[tuple[str, Sequence[float]]]:
    """(metric, values) of a message's scores, a value for each prediction; nothing where it has no scores."""
    if isinstance(message, Outcomes | CompactOutcomes):
        predicted, scores = message.y_pred, message.scores
    else:
        predicted, scores = [message.y_pred], None if message.score is None else [message.score]
    if scores is None:
        return []
    return [
        (scoring.metric, scores if scoring.metric == PREDICTED_SCORE else chances_of(predicted, scores, scoring))
        for scoring in wanted
    ]


def chances_of(predicted: Sequence[Scalar], scores: Sequence[float], scoring: Scoring) -> list[float]:
    """The probability that each prediction is right; outside of 0 to 1 where a score that is not calibrated is."""
    sure = scores if scoring.calibration is None else scoring.calibration.of(scores)
    return [score if each == scoring.positive else 1.0 - score for each, score in zip(predicted, sure, strict=True)]


def band_of(window: Summary) -> tuple[float, float]:
    """Where the accuracy over a window of such probabilities is to be expected, within 0 to 1.

    A prediction that is right with probability p adds p (1 − p) to the variance of the number of right ones. The sum of
    p (1 − p) follows from the window's mean and deviation.
    """
    spread = window.std * window.std * (window.count - 1) / window.count
    error = sqrt(max(0.0, window.mean * (1.0 - window.mean) - spread) / window.count)
    return max(0.0, window.mean - _ERRORS * error), min(1.0, window.mean + _ERRORS * error)
