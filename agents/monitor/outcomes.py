"""What labelled predictions say of a model, metric by metric: streams of values whose mean over a window is the metric.

    error               1 for a wrong prediction, 0 for a right one
    outcomes.accuracy   the other way round
    outcomes.precision  of each prediction of the positive class: 1 if it was right, else 0
    outcomes.recall     of each outcome of the positive class: 1 if it was predicted, else 0
    outcomes.f1_score   1 and 1 of a true positive, 0 of a false positive or negative: 2 TP / (2 TP + FP + FN)
    log_loss            −log of the probability that the true class was given; `score` is that of the positive class
    mae                 |y_true − y_pred|
    rmse                its square; the window's mean is reported as its root

So a window over the newest 500 of `outcomes.precision` has the precision over the newest 500 predicted positives, and a
detector of errors can watch it. An outcome that says nothing of a metric (no score, no number) adds no value to it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from operator import eq, ne
from typing import Final, NamedTuple

import numpy as np

from streams.windows import Floats

Scalar = bool | int | float | str
Values = Sequence[float] | Floats

#: A probability of 0 would make the loss infinite (scikit-learn's bound for doubles is 2.2e-16).
LEAST_PROBABILITY: Final = 1e-15

_LARGEST: Final = sys.float_info.max


class Outcomes(NamedTuple):
    """Labelled predictions in columns of equal length; `scores` may be missing as a whole, or for some."""

    y_true: Sequence[Scalar]
    y_pred: Sequence[Scalar]
    scores: Sequence[float | None] | None


def values_of(metric: str, outcomes: Outcomes, positive: Scalar) -> Values:
    """What these outcomes say of a metric, in their order; `positive` is the class that precision and recall are of."""
    found = _STREAMS[metric](outcomes, positive)
    return found if isinstance(found, np.ndarray) else list(found)


def _error(outcomes: Outcomes, _: Scalar) -> Floats:
    return np.fromiter(map(ne, outcomes.y_true, outcomes.y_pred), np.bool_, len(outcomes.y_true)).astype(np.float64)


def _accuracy(outcomes: Outcomes, _: Scalar) -> Floats:
    return np.fromiter(map(eq, outcomes.y_true, outcomes.y_pred), np.bool_, len(outcomes.y_true)).astype(np.float64)


def _precision(outcomes: Outcomes, positive: Scalar) -> Iterator[float]:
    pairs = zip(outcomes.y_true, outcomes.y_pred, strict=True)
    return (float(true == positive) for true, predicted in pairs if predicted == positive)


def _recall(outcomes: Outcomes, positive: Scalar) -> Iterator[float]:
    pairs = zip(outcomes.y_true, outcomes.y_pred, strict=True)
    return (float(predicted == positive) for true, predicted in pairs if true == positive)


def _f1_score(outcomes: Outcomes, positive: Scalar) -> Iterator[float]:
    for true, predicted in zip(outcomes.y_true, outcomes.y_pred, strict=True):
        if true == positive and predicted == positive:
            yield 1.0
            yield 1.0
        elif true == positive or predicted == positive:
            yield 0.0


def _log_loss(outcomes: Outcomes, positive: Scalar) -> Iterator[float]:
    for true, score in zip(outcomes.y_true, outcomes.scores or (), strict=outcomes.scores is not None):
        if score is not None and 0 <= score <= 1:
            yield -math.log(max(score if true == positive else 1 - score, LEAST_PROBABILITY))


def _absolute_error(outcomes: Outcomes, _: Scalar) -> Iterator[float]:
    for true, predicted in zip(outcomes.y_true, outcomes.y_pred, strict=True):
        if not isinstance(true, str) and not isinstance(predicted, str):
            yield min(abs(float(true) - float(predicted)), _LARGEST)


def _squared_error(outcomes: Outcomes, _: Scalar) -> Iterator[float]:
    return (min(error * error, _LARGEST) for error in _absolute_error(outcomes, _))


_STREAMS: Final[dict[str, Callable[[Outcomes, Scalar], Iterator[float] | Floats]]] = {
    "error": _error,
    "outcomes.accuracy": _accuracy,
    "outcomes.precision": _precision,
    "outcomes.recall": _recall,
    "outcomes.f1_score": _f1_score,
    "log_loss": _log_loss,
    "mae": _absolute_error,
    "rmse": _squared_error,
}

OUTCOME_METRICS: Final = tuple(_STREAMS)
"""The metrics of outcomes, by name, in the order in which they are taken in."""
