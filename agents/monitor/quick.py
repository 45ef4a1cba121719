"""The quick way for a few `metrics` messages of which nothing is to be said: by far the commonest case.

What it leaves behind is what the long way (`agents.monitor.batch`) leaves, digit for digit; whatever it does not take,
because something might have to be said or begun, goes the long way.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from operator import attrgetter
from typing import Final, NamedTuple, cast

from agents.monitor.expiry import next_due
from agents.monitor.phases import calm_after, calm_values_needed
from agents.monitor.plan import Lane, Plan, Plans
from agents.monitor.state import Model, MonitorState, Series, Version, panes_of
from agents.monitor.times import Times, stride, time_in
from schemas.compact import CompactMetrics, instant
from schemas.fields import EPOCH
from schemas.metrics import RATIOS
from schemas.status import ModelState
from streams.parts import Parts
from streams.run import EventRun

#: Runs longer than this are quicker in columns.
LONGEST: Final = 100

#: Phases in which calm values are not counted.
_STEADY: Final = (ModelState.OK, ModelState.WARMING)

_MICROSECOND: Final = timedelta(microseconds=1)
_ratios = attrgetter(*RATIOS)

#: The values of one metric, one of each message; or those of one message, one of each metric.
_Column = Sequence[float]
_Row = list[float]


class _Places(NamedTuple):
    """Where metrics are in messages: numbers among RATIOS, and names of extras."""

    metrics: tuple[str, ...]
    ratios: tuple[int, ...]
    extras: tuple[str, ...]


def take_quietly(model: Model, run: EventRun, plans: Plans) -> int:
    """Take in the messages of a run up to the first that may have consequences; returns how many. Changes the state."""
    state = model.state
    if state.silent or not state.versions:
        return 0
    version = state.versions[-1]
    metrics, columns = _columns_of(run, version.name)
    if not columns or (lanes := plans.lanes_of(state.model, metrics)) is None:
        return 0
    if (state.waiting is not None or len(state.versions) > 1) and _is_anything_due(state, run, plans):
        return 0
    measured, room = _series_of(lanes.measured, version, len(columns[0]))
    kept, room = _series_of(lanes.kept, version, room)
    taken = _take_measured(lanes.measured, measured, columns, room, run, model.parts)
    if not taken:
        return 0
    for lane, series in zip(lanes.kept, kept, strict=True):
        _keep(series, columns[lane.number], taken, model.parts)
    _move_on(state, run, taken, version.name)
    return taken


def _columns_of(run: EventRun, version: str) -> tuple[tuple[str, ...], list[_Column]]:
    """The metrics of a run's first messages, and their values, as long as they are alike and of the version."""
    if (columns := run.columns) is not None:
        if columns.kind.model_version != version:
            return (), []
        return columns.kind.metrics, columns.values.tolist()
    first = run.messages[0]
    if type(first) is not CompactMetrics:
        return (), []
    places = _places_of(tuple([value is None for value in _ratios(first)]), tuple(first.extras))
    return places.metrics, list(zip(*_rows(run, places, version), strict=True))


def _rows(run: EventRun, places: _Places, version: str) -> list[_Row]:
    """The values of the first messages, as long as they are of the version and have a value at each place alone."""
    rows: list[_Row] = []
    missing = len(RATIOS) - len(places.ratios)
    for message in run.messages:
        if type(message) is not CompactMetrics or message.model_version != version:
            break
        ratios, extras = _ratios(message), message.extras
        found = [ratios[at] for at in places.ratios] + [extras.get(name) for name in places.extras]
        if None in found or ratios.count(None) != missing or len(extras) != len(places.extras):
            break
        rows.append(cast(_Row, found))
    return rows


@lru_cache(maxsize=10_000)
def _places_of(missing: tuple[bool, ...], extras: tuple[str, ...]) -> _Places:
    """Of the metrics in messages that lack these ratios and have these extras."""
    ratios = tuple([at for at in range(len(RATIOS)) if not missing[at]])
    return _Places((*[RATIOS[at] for at in ratios], *[f"extras.{name}" for name in extras]), ratios, extras)


