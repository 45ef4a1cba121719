"""The newest values of one model's metrics, for its chart, each with the window that ends there. Pure.

`status` and `drift` tell of windows only where something changed, which is too seldom for a line; so the values
themselves are read from `metrics`, for those models alone that somebody looks at (`tail.py`), and their windows are
computed here by what the monitor itself computes them with. A window begins with the oldest value that was read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import datetime
from itertools import groupby
from typing import Final, NamedTuple

from agents.dashboard.documents import Point, Points
from agents.monitor.plan import ERROR
from agents.monitor.readings import readings
from schemas.message import Message
from streams.windows import CountWindow

KEPT_VALUES: Final = 2_000
"""Values kept of each metric: more than a screen has pixels."""

KEPT_METRICS: Final = 50

LARGEST_WINDOW: Final = KEPT_VALUES
"""A larger window's numbers cannot be had from the values that are kept: it is shown as one of this size."""


class Value(NamedTuple):
    """One value of a metric."""

    timestamp: datetime
    version: str
    value: float


class Series:
    """The newest values of each metric of one model, in the order in which they were read."""

    def __init__(self) -> None:
        self._values: dict[str, deque[Value]] = {}
        self.complete = True

    def take(self, message: Message) -> bool:
        """Add what a message on `metrics` says; False if that is no number."""
        found = readings(message, True, ((ERROR, 1),), ())
        for metric, values in found:
            kept = self._values.get(metric)
            if kept is None:
                if len(self._values) >= KEPT_METRICS:
                    continue
                kept = self._values[metric] = deque(maxlen=KEPT_VALUES)
            kept.extend(Value(message.timestamp, message.model_version, value) for value in values[-KEPT_VALUES:])
        return bool(found)

    @property
    def metrics(self) -> list[str]:
        """The metrics that came, in alphabetical order."""
        return sorted(self._values)

    def points(self, model: str, metric: str | None, size: int, limit: int) -> Points:
        """The newest values of a metric (None: of the first there is) with windows of `size` values, oldest first."""
        chosen = metric if metric is not None else next(iter(self._values), None)
        size = min(max(size, 2), LARGEST_WINDOW)
        values = list(_with_windows(list(self._values.get(chosen or "", ())), size))
        return Points(
            model_name=model,
            metric=chosen,
            metrics=self.metrics,
            size=size,
            complete=self.complete,
            points=[
                Point(timestamp=each.timestamp, model_version=each.version, value=each.value, mean=mean, std=std)
                for each, mean, std in values[-limit:]
            ],
        )


def _with_windows(values: list[Value], size: int) -> Iterator[tuple[Value, float, float]]:
    """Windows are those of one version; where two serve at once, each has its own."""
    windows: dict[str, CountWindow] = {}
    for version, run in groupby(values, key=lambda each: each.version):
        window = windows.setdefault(version, CountWindow(size))
        together = list(run)
        pushed = window.push_many([each.value for each in together])
        yield from zip(together, pushed.mean.tolist(), pushed.std.tolist(), strict=True)
