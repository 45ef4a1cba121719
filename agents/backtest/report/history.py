"""The course of every metric during a backtest: its values, and the window's mean and deviation after each.

An observer of the monitor's steps. It puts the values into windows of the monitor's own kind and size, so that the
numbers are those that the monitor saw, digit for digit, and keeps a sample of each series (`sampling`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, NamedTuple

import numpy as np

from agents.backtest.report.late import LatePairs
from agents.backtest.report.sampling import Rows, Sample, rows_of
from agents.drift.z_score import ZScore
from agents.monitor.outcomes import Outcomes as JoinedOutcomes
from agents.monitor.outcomes import Values
from agents.monitor.plan import Plan, Plans
from agents.monitor.readings import Reading, outcome_readings, readings, segment_readings
from agents.monitor.state import MAX_METRICS, MAX_VERSIONS
from agents.settings import Settings
from schemas.compact import CompactMetrics
from schemas.fields import EPOCH
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
_MICROSECOND: Final = timedelta(microseconds=1)


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
    are 0 or 1.
    """

    key: SeriesKey
    size: int
    detector: str
    deviations: float | None
    limits: tuple[float, ...] = ()
    is_root: bool = False
    sample: Sample = field(default_factory=Sample)
    binary: bool = True
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
            self._window = self._window or CountWindow(self.size)
            values = np.array(self._values)
            pushed = self._window.push_many(values)
            times, mean, std = np.rint(np.array(self._times) * _MILLISECONDS), pushed.mean, pushed.std
            if self.is_root:
                values, mean, std = _roots(values, mean, std)
            self.binary = self.binary and bool(np.isin(values, (0.0, 1.0)).all())
            self.sample.add(rows_of(self.sample.count, times, values, mean, std), capacity)
            self._times, self._values = [], []
        return taken

    def forget_window(self) -> None:
        """The monitor has dropped its window; what comes next begins another."""
        self._window = None


class History:
    """The courses of all series, in order of their beginning. `observe` is the observer of `agents.backtest.backtest`.

    Memory is bounded by the number of series, however many values there are. As in the monitor, a model keeps the
    versions seen last, and a version its first metrics; what is beyond is not judged, and not here.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings, self._plans = settings, Plans(settings)
        self._courses: dict[SeriesKey, Course] = {}
        #: Of each model the versions that the monitor keeps, the one seen longest ago first, and their series.
        self._models: dict[str, dict[str, dict[SeriesKey, Course]]] = {}
        self._waiting = 0
        #: Of each model that sends predictions and labels apart: those that wait, and its greatest event time.
        self._late: dict[str, LatePairs] = {}
        self._latest: dict[str, int] = {}

    def observe(self, inputs: Sequence[Input]) -> None:
        """The inputs of one step of the monitor: of one model."""
        messages: Sequence[Message | Compact]
        if isinstance(inputs, EventRun):
            messages = inputs.messages
        else:
            messages = [item.message for item in inputs if not isinstance(item, Tick)]
        for message in messages:
            if isinstance(message, CompactMetrics):
                self._take_compact(message)
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

    def _take_compact(self, message: CompactMetrics) -> None:
        name, average = message.model_name, self._plans.wants_average(message.model_name)
        if average:
            self._take(message.full())
            return
        if name in self._late:
            self._latest[name] = max(self._latest[name], round(message.timestamp * 1e6))
        version, times = self._version(name, message.model_version), (message.timestamp,)
        for metric in RATIOS:
            if (value := getattr(message, metric)) is not None:
                self._add(version, SeriesKey(name, message.model_version, metric), times, (value,))
        for extra, value in message.extras.items():
            self._add(version, SeriesKey(name, message.model_version, f"extras.{extra}"), times, (value,))

    def _take(self, message: Message) -> None:
        name = message.model_name
        if isinstance(message, OperatorAction) and message.action in ("retire", "reset"):
            for kept in list(self._models.get(name, {})):
                self._drop(name, kept)
        self._latest[name] = max(self._latest.get(name, 0), (message.timestamp - EPOCH) // _MICROSECOND)
        if isinstance(message, Prediction | Label):
            self._take_half(message)
            return
        moments: Sequence[float] = ()
        if isinstance(message, Outcomes) and message.timestamps is not None:
            moments = [moment.timestamp() for moment in message.timestamps]
        average, plans = self._plans.wants_average(name), self._plans
        found = readings(message, average, plans.of_outcomes(name), plans.of_scores(name))
        self._take_readings(message, message.model_version, found, moments)
        if found and message.labels:
            self._take_segments(message, message.model_version, message, message.labels, moments)

    def _take_half(self, message: Prediction | Label) -> None:
        name = message.model_name
        if name not in self._late:
            self._late[name] = LatePairs(self._plans.horizon, self._plans.waiting_limit)
        keys = {each.key for each in self._plans.of_segments(name)}
        labels = {key: value for key, value in message.labels.items() if key in keys}
        if joined := self._late[name].take(message, labels, self._latest[name]):
            found = outcome_readings(joined.outcomes, self._plans.of_outcomes(name))
            self._take_readings(message, joined.version, found)
            self._take_segments(message, joined.version, joined.outcomes, joined.labels)

    def _take_readings(
        self, message: Message, version_name: str, found: Sequence[Reading], moments: Sequence[float] = ()
    ) -> None:
        """Values of each metric; `moments` are their times where each has one, else the message's holds for all."""
        if not found:
            return
        version = self._version(message.model_name, version_name)
        for metric, values in found:
            times = moments if len(moments) == len(values) else [message.timestamp.timestamp()] * len(values)
            self._add(version, SeriesKey(message.model_name, version_name, metric), times, values)

    def _take_segments(
        self,
        message: Message,
        version_name: str,
        said: Message | JoinedOutcomes,
        labels: Mapping[str, str],
        moments: Sequence[float] = (),
    ) -> None:
        """What a message says of segments, each a series of its own."""
        name = message.model_name
        for value, (label, metric, plan), values in segment_readings(said, labels, self._plans.of_segments(name)):
            if self._may_have(name, (label, value)):
                times = moments if len(moments) == len(values) else [message.timestamp.timestamp()] * len(values)
                key = SeriesKey(name, version_name, metric, value, label)
                self._add(self._version(name, version_name), key, times, values, plan)

    def _may_have(self, model: str, segment: tuple[str, str]) -> bool:
        """Whether the monitor keeps series of this segment: it does of the first ones."""
        known = {(key.label, key.segment) for version in self._models[model].values() for key in version if key.label}
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
        self._courses[key] = course
        return course

    def _version(self, model: str, name: str) -> dict[SeriesKey, Course]:
        versions = self._models.setdefault(model, {})
        version = versions.pop(name, None)
        versions[name] = version = {} if version is None else version
        if len(versions) > MAX_VERSIONS:
            self._drop(model, next(iter(versions)))
        return version

    def _drop(self, model: str, version: str) -> None:
        for course in self._models[model].pop(version).values():
            self._waiting -= course.settle(self.capacity)
            course.forget_window()


def _deviations(plan: Plan) -> float | None:
    return plan.detector.threshold if isinstance(plan.detector, ZScore) else None


def _roots(values: Floats, mean: Floats, std: Floats) -> tuple[Floats, Floats, Floats]:
    """Squared errors in the errors' own unit, as the monitor's messages tell them (`agents.monitor.outputs`)."""
    root = np.sqrt(mean)
    with np.errstate(over="ignore"):
        spread = np.minimum(std / np.where(root > 0, 2 * root, np.inf), np.finfo(np.float64).max)
    return np.sqrt(values), root, spread
