"""How good alarms are beside labels: which changes were found, how late, and which alarms were false.

The rules, which docs/backtest.md has in words:

    label          begin────────end                     a point has its end at its begin
    window         begin────────end────max_delay┤       up to the next label's begin at most
    alarms      x    ✓     ·     ·                x     ✓ finds it, · repeats it, x is false

An alarm lies at the last event of the record that raised it, for before that nobody could know.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

from agents.backtest.labels import Label
from agents.backtest.timeline import Timeline
from streams.duration import format_duration, parse_duration

MaxDelay = int | timedelta | None
"""How long after a label's end an alarm still finds it: so many events, or so long; None: up to the next label."""

Repeats = Literal["ignored", "false"]
"""What further alarms in a window are, after the one that found the change."""

#: As many events as a window holds by default: what came before the change has left it by then.
DEFAULT_MAX_DELAY: Final = 500

_DAY: Final = timedelta(days=1)


class Span(NamedTuple):
    """The events [begin, end) in which an alarm finds a change."""

    begin: int
    end: int


class Matched(NamedTuple):
    """For each span the index of the alarm that found it, or None; and the indices of the other alarms."""

    found: list[int | None]
    repeated: list[int]
    false: list[int]


def match(alarms: Sequence[int], spans: Sequence[Span | tuple[int, int]]) -> Matched:
    """Put alarms (events, ascending) beside spans (ascending, none within another).

    The first alarm in a span finds it, the others there repeat it, and those outside of all are false: so an alarm
    finds one change at most, and a change is found once.
    """
    matched = Matched([None] * len(spans), [], [])
    number = 0
    for index, alarm in enumerate(alarms):
        while number < len(spans) and spans[number][1] <= alarm:
            number += 1
        if number == len(spans) or alarm < spans[number][0]:
            matched.false.append(index)
        elif matched.found[number] is None:
            matched.found[number] = index
        else:
            matched.repeated.append(index)
    return matched


@dataclass(frozen=True, slots=True)
class Rules:
    """How alarms are judged; every score is printed with them.

    `probation`: so many events at the beginning of each series (below 1: such a share of them) are not judged.
    """

    max_delay: MaxDelay = DEFAULT_MAX_DELAY
    repeats: Repeats = "ignored"
    probation: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """As JSON; the delay in words."""
        return {"max_delay": told(self.max_delay), "repeats": self.repeats, "probation": self.probation}


def parse_max_delay(text: str) -> MaxDelay:
    """A number of events ("500"), a duration ("1h"), or "none". Raises ValueError."""
    if text.strip().lower() == "none":
        return None
    if text.strip().isascii() and text.strip().isdigit():
        return int(text)
    try:
        return parse_duration(text)
    except ValueError:
        raise ValueError(f'expected a number of events, a duration such as "1h", or none, got {text!r}') from None


def told(max_delay: MaxDelay) -> str:
    """The delay in words."""
    if max_delay is None:
        return "up to the next label"
    return f"{max_delay} events" if isinstance(max_delay, int) else format_duration(max_delay)


@dataclass(frozen=True, slots=True)
class Found:
    """A label that was found: by which alarm (its place among the series' alarms), and how late."""

    label: Label
    alarm: int
    events: int
    seconds: float


