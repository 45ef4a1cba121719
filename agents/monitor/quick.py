"""The quick way for a few `metrics` messages of which nothing is to be said: by far the commonest case.

What it leaves behind is what the long way (`agents.monitor.batch`) leaves, digit for digit; whatever it does not take,
because something might have to be said or begun, goes the long way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from functools import lru_cache
from itertools import islice
from operator import attrgetter
from typing import Final, NamedTuple, cast

from agents.monitor.expiry import next_due
from agents.monitor.plan import Plan, Plans
from agents.monitor.state import Model, MonitorState, Series, Version, panes_of
from agents.monitor.times import Times, stride, time_in
from schemas.compact import CompactMetrics, instant
from schemas.fields import EPOCH
from schemas.metrics import RATIOS
from schemas.status import ModelState
from streams.run import EventRun
from streams.windows import WindowHead

#: Runs longer than this are quicker in columns.
LONGEST: Final = 40

_MICROSECOND: Final = timedelta(microseconds=1)
_ratios = attrgetter(*RATIOS)


class _Place(NamedTuple):
    """Where a metric's value is in a message: at a place among RATIOS, or (`at` is −1) the extra of this name.

    Of columns the name alone has a meaning.
    """

    metric: str
    at: int
    extra: str


class _Lane(NamedTuple):
    """One series, with what the settings ask of it."""

    place: _Place
    series: Series
    window: WindowHead
    plan: Plan


def take_quietly(model: Model, run: EventRun, plans: Plans) -> int:
    """Take in the messages of a run up to the first that may have consequences; returns how many. Changes the state."""
    state = model.state
    if state.silent or not state.versions or plans.wants_average(state.model) or plans.by_time(state.model):
        return 0
    places, version = _places_in(run), state.versions[-1]
    if not places or ((state.waiting is not None or len(state.versions) > 1) and _is_anything_due(state, run, plans)):
        return 0
    lanes = _lanes(places, version, state.model, plans)
    taken = _take(lanes, _rows(run, places, version.name), run, model) if lanes else 0
    if taken:
        state.event_time = max(state.event_time, _latest(run, taken))
        state.counts["metrics"] = state.counts.get("metrics", 0) + taken
        state.clock, state.last_version = run.clock, version.name
    return taken


def _latest(run: EventRun, count: int) -> int:
    """The greatest event time of a run's first messages, as far as they are compact, in microseconds."""
    if run.columns is not None:
        return int(run.columns.times[:count].max())
    latest = max([message.timestamp for message in run.messages[:count] if type(message) is CompactMetrics])
    return (instant(latest) - EPOCH) // _MICROSECOND


def _is_anything_due(state: MonitorState, run: EventRun, plans: Plans) -> bool:
    """Whether something is to be given up by the time of the latest of these, the first of which is compact."""
    due = next_due(state, plans)
    return due is not None and _latest(run, len(run)) >= due


def _places_in(run: EventRun) -> tuple[_Place, ...]:
    """Where metrics are in the messages of a run that are like its first; none if that is not compact."""
    if run.columns is not None:
        return _places_of(run.columns.kind.metrics)
    first = run.messages[0]
    if type(first) is not CompactMetrics:
        return ()
    return _places(tuple([value is None for value in _ratios(first)]), tuple(first.extras))


def _rows(run: EventRun, places: Sequence[_Place], version: str) -> Iterator[list[float]]:
    """The values of a run's first messages, as long as they are of the version and have a value at each place alone."""
    if run.columns is not None:
        if run.columns.kind.model_version == version:
            yield from run.columns.values.T.tolist()
        return
    extras = sum([place.at < 0 for place in places])
    missing = len(RATIOS) - len(places) + extras
    for message in run.messages:
        if type(message) is not CompactMetrics or message.model_version != version or len(message.extras) != extras:
            return
        ratios = _ratios(message)
        found = [ratios[at] if at >= 0 else message.extras.get(extra) for _, at, extra in places]
        if None in found or ratios.count(None) != missing:
            return
        yield cast("list[float]", found)


@lru_cache(maxsize=10_000)
def _places(missing: tuple[bool, ...], extras: tuple[str, ...]) -> tuple[_Place, ...]:
    """Of the metrics in messages that lack these ratios and have these extras."""
    ratios = [_Place(name, at, "") for at, name in enumerate(RATIOS) if not missing[at]]
    return *ratios, *[_Place(f"extras.{name}", -1, name) for name in extras]


@lru_cache(maxsize=10_000)
def _places_of(metrics: tuple[str, ...]) -> tuple[_Place, ...]:
    """Of the metrics of columns."""
    return tuple([_Place(name, 0, "") for name in metrics])


def _lanes(places: Sequence[_Place], version: Version, model: str, plans: Plans) -> list[_Lane]:
    """A lane for each metric; none if one of them would begin a series."""
    lanes, known = [], version.series
    for place in places:
        series, plan = known.get(place.metric), plans.of(model, place.metric)
        if series is None or series.window.size != plan.size or series.watched != plan.watched:
            return []
        if plan.window_detector is not plan.detector:
            return []  # it remembers what it saw: nothing is told of one value without it
        lanes.append(_Lane(place, series, series.window, plan))
    return lanes


def _take(lanes: list[_Lane], found: Iterable[list[float]], run: EventRun, model: Model) -> int:
    """Take in rows of values, one of each lane, as long as there is room, and nothing is to be said of them."""
    measured = [(number, lane) for number, lane in enumerate(lanes) if lane.plan.is_measured]
    rows: list[list[float]] = []
    for row in islice(found, min([lane.window.room for lane in lanes])):
        if not all(_is_calm(lane, row[number]) for number, lane in measured):
            break
        for number, lane in measured:
            if lane.window.take(row[number]):
                lane.window.turn_over(panes_of(lane.series, model.parts))
        rows.append(row)
    for _, lane in measured:
        _note_times(lane, run, len(rows))
    for lane, column in zip(lanes, zip(*rows, strict=True), strict=False):
        if not lane.plan.is_measured:
            lane.window.take_many(column, lambda series=lane.series: panes_of(series, model.parts))  # type: ignore[misc] # bound now
    return len(rows)


def _note_times(lane: _Lane, run: EventRun, count: int) -> None:
    """Keep when values came that were just taken in, where one of them is to be marked."""
    end, step = lane.window.pushed, stride(lane.plan.size)
    begin = end - count
    if (end - 1) // step != (begin - 1) // step:
        times = Times.of(lane.plan.size, lane.series.times)
        marked = times.after(begin, end, lambda numbers: [time_in(run, at - begin) for at in numbers])
        lane.series.times = marked.encode()


def _is_calm(lane: _Lane, value: float) -> bool:
    """Whether nothing is to be said of a value that comes next."""
    _, series, window, plan = lane
    if (measured := window.measure(value)) is None:
        return False
    count, mean, std = measured
    if plan.minimum is not None and (mean if plan.of_mean else value) < plan.minimum:
        return False
    if plan.window_detector is None:
        return True
    steady = series.phase is ModelState.OK or (series.phase is ModelState.WARMING and count < plan.min_samples)
    return steady and plan.window_detector.is_calm(value, count, mean, std)
