"""Predictions and labels that come apart, joined for the history as the monitor joins them."""

from __future__ import annotations

from agents.monitor.joining import MOST_PER_RECORD, Join, Joined, Waiting
from schemas.metrics import Label, Prediction
from streams.parts import MemoryTable, Parts


class LatePairs:
    """The halves of one model that wait. `now` is its greatest event time, in microseconds since the epoch."""

    def __init__(self, horizon: int, limit: int) -> None:
        self._join = Join(Waiting(), Parts(MemoryTable()), horizon, limit)

    def take(self, half: Prediction | Label, labels: dict[str, str], now: int) -> Joined | None:
        """Take in a prediction or a label; the pair if its other half waits. `labels` are those that name segments."""
        self._join.expire(now, MOST_PER_RECORD, _uncounted)
        return self._join.take(half, labels, now, _uncounted)


def _uncounted(kind: str, by: int) -> None:
    """The status counts what waits; a report does not."""
