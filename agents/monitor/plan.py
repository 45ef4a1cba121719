"""What the settings ask of each series: its window, who watches it, which minimum it must keep."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import NamedTuple

from agents.drift import Detector, WindowDetector, make_detector
from agents.monitor.calibration import Calibration, fitted
from agents.monitor.outcomes import OUTCOME_METRICS, Scalar
from agents.monitor.scores import ESTIMATED_ACCURACY, SCORE_METRICS, Scoring
from agents.settings import MonitorRule, RetrainRule, Settings, WindowSettings
from agents.settings.rules import OUTCOME_ERRORS
from streams.windows import Floats

SCORE = "score"
ERROR = "error"
RMSE = "rmse"
AVERAGE_PRECISION_RECALL = "average_precision_recall"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do with the series of one metric of one model.

    `detector` is None for a series that is kept and not watched; it is shared by all such series and holds no values of
    theirs. `window_detector` is the same one, where it judges by the window alone. `takes_ratios`: only values from 0
    to 1 may be given to it. `minimum` is the retrain rule's, of the newest value or (`of_mean`) of the window's mean.
    """

    size: int
    min_samples: int
    rule: str
    detector: Detector | None
    window_detector: WindowDetector | None
    takes_ratios: bool
    higher_is_better: bool
    minimum: float | None
    of_mean: bool
    minimum_rule: str
    minimum_is_drift: bool
    #: What the rule asks, in short: other settings have another. Empty for a series that is not watched.
    watched: str
    #: Whether anything is asked of its values as they come.
    is_measured: bool
    #: So many values without a drift, after one, may speak for its end.
    calm_samples: int
    #: Whether the detector looks at distributions, of which none is better or worse: what ends drift is calm alone.
    of_distribution: bool
    #: Whether the values are probabilities that a prediction is right, so that the window's mean has a band.
    is_estimate: bool
    #: What scores have to do with it; None for a metric that is not of scores.
    scoring: Scoring | None
    #: Of squared errors: what is told of a window is its root.
    is_root: bool = False
    #: The class that precision and recall are of.
    positive: Scalar = 1
    #: Of a window by event time: length of a pane, panes of a window, grace; lengths in microseconds.
    event: tuple[int, int, int] | None = None
    #: How long after a pane's end and grace it is complete though no record comes, in microseconds; 0: never.
    idle: int = 0

    @property
    def detector_name(self) -> str:
        """The detector's name; empty for a series that is not watched."""
        return "" if self.detector is None else self.detector.name


Baselines = Mapping[tuple[str, str, str], Floats]
"""What series begin with: values by model, version and metric."""


class SegmentPlan(NamedTuple):
    """What to do with the series of one metric, one for each value of a label."""

    key: str
    metric: str
    plan: Plan


class Lane(NamedTuple):
    """One metric of messages that are alike, by its number among theirs, and what the settings ask of it."""

    number: int
    metric: str
    plan: Plan


class Lanes(NamedTuple):
    """The metrics of messages that are alike: those whose values are looked at as they come, and those only kept."""

    measured: tuple[Lane, ...]
    kept: tuple[Lane, ...]


