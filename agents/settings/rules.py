"""The rules of the settings file: what is watched, when to retrain, how to tune. The first match wins."""

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

from agents.settings.promotion import PromotionSettings
from agents.tuner.space import parse_space
from streams.duration import Duration, PositiveDuration

OUTCOME_SHARES = ("outcomes.accuracy", "outcomes.precision", "outcomes.recall", "outcomes.f1_score")
"""Metrics of labelled predictions that are shares of right ones: each outcome adds zeros and ones."""

OUTCOME_ERRORS = ("error", "log_loss", "mae", "rmse")
"""Metrics of labelled predictions of which less is better; "error" is the share of wrong ones."""

RATIO_METRICS = ("accuracy", "precision", "recall", "f1_score", "error", *OUTCOME_SHARES, "estimated_accuracy")
"""Metrics that lie in [0, 1]; "estimated_accuracy" follows from the scores of predictions, labelled or not."""

METRICS = (*RATIO_METRICS, "log_loss", "mae", "rmse", "score", "predictions.score")
"""Metrics by name; any other number of a `metrics` message is "extras.NAME". "score" is a validation score's."""

_OBJECTIVE = re.compile(r"[A-Za-z_][\w.-]*(:[A-Za-z_][\w.]*)?")
WEB_ADDRESS = re.compile(r"https?://\S{1,2000}")
"""What a setting that is an address of the web looks like."""


def _metric_name(value: object) -> object:
    if value == "validation_score":
        return "score"
    if isinstance(value, str) and (value in METRICS or (value.startswith("extras.") and len(value) > len("extras."))):
        return value
    raise ValueError(f'expected one of {", ".join(METRICS)} or "extras.NAME"')


def _objective(text: str) -> str:
    if not _OBJECTIVE.fullmatch(text):
        raise ValueError('expected "package.module:function" or the name of an entry point')
    return text


def _web_address(text: str) -> str:
    if not WEB_ADDRESS.fullmatch(text):
        raise ValueError("expected an address that begins with http:// or https://")
    return text


def _sampler(text: str) -> str:
    from agents.tuner.samplers import sampler_name  # brings numpy along, which not every command needs

    return sampler_name(text)


def _pruner(text: str) -> str:
    from agents.tuner.pruners import pruner_name

    return pruner_name(text)


def _false_is_none(value: object) -> object:
    """TOML has no null, so `false` switches an optional table off."""
    return None if value is False else value


#: Panes of a window by event time, and of its grace, at most: they are in the state.
MOST_PANES = 100

Ratio = Annotated[FiniteFloat, Field(ge=0, le=1)]
MetricName = Annotated[str, BeforeValidator(_metric_name)]
Options = Annotated[dict[str, bool | int | float | str], Field(max_length=100)]
ClassLabel = bool | int | float | Annotated[str, Field(max_length=1_000)]
Pattern = Annotated[str, Field(min_length=1, max_length=249)]


class Table(BaseModel):
    """A table of the file: every key known, every value of its own type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Rule(Table):
    """An entry of a list of rules: for which models it holds, and its name in outputs."""

    name: Annotated[str, Field(max_length=100)] = ""
    models: Pattern = "*"

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
    """A sliding window by count: `size` values are kept, and none is judged before `min_samples` are there.

    With a `duration` it goes by event time: a window each `advance`, complete once the model's time is `grace` ahead,
    or, with `idle`, so much time after that without a record.
    """

    size: Annotated[int, Field(ge=2, le=1_000_000)] = 500
    min_samples: Annotated[int, Field(ge=2, le=1_000_000)] = 50
    duration: PositiveDuration | None = None
    advance: PositiveDuration | None = None
    grace: Duration = timedelta(0)
    idle: PositiveDuration | None = None

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

    name: Annotated[str, Field(max_length=100)] = "z_score"

    @property
    def given(self) -> dict[str, Any]:
        """The parameters that stand there."""
        return dict(self.model_extra or {})


def _higher_wins(metric: str, higher_is_better: bool | None) -> bool:
    return metric not in OUTCOME_ERRORS if higher_is_better is None else higher_is_better


class CalibrationSettings(Table):
    """A file of labelled predictions, and the names of its columns: what scores are worth as probabilities."""

    file: Annotated[str, Field(min_length=1, max_length=4_096)]
    score: Annotated[str, Field(min_length=1, max_length=249)]
    label: Annotated[str, Field(min_length=1, max_length=249)]


class BaselineSettings(Table):
    """A recording, and how many of its newest values a series may begin with."""

    file: Annotated[str, Field(min_length=1, max_length=4_096)]
    values: Annotated[int, Field(ge=2, le=1_000_000)] = 1_000

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
    higher_is_better: bool | None = None
    positive: ClassLabel = 1
    segment_by: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    window: WindowSettings = WindowSettings()
    detector: DetectorSettings = DetectorSettings()
    calibration: CalibrationSettings | None = None
    baseline: BaselineSettings | None = None

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
    """When another monitor's p-value counts as drift. `p_value_above` is for producers that send a confidence."""

    direction: Literal["p_value_below", "p_value_above"] = "p_value_below"
    threshold: Ratio = 0.05


