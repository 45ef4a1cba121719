"""A backtest as the data of its report: JSON values, bounded in size, the same for the same events and settings."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import numpy as np

from agents.backtest.report.history import Course, History
from agents.backtest.report.labelled import Window
from agents.backtest.report.marks import KINDS, Mark, marks_of, thinned
from agents.backtest.report.sampling import MEAN, STD, TIME, VALUE, in_time, longest_step
from agents.backtest.result import BacktestResult
from agents.settings.rules import RATIO_METRICS
from schemas.fields import EPOCH
from streams.windows import Floats

#: Labelled windows of each model.
Windows = Mapping[str, Sequence[Window]]

#: Rows of a table of scores: what it is of, and its figures.
Scores = Sequence[Mapping[str, object]]

#: Series with a chart. Of more, those with findings and those that are watched come first.
MOST_CHARTS: Final = 4_000

#: Distinct reasons of dead letters that are listed, and places that each names.
MOST_REASONS, MOST_PLACES = 200, 5

#: Parts of the timeline of all findings, and of the small picture beside a model's name.
_TIMELINE, _SPARK = 120, 48

_SPARK_LEVELS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"

#: A column is rounded to this part of its range: far below a pixel, whatever the zoom.
_DIGITS: Final = 6


@dataclass(frozen=True)
class Report:
    """What a report is made of. `sha256` is of the source's bytes, empty where it has none; `settings` is TOML."""

    source: str
    sha256: str
    settings: str
    result: BacktestResult
    history: History
    windows: Windows = field(default_factory=dict)
    scores: Scores = ()


@dataclass(slots=True)
class ModelCourse:
    """One model: its charts, each the courses of one metric and segment, and what was said of it."""

    name: str
    charts: dict[tuple[str, str], list[Course]] = field(default_factory=dict)
    marks: list[Mark] = field(default_factory=list)

    def of_chart(self, metric: str, segment: str) -> list[Mark]:
        """The findings in one metric."""
        return [mark for mark in self.marks if (mark.metric, mark.segment) == (metric, segment) and not _is_whole(mark)]

    @property
    def of_whole(self) -> list[Mark]:
        """What concerns the whole model: requests, alerts, other monitors; and findings in a metric without a chart."""
        return [mark for mark in self.marks if _is_whole(mark) or (mark.metric, mark.segment) not in self.charts]


def models_of(report: Report) -> list[ModelCourse]:
    """Every model that has values or findings, in order of its beginning, its watched metrics first."""
    models: dict[str, ModelCourse] = {}
    for course in report.history.courses():
        model = models.setdefault(course.key.model, ModelCourse(course.key.model))
        model.charts.setdefault((course.key.metric, course.key.segment), []).append(course)
    for name, marks in marks_of(report.result).items():
        models.setdefault(name, ModelCourse(name)).marks = marks
    for model in models.values():
        found = {(mark.metric, mark.segment) for mark in model.marks}
        order = sorted(model.charts, key=lambda of: (not model.charts[of][0].detector, of not in found))
        model.charts = {of: model.charts[of] for of in order}
    return list(models.values())


def summary(report: Report, models: Sequence[ModelCourse]) -> dict[str, Any]:
    """What the head of the page says, and the index of models."""
    every = [mark for model in models for mark in model.marks]
    courses = [course for model in models for courses in model.charts.values() for course in courses]
    begin, end = _extent(models)
    return {
        "events": report.result.events_read,
        "values": sum(course.count for course in courses),
        "rows": sum(len(course.rows) for course in courses),
        "series": len(courses),
        "models": len(models),
        "deadLetters": len(report.result.dead_letters),
        "labels": sum(len(windows) for windows in report.windows.values()),
        "unknownLabels": sorted(set(report.windows) - {model.name for model in models})[:20],
        "kinds": KINDS,
        "counts": _counts(every),
        "begin": begin,
        "end": end,
        "timeline": _timeline(every, begin, end),
        "index": [_index_row(model) for model in models],
    }


def charts(model: ModelCourse, windows: Windows) -> dict[str, Any]:
    """What the section of one model shows."""
    return {
        "labels": [
            [_milliseconds(begin), _milliseconds(end), metric] for begin, end, metric in windows.get(model.name, ())
        ],
        "marks": _marks(model.of_whole),
        "counts": _counts(model.of_whole),
        "charts": [_chart(model, *of, courses) for of, courses in model.charts.items()],
    }


def charted(models: Sequence[ModelCourse], most: int = MOST_CHARTS) -> set[str]:
    """The models that have charts: all where there are few, else those with the most findings."""
    chosen, left = set(), most
    for model in sorted(models, key=lambda model: -len(model.marks)):
        left -= sum(map(len, model.charts.values()))
        if left < 0:
            break
        chosen.add(model.name)
    return chosen


