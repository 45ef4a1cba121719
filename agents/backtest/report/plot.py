"""The courses of the metrics as one picture, PNG or SVG, with matplotlib (the extra `report`)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import UTC
from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import numpy as np

from agents.backtest.report.document import Report, charted, models_of
from agents.backtest.report.history import Course
from agents.backtest.report.labelled import Window
from agents.backtest.report.marks import Kind, Mark, thinned
from agents.backtest.report.sampling import MEAN, STD, TIME, VALUE, in_time, longest_step
from schemas.fields import EPOCH

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Charts in a picture; of more, those of the models with the most findings.
MOST_CHARTS: Final = 24

#: Milliseconds: what matplotlib counts time in are days since the epoch.
_DAY: Final = 86_400_000

_LINES: Final = ("#0a66c2", "#0b7f75", "#8a5a00", "#a0307a", "#4b5bd1", "#4d7a1f")
_MARKS: Final[dict[Kind, tuple[str, str, str]]] = {
    "drift": ("o", "#cf222e", "drift, worse"),
    "better": ("o", "#1a7f37", "change for the better"),
    "warning": ("^", "#b07700", "warning"),
    "breach": ("v", "#c2500a", "below the minimum"),
}
_RETRAIN: Final = "#7a3ec8"

_STYLE: Final[dict[str, Any]] = {
    "svg.hashsalt": "visutility",
    "font.family": "DejaVu Sans",  # matplotlib brings it along, so that the picture is the same everywhere
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8a929c",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#dfe3e8",
    "timezone": "UTC",
}


def can_plot() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def plot(report: Report, kind: Literal["png", "svg"]) -> bytes:
    """The picture; the same for the same events, settings and matplotlib. Raises ImportError without matplotlib."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    models = models_of(report)
    chosen = charted(models, MOST_CHARTS)
    charts = [(model, of, courses) for model in models if model.name in chosen for of, courses in model.charts.items()]
    total = sum(len(model.charts) for model in models)
    with matplotlib.rc_context(cast(Any, _STYLE)), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name may have characters that the font lacks
        figure = Figure(figsize=(11, 1.1 + 2.1 * max(1, len(charts))), layout="constrained")
        FigureCanvasAgg(figure)
        figure.suptitle(_told(report.source, len(charts), total), fontsize=11, parse_math=False)
        for axes, (model, (metric, segment), courses) in zip(_rows(figure, len(charts)), charts, strict=False):
            title = " · ".join(part for part in (model.name, metric, segment) if part)
            axes.xaxis_date(UTC)
            axes.set_title(title, loc="left", fontsize=9, parse_math=False)
            _shade(axes, [window for window in report.windows.get(model.name, ()) if window.metric in ("", metric)])
            _draw(axes, courses)
            _mark(axes, model.of_chart(metric, segment), model.marks)
        _legend(figure)
        file = BytesIO()
        figure.savefig(file, format=kind, dpi=110, metadata={"Date": None} if kind == "svg" else {"Software": None})
    return file.getvalue()


def _told(source: str, drawn: int, total: int) -> str:
    return f"Backtest of {source}" + ("" if drawn == total else f": {drawn} of {total} charts, the most findings first")


def _rows(figure: Any, count: int) -> Sequence[Axes]:
    return list(figure.subplots(count, 1, squeeze=False)[:, 0]) if count else []


def _draw(axes: Axes, courses: Sequence[Course]) -> None:
    for number, course in enumerate(courses):
        rows = in_time(course.rows)
        # A line is broken by a row of NaN where nothing came for long.
        breaks = np.flatnonzero(np.diff(rows[:, TIME]) > longest_step(rows)) + 1
        rows = np.insert(rows, breaks, np.nan, axis=0)
        times = rows[:, TIME] / _DAY
        colour, around = _LINES[number % len(_LINES)], rows[:, STD] * (course.deviations or 1.0)
        label = f"version {course.key.version}" if len(courses) > 1 and number < len(_LINES) else "_"
        axes.plot(times, rows[:, MEAN], color=colour, linewidth=1.5, label=label)
        if not course.binary:
            axes.plot(times, rows[:, VALUE], color=colour, linewidth=0.5, alpha=0.5, label="_", zorder=1)
            low, high = axes.get_ylim()  # the band may be far wider than what it is about
            axes.fill_between(times, rows[:, MEAN] - around, rows[:, MEAN] + around, color=colour, alpha=0.13, lw=0)
            axes.set_ylim(low - 0.6 * (high - low), high + 0.6 * (high - low))
    for limit in courses[0].limits:
        axes.axhline(limit, color=_MARKS["breach"][1], linewidth=1, linestyle="--")
    if len(courses) > 1:
        axes.legend(loc="upper left", fontsize=7, frameon=False)


def _shade(axes: Axes, windows: Sequence[Window]) -> None:
    for begin, end, _ in windows:
        first, last = ((moment - EPOCH).total_seconds() * 1000 / _DAY for moment in (begin, end))
        axes.axvspan(first, last, facecolor="#d2992238", edgecolor="#b077008c", linewidth=0.7)


def _mark(axes: Axes, findings: Sequence[Mark], every: Sequence[Mark]) -> None:
    for mark in thinned(mark for mark in every if mark.kind == "retrain"):
        axes.axvline(mark.time / _DAY, color=_RETRAIN, linewidth=1, alpha=0.7)
    drawn = thinned(findings)
    for kind, (shape, colour, _) in _MARKS.items():
        points = [(mark.time / _DAY, mark.value) for mark in drawn if mark.kind == kind and mark.value is not None]
        face = "white" if kind == "better" else colour
        times, values = [time for time, _ in points], [value for _, value in points]
        axes.scatter(times, values, marker=shape, s=18, color=face, edgecolors=colour, zorder=3)


def _legend(figure: Any) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [
        Line2D([], [], color=_LINES[0], linewidth=0.6, label="values"),
        Line2D([], [], color=_LINES[0], linewidth=1.6, label="window mean"),
        Patch(color=_LINES[0], alpha=0.2, label="band"),
        Patch(facecolor="#d2992238", edgecolor="#b077008c", label="labelled"),
        Line2D([], [], color=_RETRAIN, label="retrain request"),
    ]
    handles += [
        Line2D([], [], color=colour, marker=shape, linestyle="", markersize=5, label=text,
               markerfacecolor="white" if kind == "better" else colour)
        for kind, (shape, colour, text) in _MARKS.items()
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
