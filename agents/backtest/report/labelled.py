"""What labels add to a report: windows to shade, and scores to list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol


class Window(NamedTuple):
    """When something truly changed, in UTC, both ends included; of one metric, or of all (empty)."""

    begin: datetime
    end: datetime
    metric: str = ""


class LabelLike(Protocol):
    """A label of one model: a time or an event's number, `end` None for a point."""

    @property
    def begin(self) -> int | datetime: ...
    @property
    def end(self) -> int | datetime | None: ...
    @property
    def metric(self) -> str: ...


def windows_of(labels: Iterable[LabelLike], time_of: Callable[[int], datetime]) -> list[Window]:
    """The windows of one model's labels; `time_of` gives the time of an event by its number."""

    def time(place: int | datetime) -> datetime:
        return time_of(place) if isinstance(place, int) else place

    return [Window(time(of.begin), time(of.begin if of.end is None else of.end), of.metric) for of in labels]


#: Columns of the table of scores, and where the figures are in a score's JSON. Delays are in events; false alarms are
#: also given per 10,000 events and per day.
_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "Labels": ("labels",),
    "Found": ("found",),
    "Missed": ("missed",),
    "Precision": ("precision",),
    "F1": ("f1",),
    "Median delay": ("delay", "events", "median"),
    "p90": ("delay", "events", "p90"),
    "False alarms": ("false_alarms",),
    "per 10,000": ("false_alarms_per_10000_events",),
    "per day": ("false_alarms_per_day",),
}


def score_row(name: str, score: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the table of scores: of the settings `name`, from the JSON of their score."""
    return {"Settings": name, **{column: _figure(score, path) for column, path in _COLUMNS.items()}}


def _figure(score: Mapping[str, Any], path: tuple[str, ...]) -> float | None:
    value: Any = score
    for name in path:
        value = None if value is None else value.get(name)
    return None if value is None else float(value) if isinstance(value, float) else int(value)