def reasons_of(dead_letters: Iterable[Mapping[str, Any]]) -> list[tuple[str, int, str]]:
    """(reason, how many, the first places) of dead letters, the most frequent first."""
    counts: Counter[str] = Counter()
    places: defaultdict[str, list[str]] = defaultdict(list)
    for letter in dead_letters:
        reason = letter["reason"]
        counts[reason] += 1
        if len(places[reason]) < MOST_PLACES:
            places[reason].append(f"{letter['topic']}:{letter['offset']}")
    return [(reason, count, ", ".join(places[reason])) for reason, count in counts.most_common(MOST_REASONS)]


def _is_whole(mark: Mark) -> bool:
    return not mark.metric or mark.kind == "retrain"


def _counts(marks: Iterable[Mark]) -> list[int]:
    """How many of each kind, in the order of `KINDS`."""
    found = Counter(mark.kind for mark in marks)
    return [found[kind] for kind in KINDS]


def _marks(marks: Iterable[Mark]) -> list[list[Any]]:
    return [
        [KINDS.index(mark.kind), mark.time, mark.value, mark.text, mark.version, mark.mean] for mark in thinned(marks)
    ]


def _chart(model: ModelCourse, metric: str, segment: str, courses: Sequence[Course]) -> dict[str, Any]:
    marks, first = model.of_chart(metric, segment), courses[0]
    return {
        "metric": metric,
        "segment": segment,
        "detector": first.detector,
        "deviations": first.deviations,
        "limits": list(first.limits),
        "size": first.size,
        "binary": all(course.binary for course in courses),
        "ratio": metric in RATIO_METRICS,
        "series": [_series(course) for course in courses],
        "marks": _marks(marks),
        "counts": _counts(marks),
    }


def _series(course: Course) -> dict[str, Any]:
    rows = in_time(course.rows)
    times = np.diff(rows[:, TIME], prepend=0.0).astype(np.int64)
    return {
        "version": course.key.version,
        "count": course.count,
        "width": course.sample.width,
        "gap": longest_step(rows),
        "t": times.tolist(),
        "v": rounded(rows[:, VALUE]),
        "m": rounded(rows[:, MEAN]),
        "s": rounded(rows[:, STD]),
    }


def rounded(column: Floats) -> list[float]:
    """The numbers, rounded to a millionth of their range: as short as a screen allows."""
    with np.errstate(over="ignore"):
        span = float(column.max() - column.min())
    if not np.isfinite(span) or span == 0:
        return [float(value) for value in column]
    decimals = _DIGITS - int(np.floor(np.log10(span)))
    return [float(value) for value in (np.round(column, decimals) if abs(decimals) <= 15 else column)]


def _milliseconds(moment: datetime) -> int:
    return round((moment - EPOCH).total_seconds() * 1000)


def _extent(models: Sequence[ModelCourse]) -> tuple[int, int] | tuple[None, None]:
    """The first and the last event time of all, in milliseconds; None where nothing came."""
    columns = [course.rows[:, TIME] for model in models for courses in model.charts.values() for course in courses]
    times = [float(extreme) for column in columns for extreme in (column.min(), column.max())]
    times += [float(mark.time) for model in models for mark in model.marks]
    return (int(min(times)), int(max(times))) if times else (None, None)


def _timeline(marks: Sequence[Mark], begin: int | None, end: int | None) -> list[list[int]]:
    """How many marks of each kind fall into each part of the time from begin to end."""
    if begin is None or end is None:
        return []
    parts = [[0] * _TIMELINE for _ in KINDS]
    span = max(1, end - begin)
    for mark in marks:
        parts[KINDS.index(mark.kind)][min(_TIMELINE - 1, (mark.time - begin) * _TIMELINE // span)] += 1
    return parts


def _index_row(model: ModelCourse) -> list[Any]:
    """Name, versions, metrics, values, counts by kind, the first drift's time, and the small picture."""
    courses = [course for courses in model.charts.values() for course in courses]
    drifts = [mark.time for mark in model.marks if mark.kind == "drift"]
    values, versions = sum(course.count for course in courses), {course.key.version for course in courses}
    counts = _counts(model.marks)
    return [model.name, len(versions), len(model.charts), values, counts, min(drifts, default=None), *_spark(model)]


def _spark(model: ModelCourse) -> tuple[str, list[int]]:
    """The window's mean of the first chart, a character for each part of its time, and the parts where drift was.

    Of several versions, that of the one with the most values.
    """
    if not model.charts:
        return "", []
    of, courses = next(iter(model.charts.items()))
    rows = in_time(max(courses, key=lambda course: course.count).rows)
    begin, end = rows[0, TIME], rows[-1, TIME]
    last = np.searchsorted(rows[:, TIME], np.linspace(begin, end, _SPARK + 1)[1:], side="right") - 1
    means = rows[last, MEAN] / 2
    span = float(means.max() - means.min()) or 1.0
    levels = ((means - means.min()) / span * (len(_SPARK_LEVELS) - 1)).astype(int)
    drifts = np.array([mark.time for mark in model.of_chart(*of) if mark.kind == "drift"])
    parts = np.clip((drifts - begin) / max(1.0, end - begin) * _SPARK, 0, _SPARK - 1).astype(int)
    return "".join(_SPARK_LEVELS[level] for level in levels), np.unique(parts).tolist()
