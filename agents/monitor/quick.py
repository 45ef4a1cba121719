"""The quick way for a few `metrics` messages of which nothing is to be said: by far the commonest case.

What it leaves behind is what the long way (`agents.monitor.batch`) leaves, digit for digit; whatever it does not take,
because something might have to be said or begun, goes the long way.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from operator import attrgetter
from typing import Final, cast

from agents.monitor.plan import Plan, Plans
from agents.monitor.state import Model, Series, Version, panes_of
from schemas.compact import CompactMetrics, instant
from schemas.fields import EPOCH
from schemas.metrics import RATIOS
from schemas.status import ModelState
from streams.parts import Parts
from streams.run import EventRun

#: Runs longer than this are quicker in columns.
LONGEST: Final = 40

_MICROSECOND: Final = timedelta(microseconds=1)
_ratios = attrgetter(*RATIOS)


class _Lane:
    """One series, and where its values are in a message: a place among RATIOS, or the name of an extra."""

    __slots__ = ("at", "extra", "panes", "plan", "series", "values", "window")

    def __init__(self, metric: str, series: Series, plan: Plan, parts: Parts) -> None:
        self.at = RATIOS.index(metric) if metric in RATIOS else None
        self.extra = metric.removeprefix("extras.")
        self.series, self.window, self.plan, self.panes = series, series.window, plan, panes_of(series, parts)
        self.values: list[float] = []

    def is_calm(self, value: float) -> bool:
        """Whether nothing is to be said of a value that comes next."""
        if (measured := self.window.measure(value)) is None:
            return False
        count, mean, std = measured
        plan, phase = self.plan, self.series.phase
        if plan.minimum is not None and (mean if plan.of_mean else value) < plan.minimum:
            return False
        if plan.detector is None:
            return True
        steady = phase is ModelState.OK or (phase is ModelState.WARMING and count < plan.min_samples)
        return steady and plan.detector.is_calm(value, count, mean, std)


def take_quietly(model: Model, run: EventRun, plans: Plans) -> int:
    """Take in the messages of a run up to the first that may have consequences; returns how many. Changes the state."""
    state, first = model.state, run.messages[0]
    if state.silent or not state.versions or type(first) is not CompactMetrics or plans.wants_average(state.model):
        return 0
    version = state.versions[-1]
    lanes = _lanes(first, version, model, plans)
    taken = _take(lanes, run.messages, version.name) if lanes else 0
    if taken:
        latest = max(message.timestamp for message in run.messages[:taken] if isinstance(message, CompactMetrics))
        state.event_time = max(state.event_time, (instant(latest) - EPOCH) // _MICROSECOND)
        state.counts["metrics"] = state.counts.get("metrics", 0) + taken
        state.clock, state.last_version = run.clock, version.name
    return taken


def _lanes(first: CompactMetrics, version: Version, model: Model, plans: Plans) -> list[_Lane]:
    """A lane for each number in the message; none if one of them would begin a series."""
    metrics = [name for name, value in zip(RATIOS, _ratios(first), strict=True) if value is not None]
    metrics += [f"extras.{name}" for name in first.extras]
    lanes = []
    for metric in metrics:
        series, plan = version.series.get(metric), plans.of(model.state.model, metric)
        if series is None or series.window.size != plan.size or series.watched != plan.watched:
            return []
        lanes.append(_Lane(metric, series, plan, model.parts))
    return lanes


def _take(lanes: list[_Lane], messages: Sequence[object], version: str) -> int:
    """Take in messages that have a value for each lane, and no others, as long as nothing is to be said of them."""
    measured, extras = [lane for lane in lanes if lane.plan.is_measured], sum(lane.at is None for lane in lanes)
    taken, missing = 0, len(RATIOS) - len(lanes) + extras
    for message in messages[: min(lane.window.room for lane in lanes)]:
        if type(message) is not CompactMetrics or message.model_version != version or len(message.extras) != extras:
            break
        row = _ratios(message)
        values = [message.extras.get(lane.extra) if lane.at is None else row[lane.at] for lane in lanes]
        if None in values or row.count(None) != missing:
            break
        for lane, value in zip(lanes, values, strict=True):
            lane.values.append(cast(float, value))
        if any(not lane.is_calm(lane.values[-1]) for lane in measured):
            break
        for lane in measured:
            lane.window.take(lane.values[-1], lane.panes)
        taken += 1
    for lane in lanes:
        if not lane.plan.is_measured:
            lane.window.take_many(lane.values[:taken], lane.panes)
    return taken