class Plans:
    """The plans that follow from the settings.

    Models that the same rules match share their plans, so that a hundred thousand models are a handful of plans.
    """

    def __init__(self, settings: Settings, baselines: Baselines | None = None) -> None:
        self._settings = settings
        self._baselines = baselines or {}
        #: How long predictions and labels wait for each other, in microseconds, and how many of them may.
        self.horizon = settings.label_horizon // timedelta(microseconds=1)
        #: For how long a version is kept that is not seen any more, in microseconds.
        self.retention = settings.version_retention // timedelta(microseconds=1)
        self.waiting_limit, self.segment_limit = settings.label_limit, settings.segment_limit
        self._rules = (*settings.monitor, *settings.retrain)
        self._detectors = {rule.name: _detector(rule) for rule in settings.monitor}
        self._alike = {rule.models for rule in self._rules} <= {"*"}
        self._everything = frozenset({"*"})
        self._matching = lru_cache(maxsize=65_536)(self._patterns_matching)
        self._plan = lru_cache(maxsize=65_536)(self._make_plan)
        self._lanes = lru_cache(maxsize=65_536)(self._make_lanes)
        self._outcomes = lru_cache(maxsize=65_536)(self._make_outcomes)
        self._segmented = lru_cache(maxsize=65_536)(self._make_segmented)
        self._timed = [rule for rule in settings.monitor if rule.window.duration is not None]
        #: Whether time alone may complete a window.
        self.may_idle = any(rule.window.idle is not None for rule in settings.monitor)
        self._may_segment = any(rule.segment_by for rule in settings.monitor)
        self._scores = lru_cache(maxsize=65_536)(self._make_scores)

    def of(self, model_name: str, metric: str) -> Plan:
        """The plan for one metric of one model."""
        return self._plan(self._everything if self._alike else self._matching(model_name), metric)

    def lanes_of(self, model_name: str, metrics: tuple[str, ...]) -> Lanes | None:
        """The plans for messages of a model that have these metrics alone; None if the windows do not answer for them.

        So it is where a detector remembers what it saw, a window goes by event time, or a minimum is of two metrics.
        """
        if self._timed and self.by_time(model_name):
            return None
        return self._lanes(self._everything if self._alike else self._matching(model_name), metrics)

    def _make_lanes(self, matching: frozenset[str], metrics: tuple[str, ...]) -> Lanes | None:
        lanes = [Lane(number, metric, self._plan(matching, metric)) for number, metric in enumerate(metrics)]
        if self._plan(matching, AVERAGE_PRECISION_RECALL).minimum is not None:
            return None
        if any(plan.window_detector is not plan.detector for _, _, plan in lanes):
            return None
        measured, kept = [each for each in lanes if each.plan.is_measured], [e for e in lanes if not e.plan.is_measured]
        return Lanes(tuple(measured), tuple(kept))

    def baseline(self, model_name: str, version: str, metric: str) -> Floats | None:
        """The values that a series of the whole begins with; None: with none."""
        return self._baselines.get((model_name, version, metric))

    def wants_average(self, model_name: str) -> bool:
        """Whether a rule asks for (precision + recall) / 2 of this model."""
        return self.of(model_name, AVERAGE_PRECISION_RECALL).minimum is not None

    def by_time(self, model_name: str) -> Sequence[str]:
        """The metrics of a model whose windows go by event time: then every record of it may complete one."""
        if not self._timed:
            return ()
        metrics = dict.fromkeys(rule.metric for rule in self._timed if rule.matches(model_name))
        return [metric for metric in metrics if self.of(model_name, metric).event is not None]

    def of_segments(self, model_name: str) -> tuple[SegmentPlan, ...]:
        """What is watched by segment of a model: for each metric and label the first rule that matches."""
        if not self._may_segment:
            return ()
        return self._segmented(self._everything if self._alike else self._matching(model_name))

    def timed_keys(self, model_name: str) -> tuple[str, ...]:
        """The labels by whose values windows by event time are kept."""
        if not self._timed:
            return ()
        return tuple(dict.fromkeys(each.key for each in self.of_segments(model_name) if each.plan.event is not None))

    def _make_segmented(self, matching: frozenset[str]) -> tuple[SegmentPlan, ...]:
        rules = (rule for rule in self._settings.monitor if rule.models in matching and rule.segment_by is not None)
        asked = dict.fromkeys((rule.segment_by or "", rule.metric) for rule in rules)
        return tuple(SegmentPlan(key, metric, self._make_plan(matching, metric, key)) for key, metric in asked)

    def of_outcomes(self, model_name: str) -> tuple[tuple[str, Scalar], ...]:
        """The metrics to be taken from labelled predictions of a model, with their positive class.

        Errors always, the others where a rule asks for them.
        """
        return self._outcomes(self._everything if self._alike else self._matching(model_name))

    def _make_outcomes(self, matching: frozenset[str]) -> tuple[tuple[str, Scalar], ...]:
        plans = {metric: self._plan(matching, metric) for metric in OUTCOME_METRICS}
        return tuple((name, plan.positive) for name, plan in plans.items() if name == ERROR or plan.is_measured)

    def of_scores(self, model_name: str) -> tuple[Scoring, ...]:
        """What to take from the scores of a model's predictions: nothing unless a rule asks for it."""
        return self._scores(self._everything if self._alike else self._matching(model_name))

    def _make_scores(self, matching: frozenset[str]) -> tuple[Scoring, ...]:
        plans = (self._plan(matching, metric) for metric in SCORE_METRICS)
        return tuple(plan.scoring for plan in plans if plan.is_measured and plan.scoring is not None)

    def _patterns_matching(self, model_name: str) -> frozenset[str]:
        return frozenset(rule.models for rule in self._rules if rule.matches(model_name))

    def _make_plan(self, matching: frozenset[str], metric: str, segment_by: str | None = None) -> Plan:
        settings = self._settings
        rules = (rule for rule in settings.monitor if rule.metric == metric and rule.segment_by == segment_by)
        watch = next((rule for rule in rules if rule.models in matching), None)
        retrain = next((rule for rule in settings.retrain if rule.models in matching), None)
        if segment_by is not None:
            retrain = None  # minima are of the whole
        window = WindowSettings() if watch is None else watch.window
        minimum = None if retrain is None else _minimum(retrain, metric)
        detector = None if watch is None else self._detectors[watch.name]
        return Plan(
            size=window.size if window.duration is None else max(window.panes, 2),
            min_samples=window.min_samples,
            rule="" if watch is None else watch.name,
            detector=detector,
            window_detector=detector if isinstance(detector, WindowDetector) else None,
            takes_ratios=getattr(detector, "bounded", False) or metric == ESTIMATED_ACCURACY,
            higher_is_better=metric not in OUTCOME_ERRORS if watch is None else watch.higher_wins,
            minimum=minimum,
            of_mean=retrain is not None and retrain.of == "mean",
            minimum_rule="" if retrain is None else retrain.name,
            minimum_is_drift=metric == AVERAGE_PRECISION_RECALL
            and retrain is not None
            and retrain.average_precision_recall_is_drift,
            watched="" if watch is None else _watched(watch),
            is_measured=watch is not None or minimum is not None,
            calm_samples=max(window.min_samples, getattr(detector, "recovers_after", 0)),
            of_distribution=getattr(detector, "of_distribution", False),
            is_estimate=metric == ESTIMATED_ACCURACY,
            scoring=_scoring(metric, watch),
            is_root=metric == RMSE,
            positive=1 if watch is None else watch.positive,
            event=None if window.duration is None else _event_plan(window),
            idle=0 if window.idle is None else window.idle // timedelta(microseconds=1),
        )


