"""The rules of the settings file: what is watched, when to retrain. The first match wins."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationInfo,
    field_validator,
    model_validator,
)

from agents.settings.fields import counted, unset, written_as
from streams.duration import Duration, PositiveDuration

OUTCOME_SHARES = ("outcomes.accuracy", "outcomes.precision", "outcomes.recall", "outcomes.f1_score")
"""Metrics of labelled predictions that are shares of right ones: each outcome adds zeros and ones."""

OUTCOME_ERRORS = ("error", "log_loss", "mae", "rmse")
"""Metrics of labelled predictions of which less is better; "error" is the share of wrong ones."""

RATIO_METRICS = ("accuracy", "precision", "recall", "f1_score", "error", *OUTCOME_SHARES, "estimated_accuracy")
"""Metrics that lie in [0, 1]; "estimated_accuracy" follows from the scores of predictions, labelled or not."""

METRICS = (*RATIO_METRICS, "log_loss", "mae", "rmse", "score", "predictions.score")
"""Metrics by name; any other number of a `metrics` message is "extras.NAME". "score" is a validation score's."""

WEB_ADDRESS = re.compile(r"https?://\S{1,2000}")
"""What a setting that is an address of the web looks like."""


def _metric_name(value: object) -> object:
    if value == "validation_score":
        return "score"
    if isinstance(value, str) and (value in METRICS or (value.startswith("extras.") and len(value) > len("extras."))):
        return value
    raise ValueError(f'expected one of {", ".join(METRICS)} or "extras.NAME"')


def _web_address(text: str) -> str:
    if not WEB_ADDRESS.fullmatch(text):
        raise ValueError("expected an address that begins with http:// or https://")
    return text


def _false_is_none(value: object) -> object:
    """TOML has no null, so `false` switches an optional table off."""
    return None if value is False else value


#: Panes of a window by event time, and of its grace, at most: they are in the state.
MOST_PANES = 100

Ratio = Annotated[FiniteFloat, Field(ge=0, le=1)]
MetricName = Annotated[str, BeforeValidator(_metric_name), written_as("name of a metric")]
Options = Annotated[
    dict[str, bool | int | float | str], written_as("table of texts, numbers, true, false", max_length=100)
]
ClassLabel = Annotated[
    bool | int | float | Annotated[str, Field(max_length=1_000)], written_as("number, true, false or text")
]
Pattern = Annotated[str, written_as("pattern", min_length=1, max_length=249)]
FileName = Annotated[str, written_as("path", min_length=1, max_length=4_096)]
Column = Annotated[str, written_as("name of a column", min_length=1, max_length=249)]