def _is_anything_due(state: MonitorState, run: EventRun, plans: Plans) -> bool:
    """Whether something is to be given up by the time of the latest of these, the first of which is compact."""
    due = next_due(state, plans)
    return due is not None and _latest(run, len(run)) >= due


def _latest(run: EventRun, count: int) -> int:
    """The greatest event time of a run's first messages, as far as they are compact, in microseconds."""
    if run.columns is not None:
        return int(max(run.columns.times[:count].tolist()))
    latest = max([message.timestamp for message in run.messages[:count] if type(message) is CompactMetrics])
    return (instant(latest) - EPOCH) // _MICROSECOND


def _series_of(lanes: Sequence[Lane], version: Version, room: int) -> tuple[list[Series], int]:
    """The series of metrics, and for how many values, at most `room`, each has room: none where one would begin."""
    found, known = [], version.series
    for _, metric, plan in lanes:
        series = known.get(metric)
        if series is None or series.watched != plan.watched or series.window.size != plan.size:
            return [], 0
        if (its_room := series.window.room) < room:
            room = its_room
        found.append(series)
    return found, room


def _take_measured(
    lanes: Sequence[Lane], every: list[Series], columns: list[_Column], limit: int, run: EventRun, parts: Parts
) -> int:
    """Take in the first values, as long as nothing is to be said of any metric's, at most `limit`; returns how many."""
    if not lanes or not limit:
        return limit
    taken, is_calm = 0, True
    while is_calm and taken < limit:
        some = reach = min([limit - taken, *[series.window.reach for series in every]])
        for lane, series in zip(lanes, every, strict=True):
            some = _calm(series, lane.plan, columns[lane.number][taken : taken + some])
        for lane, series in zip(lanes, every, strict=True):
            if some:
                _take(series, lane.plan, columns[lane.number][taken : taken + some], parts)
        taken, is_calm = taken + some, some == reach
    if taken:
        for lane, series in zip(lanes, every, strict=True):
            _note_times(series, lane.plan.size, run, taken)
    return taken


def _take(series: Series, plan: Plan, values: _Column, parts: Parts) -> None:
    if plan.window_detector is not None and series.phase not in _STEADY:
        *_, series.calm = calm_after(series, plan, values)
    if series.window.take(values):
        series.window.turn_over(panes_of(series, parts))


def _calm(series: Series, plan: Plan, values: _Column) -> int:
    """Of how many values, if these came next, nothing is to be said."""
    minimum, detector, measured = plan.minimum, plan.window_detector, series.window.measure(values)
    ends = len(measured) if detector is None else _phase_ends(series, plan, values)
    warming = series.phase is ModelState.WARMING
    for at, (count, mean, std) in enumerate(measured):
        if minimum is not None and (mean if plan.of_mean else values[at]) < minimum:
            return at
        if detector is None:
            continue
        if at == ends or (warming and count >= plan.min_samples):
            return at
        if not detector.is_calm(values[at], count, mean, std):
            return at
    return len(measured)


def _phase_ends(series: Series, plan: Plan, values: _Column) -> int:
    """The value with which it has been calm for long enough, if none fires; past the last where none is."""
    if series.phase in _STEADY:
        return len(values)
    needed = calm_values_needed(series.phase, plan)
    return next((at for at, calm in enumerate(calm_after(series, plan, values)) if calm >= needed), len(values))


def _note_times(series: Series, size: int, run: EventRun, count: int) -> None:
    """Keep when values came that were just taken in, where one of them is to be marked."""
    end, step = series.window.pushed, stride(size)
    begin = end - count
    if (end - 1) // step != (begin - 1) // step:
        times = Times.of(size, series.times)
        series.times = times.after(begin, end, lambda numbers: [time_in(run, at - begin) for at in numbers]).encode()


def _keep(series: Series, column: _Column, count: int, parts: Parts) -> None:
    """Take in the first values of a metric that nothing is asked of."""
    some = column if count == len(column) else column[:count]
    series.window.take_many(some, lambda: panes_of(series, parts))


def _move_on(state: MonitorState, run: EventRun, count: int, version: str) -> None:
    """Note what the first messages of a run say beside their values."""
    state.event_time = max(state.event_time, _latest(run, count))
    state.counts["metrics"] = state.counts.get("metrics", 0) + count
    state.clock, state.last_version = run.clock, version
