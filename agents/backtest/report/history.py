"""The course of every metric during a backtest: its values, and the window's mean and deviation after each.

An observer of the monitor's steps. It puts the values into windows of the monitor's own kind and size, so that the
numbers are those that the monitor saw, digit for digit, and keeps a sample of each series (`sampling`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from agents.backtest.baselines import load_baselines
from agents.backtest.report.late import LatePairs
from agents.backtest.report.sampling import Rows, Sample, rows_of
from agents.drift.z_score import ZScore
from agents.monitor.outcomes import Outcomes as JoinedOutcomes
from agents.monitor.outcomes import Values
from agents.monitor.plan import Plan, Plans
from agents.monitor.readings import Reading, outcome_readings, readings, segment_readings
from agents.monitor.state import MAX_METRICS, MAX_VERSIONS
from agents.monitor.times import microseconds
from agents.settings import Settings
from schemas.compact import CompactMetrics, CompactOutcomes
from schemas.internal import OperatorAction
from schemas.message import Message
from schemas.metrics import RATIOS, Label, Outcomes, Prediction
from streams.run import EventRun
from streams.stage import Compact, Input, Tick
from streams.windows import CountWindow, Floats

#: Buckets of all series together, and of one: they bound the page's size.
ALL_BUCKETS, MOST_BUCKETS, FEWEST_BUCKETS = 2**16, 2**10, 2**3

#: Values of one series, and of all, that wait to be put into their windows together.
_WAITING, _ALL_WAITING = 2**12, 2**18

_MILLISECONDS: Final = 1000.0


class SeriesKey(NamedTuple):
    """What one series is of; `segment` is the value of a label, and `label` its name; both are empty for the whole."""

    model: str
    version: str
    metric: str
    segment: str = ""
    label: str = ""


@dataclass(slots=True)
class Course:
    """One series so far: what is kept of it, what waits, and its window, where the monitor still keeps one.

    `size` is the window's. `deviations`: how many standard deviations around the mean its z-score lets pass; None for
    another detector or none. `detector` is empty for a series that is not watched. `limits`: a retrain rule's minimum,
    or the limit of a threshold detector. `is_root`: values are squares, and their roots are told. `binary`: all values
    are 0 or 1. `baseline`: what its window begins with.
    """

    key: SeriesKey
    size: int
    detector: str
    deviations: float | None
    limits: tuple[float, ...] = ()
    is_root: bool = False
    sample: Sample = field(default_factory=Sample)
    binary: bool = True
    baseline: Floats | None = None
    _times: list[float] = field(default_factory=list)
    _values: list[float] = field(default_factory=list)
    _window: CountWindow | None = None

    @property
    def rows(self) -> Rows:
        """The rows kept, in order."""
        return self.sample.rows

    @property
    def count(self) -> int:
        """How many values came."""
        return self.sample.count + len(self._values)

    def wait(self, times: Sequence[float], values: Values) -> int:
        """Values that come next, with their event times in seconds since the epoch; returns how many wait now."""
        self._times += times
        self._values.extend(values)
        return len(self._values)

    def settle(self, capacity: int) -> int:
        """Put what waits into the window and into the sample; returns how many values that were."""
        taken = len(self._values)
        if taken:
            self._window = self._window or self._begun()
            values = np.array(self._values)
            pushed = self._window.push_many(values)
            times, mean, std = np.rint(np.array(self._times) * _MILLISECONDS), pushed.mean, pushed.std
            if self.is_root:
                values, mean, std = _roots(values, mean, std)
            self.binary = self.binary and bool(np.isin(values, (0.0, 1.0)).all())
            self.sample.add(rows_of(self.sample.count, times, values, mean, std), capacity)
            self._times, self._values = [], []
        return taken

    def _begun(self) -> CountWindow:
        window = CountWindow(self.size)
        if self.baseline is not None:
            window.extend(self.baseline)
        return window

    def forget_window(self) -> None:
        """The monitor has dropped its window; what comes next begins another."""
        self._window = None


@dataclass(slots=True)
class _Model:
    """What of one model follows from all its messages so far: what the monitor keeps, as far as windows depend on it.

    `versions`: the one seen longest ago first, each with its series; `seen`: the model's time when another was seen
    after it. `latest` is that time, the greatest event time, in microseconds since the epoch.
    """

    late: LatePairs
    versions: dict[str, dict[SeriesKey, Course]] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    latest: int = 0


class History:
    """The courses of all series, in order of their beginning. `observe` is the observer of `agents.backtest.backtest`.

    Memory is bounded by the number of series, however many values there are. As in the monitor, a model keeps the
    versions seen last, and a version its first metrics and segments; what is beyond is not judged, and not here.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings, self._plans = settings, Plans(settings, load_baselines(settings))
        self._courses: dict[SeriesKey, Course] = {}
        self._models: dict[str, _Model] = {}
        self._waiting = 0

    def observe(self, inputs: Sequence[Input]) -> None:
        """The inputs of one step of the monitor: of one model."""
        messages: Sequence[Message | Compact]
        if isinstance(inputs, EventRun):
            messages = inputs.messages
        else:
            messages = [item.message for item in inputs if not isinstance(item, Tick)]
        for message in messages:
            if isinstance(message, CompactMetrics) and not self._plans.wants_average(message.model_name):
                self._take_compact(message)
            elif isinstance(message, CompactOutcomes):
                self._take_outcomes(message)
            else:
                self._take(message if isinstance(message, Message) else message.full())
        if self._waiting >= _ALL_WAITING:
            self._settle()

    def courses(self) -> Iterator[Course]:
        """Every series, complete; in order of beginning."""
        self._settle()
        for course in self._courses.values():
            course.sample.shrink(self.capacity)
            yield course

    @property
    def capacity(self) -> int:
        """Buckets that each series may keep: fewer where there are more series."""
        share = ALL_BUCKETS // max(1, len(self._courses))
        return min(MOST_BUCKETS, max(FEWEST_BUCKETS, 1 << max(0, share.bit_length() - 1)))

    def _settle(self) -> None:
        for course in self._courses.values():
            course.settle(self.capacity)
        self._waiting = 0

    def _at(self, name: str, microseconds: int) -> _Model:
        """The model, at the time of a message of it; versions not seen for too long are forgotten."""
        if (model := self._models.get(name)) is None:
            model = self._models[name] = _Model(LatePairs(self._plans.horizon, self._plans.waiting_limit))
        model.latest = max(model.latest, microseconds)
        while len(model.versions) > 1 and model.latest > model.seen[next(iter(model.versions))] + self._plans.retention:
            self._drop_oldest(model)
        return model

    def _take_compact(self, message: CompactMetrics) -> None:
        name, version_name, times = message.model_name, message.model_version, (message.timestamp,)
        version = self._version(self._at(name, microseconds(message)), version_name)
        for metric in RATIOS:
            if (value := getattr(message, metric)) is not None:
                self._add(version, SeriesKey(name, version_name, metric), times, (value,))
        for extra, value in message.extras.items():
            self._add(version, SeriesKey(name, version_name, f"extras.{extra}"), times, (value,))

    def _take_outcomes(self, message: CompactOutcomes) -> None:
        """Outcomes without labels and times of their own."""
        name, plans = message.model_name, self._plans
        found = readings(message, False, plans.of_outcomes(name), plans.of_scores(name))
        self._take_readings(message, self._at(name, microseconds(message)), message.model_version, found)

    def _take(self, message: Message) -> None:
        name, plans = message.model_name, self._plans
        if isinstance(message, OperatorAction) and message.action == "retire":
            self._forget(name)
            return
        model = self._at(name, microseconds(message))
        if isinstance(message, OperatorAction) and message.action == "reset":
            while model.versions:
                self._drop_oldest(model)
        if isinstance(message, Prediction | Label):
            self._take_half(message, model)
            return
        found = readings(message, plans.wants_average(name), plans.of_outcomes(name), plans.of_scores(name))
        if found:
            self._take_readings(message, model, message.model_version, found)
            self._take_segments(message, model, message.model_version, message, message.labels)

    def _take_half(self, message: Prediction | Label, model: _Model) -> None:
        name, plans = message.model_name, self._plans
        if isinstance(message, Prediction):  # its score says something before there is a label
            self._take_readings(
                message, model, message.model_version, readings(message, False, (), plans.of_scores(name))
            )
            self._take_segments(message, model, message.model_version, message, message.labels)
        keys = {each.key for each in plans.of_segments(name)}
        labels = {key: value for key, value in message.labels.items() if key in keys}
        if joined := model.late.take(message, labels, model.latest):
            found = outcome_readings(joined.outcomes, plans.of_outcomes(name))
            self._take_readings(message, model, joined.version, found)
            self._take_segments(message, model, joined.version, joined.outcomes, joined.labels)

    def _take_readings(
        self, message: Message | CompactOutcomes, model: _Model, version_name: str, found: Sequence[Reading]
    ) -> None:
        """Values of each metric of the whole."""
        if found:
            version = self._version(model, version_name)
            for metric, values in found:
                key = SeriesKey(message.model_name, version_name, metric)
                self._add(version, key, _times(message, len(values)), values)

    def _take_segments(
        self,
        message: Message,
        model: _Model,
        version_name: str,
        said: Message | JoinedOutcomes,
        labels: Mapping[str, str],
    ) -> None:
        """What a message says of segments, each a series of its own."""
        name, plans = message.model_name, self._plans.of_segments(message.model_name)
        for value, (label, metric, plan), values in segment_readings(said, labels, plans):
            version = self._version(model, version_name)
            if self._may_have(model, (label, value)):
                key = SeriesKey(name, version_name, metric, value, label)
                self._add(version, key, _times(message, len(values)), values, plan)

    def _may_have(self, model: _Model, segment: tuple[str, str]) -> bool:
        """Whether the monitor keeps series of this segment: it does of the first ones."""
        known = {(key.label, key.segment) for version in model.versions.values() for key in version if key.label}
        return segment in known or len(known) < self._plans.segment_limit

    def _add(
        self,
        version: dict[SeriesKey, Course],
        key: SeriesKey,
        times: Sequence[float],
        values: Values,
        plan: Plan | None = None,
    ) -> None:
        """Values of one series; `plan` is that of a segment."""
        course = version.get(key)
        if course is None:
            if not key.label and sum(not other.label for other in version) >= MAX_METRICS:
                return
            course = version[key] = self._courses.get(key) or self._begin(key, plan)
        self._waiting += len(values)
        if course.wait(times, values) >= _WAITING:
            self._waiting -= course.settle(self.capacity)

    def _begin(self, key: SeriesKey, plan: Plan | None) -> Course:
        limits: list[float] = []
        if plan is None:
            plan = self._plans.of(key.model, key.metric)
            limits += [] if plan.minimum is None else [plan.minimum]
            if rule := self._settings.monitor_rule(key.model, key.metric):
                limits += [float(value) for name, value in rule.detector_meant[1].items() if name == "limit"]
        course = Course(key, plan.size, plan.detector_name, _deviations(plan), tuple(limits), plan.is_root)
        if not key.label:
            course.baseline = self._plans.baseline(key.model, key.version, key.metric)
        self._courses[key] = course
        return course

    def _version(self, model: _Model, name: str) -> dict[SeriesKey, Course]:
        """The series of this version, which is now the one seen last."""
        versions = model.versions
        last = next(reversed(versions), name)
        if name in versions and last == name:
            return versions[name]
        if last != name:
            model.seen[last] = model.latest
        versions[name] = version = versions.pop(name, {})
        if len(versions) > MAX_VERSIONS:
            self._drop_oldest(model)
        return version

    def _drop_oldest(self, model: _Model) -> None:
        name = next(iter(model.versions))
        model.seen.pop(name, None)
        for course in model.versions.pop(name).values():
            self._waiting -= course.settle(self.capacity)
            course.forget_window()

    def _forget(self, name: str) -> None:
        """A model that was retired begins anew if it comes back."""
        if model := self._models.pop(name, None):
            while model.versions:
                self._drop_oldest(model)


def _times(message: Message | CompactOutcomes, count: int) -> Sequence[float]:
    """When each of `count` values of a message was: where each outcome has a time of its own, else the message's."""
    if isinstance(message, CompactOutcomes):
        return [message.timestamp] * count
    if isinstance(message, Outcomes) and message.timestamps is not None and len(message.timestamps) == count:
        return [moment.timestamp() for moment in message.timestamps]
    return [message.timestamp.timestamp()] * count


def _deviations(plan: Plan) -> float | None:
    return plan.detector.threshold if isinstance(plan.detector, ZScore) else None


def _roots(values: Floats, mean: Floats, std: Floats) -> tuple[Floats, Floats, Floats]:
    """Squared errors in the errors' own unit, as the monitor's messages tell them (`agents.monitor.outputs`)."""
    root = np.sqrt(mean)
    with np.errstate(over="ignore"):
        spread = np.minimum(std / np.where(root > 0, 2 * root, np.inf), np.finfo(np.float64).max)
    return np.sqrt(values), root, spread
