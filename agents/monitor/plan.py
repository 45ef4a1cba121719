"""What the settings ask of each series: its window, who watches it, which minimum it must keep."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache

from agents.drift import Detector, make_detector
from agents.settings import MonitorRule, RetrainRule, Settings, WindowSettings

SCORE = "score"
ERROR = "error"
AVERAGE_PRECISION_RECALL = "average_precision_recall"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do with the series of one metric of one model.

    `detector` is None for a series that is kept and not watched; it is shared by all such series and holds no values of
    theirs. `minimum` is the retrain rule's, of the newest value or (`of_mean`) of the window's mean.
    """

    size: int
    min_samples: int
    rule: str
    detector: Detector | None
    higher_is_better: bool
    minimum: float | None
    of_mean: bool
    minimum_rule: str
    minimum_is_drift: bool
    #: What the rule asks, in short: other settings have another. Empty for a series that is not watched.
    watched: str

    @property
    def is_measured(self) -> bool:
        """Whether anything is asked of its values as they come."""
        return self.detector is not None or self.minimum is not None

    @property
    def detector_name(self) -> str:
        """The detector's name; empty for a series that is not watched."""
        return "" if self.detector is None else self.detector.name


class Plans:
    """The plans that follow from the settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._detectors = {rule.name: _detector(rule) for rule in settings.monitor}
        self.of = lru_cache(maxsize=65_536)(self._of)
        self.wants_average = lru_cache(maxsize=65_536)(self._wants_average)

    def _of(self, model_name: str, metric: str) -> Plan:
        """The plan for one metric of one model."""
        watch = self._settings.monitor_rule(model_name, metric)
        retrain = self._settings.retrain_rule(model_name)
        window = WindowSettings() if watch is None else watch.window
        minimum = None if retrain is None else _minimum(retrain, metric)
        return Plan(
            size=window.size,
            min_samples=window.min_samples,
            rule="" if watch is None else watch.name,
            detector=None if watch is None else self._detectors[watch.name],
            higher_is_better=metric != ERROR if watch is None else watch.higher_wins,
            minimum=minimum,
            of_mean=retrain is not None and retrain.of == "mean",
            minimum_rule="" if retrain is None else retrain.name,
            minimum_is_drift=metric == AVERAGE_PRECISION_RECALL
            and retrain is not None
            and retrain.average_precision_recall_is_drift,
            watched="" if watch is None else _watched(watch),
        )

    def _wants_average(self, model_name: str) -> bool:
        """Whether a rule asks for (precision + recall) / 2 of this model."""
        retrain = self._settings.retrain_rule(model_name)
        return retrain is not None and retrain.min_average_precision_recall is not None


def _minimum(rule: RetrainRule, metric: str) -> float | None:
    return rule.min_average_precision_recall if metric == AVERAGE_PRECISION_RECALL else rule.min.get(metric)


def _watched(rule: MonitorRule) -> str:
    asked = (rule.window.size, rule.window.min_samples, rule.detector.name, rule.detector.parameters)
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:12]


def _detector(rule: MonitorRule) -> Detector:
    window = rule.window
    return make_detector(
        rule.detector.name, size=window.size, min_samples=window.min_samples, **rule.detector.parameters
    )
