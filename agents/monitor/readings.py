"""What a message on `metrics` says: values for the windows, or something to be told at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from agents.monitor import outcomes
from agents.monitor.outcomes import OUTCOME_METRICS, Scalar, Values, values_of
from agents.monitor.plan import AVERAGE_PRECISION_RECALL, SCORE, SegmentPlan
from agents.monitor.scores import Scoring, score_readings
from schemas.compact import CompactOutcomes
from schemas.message import Message
from schemas.metrics import (
    DataQualityIssue,
    InferenceFailure,
    Metrics,
    Outcomes,
    Prediction,
    SchemaDrift,
    ValidationScore,
)

Reading = tuple[str, Values]
Notice = tuple[str, Literal["warning", "error"], str]


def readings(
    message: Message | CompactOutcomes,
    with_average: bool,
    of_outcomes: Sequence[tuple[str, Scalar]],
    of_scores: Sequence[Scoring],
) -> list[Reading]:
    """(metric, values) of every number in a message, in a fixed order.

    `with_average` adds (precision + recall) / 2 where both came; `of_outcomes`: which metrics to take from labelled
    predictions, each with its positive class; `of_scores`: which from the scores of any predictions.
    """
    if isinstance(message, Metrics):
        found: list[Reading] = [(metric, (value,)) for metric, value in message.values().items()]
        if with_average and message.precision is not None and message.recall is not None:
            found.append((AVERAGE_PRECISION_RECALL, ((message.precision + message.recall) / 2,)))
        return found
    if isinstance(message, Outcomes | CompactOutcomes):
        return labelled_readings(message, of_outcomes, of_scores)
    if isinstance(message, Prediction):
        return [*score_readings(message, of_scores)]
    if isinstance(message, ValidationScore):
        return [(SCORE, (message.score,))]
    return []


def labelled_readings(
    message: Outcomes | CompactOutcomes, of_outcomes: Sequence[tuple[str, Scalar]], of_scores: Sequence[Scoring]
) -> list[Reading]:
    """The same of labelled predictions alone."""
    columns = outcomes.Outcomes(message.y_true, message.y_pred, message.scores)
    return [*outcome_readings(columns, of_outcomes), *score_readings(message, of_scores)]


def segment_readings(
    message: Message | outcomes.Outcomes, labels: Mapping[str, str], plans: Sequence[SegmentPlan]
) -> list[tuple[str, SegmentPlan, Values]]:
    """(value of the label, plan, values) of what a message or a joined outcome says of segments."""
    return [
        (value, each, values)
        for each in plans
        if (value := labels.get(each.key)) and len(values := _of_metric(message, each))
    ]


def _of_metric(message: Message | outcomes.Outcomes, wanted: SegmentPlan) -> Values:
    asked = [(wanted.metric, wanted.plan.positive)] if wanted.metric in OUTCOME_METRICS else []
    if isinstance(message, outcomes.Outcomes):
        return dict(outcome_readings(message, asked)).get(wanted.metric, ())
    scoring = wanted.plan.scoring
    return dict(readings(message, False, asked, () if scoring is None else (scoring,))).get(wanted.metric, ())


def outcome_readings(columns: outcomes.Outcomes, wanted: Sequence[tuple[str, Scalar]]) -> list[Reading]:
    """(metric, values) of labelled predictions, where they say something of the metric."""
    found = [(metric, values_of(metric, columns, positive)) for metric, positive in wanted]
    return [(metric, values) for metric, values in found if len(values)]


def notice_of(message: Message) -> Notice | None:
    """Kind, severity and text of the alert that a message calls for by itself; None if it calls for none."""
    if isinstance(message, InferenceFailure):
        return "inference_failure", "error", message.error or "the model could not serve a request"
    if isinstance(message, SchemaDrift):
        return "schema_drift", "warning", message.detail or "the schema of the inputs changed"
    if isinstance(message, DataQualityIssue):
        return "data_quality_issue", "warning", message.detail or "the inputs are suspect"
    return None