@dataclass(slots=True)
class Score:
    """What alarms did over some events: of one series, or (`+`) of several together.

    `outside` counts labels that lie where nothing was judged. `alarms` are those judged: one for each change found,
    false ones, and repeated ones that are not counted as false. `waited`: events in the windows of labels missed.
    """

    events: int = 0
    seconds: float = 0.0
    alarms: int = 0
    false_alarms: int = 0
    repeated: int = 0
    found: list[Found] = field(default_factory=list)
    missed: list[Label] = field(default_factory=list)
    outside: int = 0
    waited: int = 0

    def __add__(self, other: Score) -> Score:
        return Score(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))

    @property
    def labels(self) -> int:
        """How many labels were judged."""
        return len(self.found) + len(self.missed)

    @property
    def recall(self) -> float | None:
        """Changes found of all changes: the detection rate. None without any."""
        return _share(len(self.found), self.labels)

    @property
    def precision(self) -> float | None:
        """Alarms that found a change, of these and the false ones. None without any."""
        return _share(len(self.found), len(self.found) + self.false_alarms)

    @property
    def f1(self) -> float | None:
        """2 TP / (2 TP + FP + FN); None where there was neither a label nor an alarm."""
        return _share(2 * len(self.found), 2 * len(self.found) + self.false_alarms + len(self.missed))

    @property
    def false_per_10000(self) -> float | None:
        """False alarms per 10,000 events judged."""
        return _share(10_000 * self.false_alarms, self.events)

    @property
    def false_per_day(self) -> float | None:
        """False alarms per day of the events' time."""
        return _share(self.false_alarms, self.seconds / _DAY.total_seconds())

    def delay(self, unit: Literal["events", "seconds"], share: float = 0.5) -> float | None:
        """A quantile of the delays of those found; None if none was."""
        return quantile([getattr(found, unit) for found in self.found], share)

    @property
    def mean_delay(self) -> float | None:
        """The delay in events on average over all labels, a missed one counted with its whole window."""
        return _share(sum(found.events for found in self.found) + self.waited, self.labels)

    def as_dict(self) -> dict[str, Any]:
        """The figures as JSON; null where there is nothing to divide by."""
        return {
            "labels": self.labels,
            "found": len(self.found),
            "missed": len(self.missed),
            "outside": self.outside,
            "detection_rate": self.recall,
            "delay": {
                unit: {"median": self.delay(unit), "p90": self.delay(unit, 0.9)} for unit in ("events", "seconds")
            },
            "mean_delay_events": self.mean_delay,
            "alarms": self.alarms,
            "false_alarms": self.false_alarms,
            "repeated_alarms": self.repeated,
            "false_alarms_per_10000_events": self.false_per_10000,
            "false_alarms_per_day": self.false_per_day,
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
            "events": self.events,
            "days": self.seconds / _DAY.total_seconds(),
        }


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def quantile(values: Sequence[float], share: float) -> float | None:
    """The median (of an even number, the mean of the middle two); else the least value that `share` do not exceed."""
    if not values:
        return None
    ordered = sorted(values)
    return statistics.median(ordered) if share == 0.5 else ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def spans_of(labels: Sequence[Label], timeline: Timeline, max_delay: MaxDelay) -> list[tuple[Label, Span]]:
    """The labels that lie within the timeline, in order, each with its span. Two that begin alike are one.

    The later of two that overlap ends the span of the earlier.
    """
    placed: dict[int, tuple[Label, int]] = {}
    for label in labels:
        begin, end = _events(label, timeline, max_delay)
        if begin < len(timeline) and end > 0 and max(begin, 0) not in placed:
            placed[max(begin, 0)] = (label, end)
    begins = sorted(placed)
    limits = [*begins[1:], len(timeline)]
    return [
        (placed[begin][0], Span(begin, min(placed[begin][1], limit)))
        for begin, limit in zip(begins, limits, strict=False)
    ]


def _events(label: Label, timeline: Timeline, max_delay: MaxDelay) -> tuple[int, int]:
    """[begin, end) of a label with the delay, not cut to what the timeline holds."""
    begin, last = label.begin, label.begin if label.end is None else label.end
    first = begin if isinstance(begin, int) else timeline.first_since(begin)
    if max_delay is None:
        return first, max(len(timeline), first + 1)
    if isinstance(max_delay, timedelta):
        time = timeline.time_of(last) if isinstance(last, int) else last
        end = timeline.first_after(time + max_delay)
    else:
        # A point between two events begins with the later one.
        end = (last if isinstance(last, int) else max(timeline.first_after(last) - 1, first)) + max_delay + 1
    return first, end


def score_series(
    alarms: Sequence[int],
    labels: Sequence[Label],
    timeline: Timeline,
    rules: Rules,
    judged: tuple[int, int] | None = None,
) -> Score:
    """Score the alarms of one series: their events, ascending. `judged`: only [from, until), else all but probation.

    A label is judged if it begins there, a false alarm if it lies there; alarms for a label that began before are not.
    """
    begin, end = judged or (_probation(rules, timeline), len(timeline))
    spans = spans_of(labels, timeline, rules.max_delay)
    matched = match(alarms, [span for _, span in spans])
    score = Score(events=max(0, end - begin))
    if score.events:
        score.seconds = (timeline.time_of(end - 1) - timeline.time_of(begin)).total_seconds()
    for (label, span), alarm in zip(spans, matched.found, strict=True):
        if not begin <= span.begin < end:
            continue
        if alarm is None or alarms[alarm] >= end:
            score.missed.append(label)
            score.waited += min(span.end, end) - span.begin
        else:
            seconds = (timeline.time_of(alarms[alarm]) - _time(label, span, timeline)).total_seconds()
            score.found.append(Found(label, alarm, alarms[alarm] - span.begin, max(0.0, seconds)))
    score.outside = len(labels) - score.labels
    begun = [span for _, span in spans if begin <= span.begin < end]
    repeats = [alarms[index] for index in matched.repeated]
    score.repeated = sum(1 for alarm in repeats if alarm < end and any(s.begin <= alarm < s.end for s in begun))
    score.false_alarms = sum(1 for index in matched.false if begin <= alarms[index] < end)
    if rules.repeats == "false":
        score.false_alarms += score.repeated
        score.repeated = 0
    score.alarms = len(score.found) + score.false_alarms + score.repeated
    return score


def _probation(rules: Rules, timeline: Timeline) -> int:
    share = rules.probation
    return min(len(timeline), int(share * len(timeline) if share < 1 else share))


def _time(label: Label, span: Span, timeline: Timeline) -> datetime:
    """When the change was: as labelled, but not before the first event that could show it in the timeline."""
    return label.begin if isinstance(label.begin, datetime) and span.begin > 0 else timeline.time_of(span.begin)