def _event_plan(window: WindowSettings) -> tuple[int, int, int]:
    microsecond = timedelta(microseconds=1)
    return window.pane // microsecond, window.panes, window.grace // microsecond


def _minimum(rule: RetrainRule, metric: str) -> float | None:
    return rule.min_average_precision_recall if metric == AVERAGE_PRECISION_RECALL else rule.min.get(metric)


def _watched(rule: MonitorRule) -> str:
    asked: tuple[object, ...] = (rule.window.size, rule.window.min_samples, *rule.detector_meant)
    if rule.window.duration is not None:
        asked += _event_plan(rule.window)
    if rule.positive != 1:  # left out where it is the default: what is watched already goes on
        asked += (rule.positive,)
    if (calibration := _calibration(rule)) is not None:
        asked += (calibration.scores, calibration.probabilities)
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:12]


def _scoring(metric: str, rule: MonitorRule | None) -> Scoring | None:
    if metric not in SCORE_METRICS:
        return None
    return Scoring(metric, 1, None) if rule is None else Scoring(metric, rule.positive, _calibration(rule))


def _calibration(rule: MonitorRule) -> Calibration | None:
    table = rule.calibration
    return None if table is None else fitted(table.file, table.score, table.label, rule.positive)


def _detector(rule: MonitorRule) -> Detector:
    name, parameters = rule.detector_meant
    detector = make_detector(name, **parameters)
    if isinstance(detector, WindowDetector):
        return make_detector(name, size=rule.window.size, min_samples=rule.window.min_samples, **parameters)
    return detector
