"""Messages on `metrics`: what inference fleets and other monitors report."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.drift import ExternalDrift
from schemas.fields import (
    Finite,
    FiniteList,
    Identifier,
    InstantList,
    NumbersByName,
    Ratio,
    Scalar,
    Scalars,
    Text,
    rejected,
)
from schemas.message import Message

RATIOS = ("accuracy", "precision", "recall", "f1_score")


class Metrics(Message):
    """Quality figures of one batch or period: ratios in [0, 1] and any finite `extras`; at least one value in all."""

    type: Literal["metrics"] = "metrics"
    accuracy: Ratio | None = None
    precision: Ratio | None = None
    recall: Ratio | None = None
    f1_score: Ratio | None = None
    extras: NumbersByName = Field(default_factory=dict)

    def values(self) -> dict[str, float]:
        """The values that came, by metric name: `accuracy`, …, `extras.NAME`, in this order."""
        found = {name: value for name in RATIOS if (value := getattr(self, name)) is not None}
        for name, value in self.extras.items():
            found[f"extras.{name}"] = value
        return found

    @model_validator(mode="after")
    def _has_a_value(self) -> Self:
        ratios = (self.accuracy, self.precision, self.recall, self.f1_score)
        if not self.extras and ratios == (None, None, None, None):
            raise rejected(f"at least one of {', '.join(RATIOS)} or an entry of extras", "none", "accuracy")
        return self


class ValidationScore(Message):
    """The score of a validation run, in whatever unit the team uses: any finite number."""

    type: Literal["validation_score"] = "validation_score"
    score: Finite


class Outcomes(Message):
    """Labelled predictions in columns of equal length, 1 to 100,000 items; each item counts as one outcome.

    `y_true` and `y_pred` hold class labels or numbers, `scores` the model's score of each prediction, `timestamps` the
    event time of each (where absent, the message's own).
    """

    type: Literal["outcomes"] = "outcomes"
    y_true: Scalars
    y_pred: Scalars
    scores: FiniteList | None = None
    timestamps: InstantList | None = None

    @model_validator(mode="after")
    def _has_equal_columns(self) -> Self:
        length = len(self.y_true)
        for name, column in (("y_pred", self.y_pred), ("scores", self.scores), ("timestamps", self.timestamps)):
            if column is not None and len(column) != length:
                raise rejected(f"{length} items, as many as y_true has", f"{len(column)}", name)
        return self


class Prediction(Message):
    """One prediction whose label comes later, with the same `prediction_id`."""

    type: Literal["prediction"] = "prediction"
    prediction_id: Identifier
    y_pred: Scalar
    score: Finite | None = None


class Label(Message):
    """The true label, known late, of the prediction with this `prediction_id`."""

    type: Literal["label"] = "label"
    prediction_id: Identifier
    y_true: Scalar


class InferenceFailure(Message):
    """The model could not serve a request; `error` says why."""

    type: Literal["inference_failure"] = "inference_failure"
    error: Text


class Heartbeat(Message):
    """The fleet is alive."""

    type: Literal["heartbeat"] = "heartbeat"


class SchemaDrift(Message):
    """The inputs' schema changed; `detail` says how."""

    type: Literal["schema_drift"] = "schema_drift"
    detail: Text = ""


class DataQualityIssue(Message):
    """The inputs are suspect (missing values, out of range, …); `detail` says how."""

    type: Literal["data_quality_issue"] = "data_quality_issue"
    detail: Text = ""


MetricsMessage = Annotated[
    Metrics
    | ValidationScore
    | Outcomes
    | Prediction
    | Label
    | ExternalDrift
    | InferenceFailure
    | Heartbeat
    | SchemaDrift
    | DataQualityIssue,
    Field(discriminator="type"),
]