class Table(BaseModel):
    """A table of the file: every key known, every value of its own type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


class Rule(Table):
    """An entry of a list of rules: for which models it holds, and its name in outputs."""

    name: Annotated[str, Field(max_length=100), unset("hash of the entry")] = ""
    """Stands in outputs as `rule`, and their ids depend on it. Names of one list differ."""
    models: Pattern = "*"
    """The models it is for."""

    @model_validator(mode="after")
    def _name_by_content(self) -> Self:
        if not self.name:
            # Defaults are left out: spelling one out, or a key added by a later version, does not rename the rule.
            # So is a baseline, which what has begun already does not need.
            table = self.model_dump(mode="json", exclude={"name", "baseline"}, exclude_defaults=True)
            content = json.dumps([type(self).__name__, table], sort_keys=True)
            object.__setattr__(self, "name", hashlib.sha256(content.encode()).hexdigest()[:12])
        return self

    def matches(self, model_name: str) -> bool:
        """Whether the rule's pattern (shell style, case counts) fits the model's name."""
        return fnmatchcase(model_name, self.models)


class WindowSettings(Table):
    """The sliding window of a rule, by count or by event time."""

    size: Annotated[int, counted("values", 2, 1_000_000)] = 500
    """How many of the newest values it holds."""
    min_samples: Annotated[int, counted("values", 2, 1_000_000)] = 50
    """How many values there must be, `size` at most, before the series is ok, and before the z-score judges any; so
    many calm values end a drift or a warning. Other detectors have a warm-up of their own."""
    duration: PositiveDuration | None = None
    """Instead of `size`: the window goes by event time and is so long."""
    advance: Annotated[PositiveDuration | None, unset("a tenth of `duration`")] = None
    """How often such a window is complete, and the length of a pane; `duration` is 1 to 100 of them."""
    grace: Duration = timedelta(0)
    """How much further the model's time must be until a pane is complete, 100 panes at most; what comes later still is
    counted (`late_values`) and not used."""
    idle: PositiveDuration | None = None
    """How long after that a pane is complete though no record comes, for the last ones of a model that fell silent:
    longer than the longest pause between two deliveries. By default they wait for the next record."""

    @property
    def panes(self) -> int:
        """How many panes a window by event time has; 0 of one by count."""
        return 0 if self.duration is None else self.duration // self.pane

    @property
    def pane(self) -> timedelta:
        """The length of a pane: `advance`, by default a tenth of the duration."""
        assert self.duration is not None, "a window by event time"
        return self.duration / 10 if self.advance is None else self.advance

    @model_validator(mode="after")
    def _panes_fit(self) -> Self:
        if self.duration is None:
            if self.advance is not None or self.grace or self.idle is not None:
                raise ValueError("expected a duration beside advance, grace and idle")
            return self
        if "size" in self.model_fields_set:
            raise ValueError("expected either size or duration")
        if self.pane * self.panes != self.duration or not 1 <= self.panes <= MOST_PANES:
            raise ValueError(f"expected a duration of 1 to {MOST_PANES} times advance")
        if self.grace > MOST_PANES * self.pane:
            raise ValueError(f"expected a grace of at most {MOST_PANES} times advance")
        return self

    @model_validator(mode="after")
    def _warm_up_fits(self) -> Self:
        if self.duration is None and self.min_samples > self.size:
            raise ValueError(f"expected min_samples <= size, got min_samples {self.min_samples} and size {self.size}")
        return self


class DetectorSettings(Table):
    """Which detector watches a metric; its parameters stand beside the name. The rule checks them: `MonitorRule`."""

    model_config = ConfigDict(extra="allow")

    name: Annotated[str, written_as("name of a detector", max_length=100)] = "z_score"
    """`"z_score"`: of the newest value, within the window that includes it; any other of the detectors; or
    `"recommended"`: `two_proportion` for `error` and `outcomes.…`, `ks` for `predictions.score`, else `cusum`."""

    @property
    def given(self) -> dict[str, Any]:
        """The parameters that stand there."""
        return dict(self.model_extra or {})


def _higher_wins(metric: str, higher_is_better: bool | None) -> bool:
    return metric not in OUTCOME_ERRORS if higher_is_better is None else higher_is_better


class CalibrationSettings(Table):
    """A file of labelled predictions, and the names of its columns: what scores are worth as probabilities."""

    file: FileName
    """A `.csv` or `.jsonl` (also `.gz`) of at least 100 labelled predictions, best of those the model was not trained
    on."""
    score: Column
    """Its column of scores."""
    label: Column
    """Its column of true labels."""


class BaselineSettings(Table):
    """A recording, and how many of its newest values a series may begin with."""

    file: FileName
    """A `.jsonl` file (also `.gz`, `.zst`) of messages of `metrics`, such as a recording."""
    values: Annotated[int, counted("values", 2, 1_000_000)] = 1_000
    """How many of the newest values of each model, version and metric in it are used."""

    @field_validator("file")
    @classmethod
    def _file_is_there(cls, file: str) -> str:
        if not Path(file).is_file() or not file.endswith((".jsonl", ".jsonl.gz", ".jsonl.zst")):
            raise ValueError(
                f"expected a .jsonl file, also .gz or .zst, as `visutility record` writes it, got {file!r}"
            )
        return file


class MonitorRule(Rule):
    """How one metric of the models that match is watched."""

    metric: MetricName = "accuracy"
    """What is watched: `accuracy`, `precision`, `recall`, `f1_score`, `score` (of a validation; `validation_score`
    means the same), of labelled predictions `error` (share of wrong ones), `log_loss`, `mae`, `rmse`,
    `outcomes.accuracy`, `outcomes.precision`, `outcomes.recall`, `outcomes.f1_score`, of any predictions
    `predictions.score` and `estimated_accuracy`, or `extras.NAME`."""
    higher_is_better: Annotated[bool | None, unset("by the metric")] = None
    """Whether a rise is an improvement: by default true, for `error`, `log_loss`, `mae` and `rmse` false."""
    positive: ClassLabel = 1
    """The class that precision, recall and F1 of labelled predictions are of, and whose probability `score` is."""
    segment_by: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """The key of a label (such as `region`): the rule is kept for each of its values by itself."""
    window: WindowSettings = WindowSettings()
    """The sliding window of newest values, one for each model, version and metric."""
    detector: DetectorSettings = DetectorSettings()
    """What judges the values. The parameters of the detector stand beside its name."""
    calibration: CalibrationSettings | None = None
    """For `estimated_accuracy` where scores are no probabilities yet: what they are worth, by labelled predictions of
    the past."""
    baseline: BaselineSettings | None = None
    """What a series that begins goes on from, so that a new deployment does not start blind."""

    @field_validator("detector")
    @classmethod
    def _detector_can_watch_it(cls, detector: DetectorSettings, info: ValidationInfo) -> DetectorSettings:
        """Without what are its defaults anyway: spelling one out does not rename the rule."""
        from agents.settings.detectors import checked  # brings numpy along

        if not info.data.keys() >= {"metric", "higher_is_better"}:
            return detector  # what is wrong there is told
        metric, higher_is_better = info.data["metric"], info.data["higher_is_better"]
        given = checked(detector.name, detector.given, metric, _higher_wins(metric, higher_is_better))
        return DetectorSettings(name=detector.name, **given)

    @field_validator("calibration")
    @classmethod
    def _calibration_can_be_fitted(
        cls, calibration: CalibrationSettings | None, info: ValidationInfo
    ) -> CalibrationSettings | None:
        from agents.monitor.calibration import fitted

        if calibration is not None and info.data.keys() >= {"metric", "positive"}:
            if info.data["metric"] != "estimated_accuracy":
                raise ValueError(f'expected the metric "estimated_accuracy" beside it, got {info.data["metric"]!r}')
            fitted(calibration.file, calibration.score, calibration.label, info.data["positive"])
        return calibration

    @model_validator(mode="after")
    def _event_time_fits(self) -> Self:
        if self.baseline is not None and (self.window.duration is not None or self.segment_by is not None):
            raise ValueError("expected neither a duration nor segment_by beside baseline")
        if self.window.panes == 1 and self.detector_meant[0] == "z_score":
            raise ValueError("z_score compares the newest pane with its window: expected an advance below the duration")
        return self

    @property
    def higher_wins(self) -> bool:
        """`higher_is_better`, or where it is not set what the metric's name says: of errors less is better."""
        return _higher_wins(self.metric, self.higher_is_better)

    @property
    def detector_meant(self) -> tuple[str, dict[str, Any]]:
        """Name and parameters for `agents.drift.make_detector`, complete but for what the window says."""
        from agents.settings.detectors import meant

        return meant(self.detector.name, self.detector.given, self.metric, self.higher_wins)


