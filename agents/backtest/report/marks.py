"""What the stages said during a backtest, as marks on the courses of the metrics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from agents.backtest.report.sampling import MEAN, NUMBER, TIME, VALUE, Rows, extremes
from agents.backtest.result import BacktestResult

Kind = Literal["drift", "better", "warning", "breach", "external", "retrain", "alert", "resolved"]

#: In the order of the legend.
KINDS: Final[tuple[Kind, ...]] = ("drift", "better", "warning", "breach", "external", "retrain", "alert", "resolved")

#: Marks of one kind on one chart beyond which they stand for groups.
MOST_MARKS: Final = 400


class Mark(NamedTuple):
    """Something that was said: event time in milliseconds since the epoch, the value it was about and its window's
    mean (None: about none), and in words what it says. `metric` is empty for what concerns the whole model.
    """

    kind: Kind
    time: int
    version: str
    metric: str
    segment: str
    value: float | None
    mean: float | None
    text: str


def marks_of(result: BacktestResult) -> dict[str, list[Mark]]:
    """The marks of each model, in the order of their time."""
    marks: defaultdict[str, list[Mark]] = defaultdict(list)
    for message in (*result.drift, *result.retrain, *result.alerts):
        marks[message["model_name"]].append(_mark(message))
    for of_model in marks.values():
        of_model.sort(key=lambda mark: mark.time)
    return dict(marks)


def thinned(marks: Iterable[Mark]) -> list[Mark]:
    """At most about `MOST_MARKS` of each kind: of groups of equal size the first, the last and the extreme values."""
    by_kind: defaultdict[Kind, list[Mark]] = defaultdict(list)
    for mark in marks:
        by_kind[mark.kind].append(mark)
    return sorted((mark for some in by_kind.values() for mark in _thinned(some)), key=lambda mark: mark.time)


def _thinned(marks: list[Mark]) -> list[Mark]:
    if len(marks) <= MOST_MARKS:
        return marks
    rows: Rows = np.zeros((len(marks), 5))
    rows[:, NUMBER] = np.arange(len(marks))
    rows[:, VALUE] = rows[:, MEAN] = [mark.value or 0.0 for mark in marks]
    rows[:, TIME] = [mark.time for mark in marks]
    width = 4
    while len(kept := extremes(rows, width)) > MOST_MARKS:
        width *= 2
    return [marks[int(number)] for number in kept[:, NUMBER]]


def _mark(message: Mapping[str, Any]) -> Mark:
    kind, text = _KIND_OF[message["type"]](message)
    return Mark(
        kind,
        round(datetime.fromisoformat(message["timestamp"]).timestamp() * 1000),
        message["model_version"],
        message.get("metric") or "",
        message.get("segment") or "",
        message.get("value"),
        (message.get("window") or {}).get("mean"),
        text,
    )


def _drift(message: Mapping[str, Any]) -> tuple[Kind, str]:
    warns = message["severity"] == "warning"
    kind: Kind = "warning" if warns else "drift" if message["direction"] == "worse" else "better"
    verb = "warns" if warns else "fires"
    return kind, (
        f"{message['detector']} {verb}, {message['direction']}: "
        f"{message['statistic']:.4g} against {message['threshold']:.4g}"
    )


def _breach(message: Mapping[str, Any]) -> tuple[Kind, str]:
    return "breach", f"below the minimum of {message['threshold']:.6g}"


def _external(message: Mapping[str, Any]) -> tuple[Kind, str]:
    return "external", f"another monitor: p = {message['p_value']:.4g}"


def _retrain(message: Mapping[str, Any]) -> tuple[Kind, str]:
    return "retrain", message["reason"]


def _alert(message: Mapping[str, Any]) -> tuple[Kind, str]:
    kind: Kind = "alert" if message["state"] == "firing" else "resolved"
    return kind, f"{message['kind']}: {message['message']}"


_KIND_OF: Final = {
    "drift_detected": _drift,
    "threshold_breached": _breach,
    "external_drift": _external,
    "retrain_request": _retrain,
    "alert": _alert,
}