class DeliverySettings(Table):
    """Where a retrain request goes besides its topic: to a web address, or to the standard input of a command."""

    webhook: Annotated[str, AfterValidator(_web_address)] | None = None
    command: Annotated[list[str], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.webhook is None) == (self.command is None):
            raise ValueError('expected either "webhook" or "command"')
        return self


class RetrainRule(Rule):
    """When the models that match are to be trained again."""

    on_drift: bool = True
    on_improvement: bool = False
    min: dict[MetricName, FiniteFloat] = Field(default_factory=dict)
    of: Literal["value", "mean"] = "value"
    min_average_precision_recall: Ratio | None = None
    average_precision_recall_is_drift: bool = False
    external_drift: Annotated[ExternalDriftSettings | None, BeforeValidator(_false_is_none)] = ExternalDriftSettings()
    cooldown: Duration = timedelta(minutes=30)
    dry_run: bool = False
    deliver: DeliverySettings | None = None

    @field_validator("min")
    @classmethod
    def _ratios_in_range(cls, minima: dict[str, float]) -> dict[str, float]:
        for metric, minimum in minima.items():
            if metric in RATIO_METRICS and not 0 <= minimum <= 1:
                raise ValueError(f"expected a number in [0, 1] for {metric}, got {minimum}")
        return minima


class TuneRule(Rule):
    """How the models that match are tuned when a retrain request comes."""

    objective: Annotated[str, AfterValidator(_objective)]
    options: Options = Field(default_factory=dict)
    sampler: Annotated[str, AfterValidator(_sampler)] = "random"
    sampler_options: Options = Field(default_factory=dict)
    pruner: Annotated[str, AfterValidator(_pruner)] = "none"
    pruner_options: Options = Field(default_factory=dict)
    trials: Annotated[int, Field(ge=1, le=10_000)] = 10
    parallel: Annotated[int, Field(ge=1, le=1_000)] = 1
    ahead: Annotated[int, Field(ge=0, le=1_000)] = 1
    timeout: PositiveDuration = timedelta(seconds=60)
    memory_mb: Annotated[int, Field(ge=64, le=10_000_000)] | None = None
    deadline: PositiveDuration = timedelta(hours=1)
    time_budget: PositiveDuration | None = None
    target_score: FiniteFloat | None = None
    direction: Literal["maximize", "minimize"] = "maximize"
    space: Annotated[dict[str, Any], Field(min_length=1)]
    seed: Annotated[int, Field(ge=0)] = 0
    promotion: PromotionSettings = PromotionSettings()

    @field_validator("space")
    @classmethod
    def _can_be_sampled(cls, space: dict[str, Any]) -> dict[str, Any]:
        parse_space(space)
        return space

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        from agents.tuner.pruners import make_pruner
        from agents.tuner.samplers import make_sampler

        make_pruner(self.pruner, **self.pruner_options)
        if self.sampler in ("random", "grid"):  # what decay needs is in the incumbent, what Optuna takes in Optuna
            make_sampler(self.sampler, self.space, 0, **self.sampler_options)
        return self