class ExternalDriftSettings(Table):
    """When another monitor's p-value counts as drift."""

    direction: Literal["p_value_below", "p_value_above"] = "p_value_below"
    """The statistical convention, or for producers that send a confidence the opposite."""
    threshold: Ratio = 0.05
    """Below or above what."""


class DeliverySettings(Table):
    """Where a retrain request goes besides its topic: to a web address, or to the standard input of a command."""

    webhook: Annotated[str, AfterValidator(_web_address), written_as("address")] | None = None
    """An address, `http://` or `https://`, that gets each request as a POST of JSON."""
    command: Annotated[list[str], Field(min_length=1)] | None = None
    """A program and its arguments (no shell), which gets each request as JSON on its standard input."""

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.webhook is None) == (self.command is None):
            raise ValueError('expected either "webhook" or "command"')
        return self


class RetrainRule(Rule):
    """When the models that match are to be trained again."""

    on_drift: bool = True
    """Ask when a detector finds drift for the worse."""
    on_improvement: bool = False
    """Ask when it finds drift for the better, too."""
    min: Annotated[dict[MetricName, FiniteFloat], written_as("table of numbers")] = Field(default_factory=dict)
    """Ask when a metric falls below its minimum: `min = { accuracy = 0.8, score = 0.8, "extras.auc" = 0.9 }`."""
    of: Literal["value", "mean"] = "value"
    """What is held against the minima: the newest value, or the window's mean."""
    min_average_precision_recall: Ratio | None = None
    """Ask when (precision + recall) / 2 falls below it."""
    average_precision_recall_is_drift: bool = False
    """Report that as drift, too."""
    external_drift: Annotated[
        ExternalDriftSettings | None, BeforeValidator(_false_is_none), written_as("table, or false")
    ] = ExternalDriftSettings()
    """When another monitor's p-value asks; `false`: never."""
    cooldown: Duration = timedelta(minutes=30)
    """After a request, for so long (in the events' time) no other for that model and version; those suppressed are
    counted and logged."""
    dry_run: bool = False
    """Log what would be asked, and ask nothing."""
    deliver: DeliverySettings | None = None
    """Where requests go besides the topic; one of the next two."""

    @field_validator("min")
    @classmethod
    def _ratios_in_range(cls, minima: dict[str, float]) -> dict[str, float]:
        for metric, minimum in minima.items():
            if metric in RATIO_METRICS and not 0 <= minimum <= 1:
                raise ValueError(f"expected a number in [0, 1] for {metric}, got {minimum}")
        return minima
