"""For how long each model was in drift, from the monitor's statuses."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from schemas.fields import EPOCH
from schemas.status import ModelState, ModelStatus

_SECOND: Final = timedelta(seconds=1)


@dataclass(slots=True)
class TimeInDrift:
    """Adds up, by model, the events' time in which at least one rule of its newest version was in drift.

    `latest_ms`: the greatest event time of all models, in milliseconds; until then a drift lasts that has not ended.
    """

    latest_ms: int = 0
    _since: dict[str, datetime] = field(default_factory=dict)
    _total: dict[str, timedelta] = field(default_factory=dict)

    def take(self, status: ModelStatus) -> None:
        """Take in a status; those of a model in their order."""
        model, in_drift = status.model_name, any(rule.state is ModelState.DRIFT for rule in status.rules)
        if in_drift and model not in self._since:
            self._since[model] = status.timestamp
        elif not in_drift and model in self._since:
            self._count(model, status.timestamp, self._since.pop(model))

    def add(self, other: TimeInDrift) -> None:
        """Of another process, which had other models."""
        self.latest_ms = max(self.latest_ms, other.latest_ms)
        self._since |= other._since
        self._total |= other._total

    def seconds(self) -> dict[str, float]:
        """By model, in order of name; models that never were in drift are left out."""
        open_until = EPOCH + timedelta(milliseconds=max(self.latest_ms, 0))
        ended = TimeInDrift(self.latest_ms, {}, dict(self._total))
        for model, since in self._since.items():
            ended._count(model, open_until, since)
        return {model: total / _SECOND for model, total in sorted(ended._total.items())}

    def _count(self, model: str, until: datetime, since: datetime) -> None:
        # Time of a model may go back, for a status has its record's time.
        self._total[model] = self._total.get(model, timedelta()) + max(until - since, timedelta())
