"""What happened in a run, from the messages on the topics alone. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from statistics import fmean
from typing import Any, NamedTuple

from agents.demo.mistake import is_of_mistake
from agents.demo.plan import DEGRADED, FIRST_VERSION, FLEETS
from schemas.message import Message
from schemas.metrics import Metrics
from schemas.models import ModelAlias, ModelVersion
from schemas.trials import TrialResult, TrialState

#: Batches served with the new version before its accuracy is judged; enough for the monitor's new window to warm up.
RECOVERED_BATCHES = 35

#: The share of the lost accuracy that the new version must win back.
REGAINED = 0.75

KEPT_TOPICS = ("drift", "retrain", "trials", "models", "status", "alerts", "dead-letter")


class Reading(NamedTuple):
    """The accuracy of one batch."""

    timestamp: datetime
    version: str
    accuracy: float


@dataclass
class History:
    """Collects the messages of one run; `degrade_at` is the number of the first batch that a bad camera took."""

    degrade_at: int
    records: int = 0
    messages: dict[str, list[Message]] = field(default_factory=lambda: defaultdict(list))
    readings: dict[str, list[Reading]] = field(default_factory=lambda: {name: [] for name in FLEETS})

    def add(self, topic: str, message: Message) -> None:
        """Note one message of a topic (by its name in the registry)."""
        if topic != "metrics":
            self.messages[topic].append(message)
            return
        self.records += 1
        if isinstance(message, Metrics) and message.accuracy is not None:
            reading = Reading(message.timestamp, message.model_version, message.accuracy)
            self.readings[message.model_name].append(reading)

    @property
    def recovered_batches(self) -> int:
        """How many batches the degraded fleet has served with a version newer than its first."""
        return sum(reading.version != FIRST_VERSION for reading in self.readings[DEGRADED])

    @property
    def complete(self) -> bool:
        """Whether the loop has gone round, the new version has served long enough, and the mistake had its outcome."""
        judged = any(isinstance(message, ModelAlias) for message in self.of_mistake("models"))
        return judged and self.recovered_batches >= RECOVERED_BATCHES

    def of_loop(self, topic: str) -> list[Message]:
        """The messages of a topic but those that the mistake led to."""
        return [message for message in self.messages[topic] if not is_of_mistake(message)]

    def of_mistake(self, topic: str) -> list[Message]:
        """The messages of a topic that are the mistake, or that it led to."""
        return [message for message in self.messages[topic] if is_of_mistake(message)]

    @property
    def trials(self) -> list[TrialResult]:
        """The trials that have ended, but those of the mistake."""
        return [message for message in self.of_loop("trials") if isinstance(message, TrialResult)]

    @property
    def made(self) -> list[ModelVersion]:
        """The versions that the tuner made, in the order of registration."""
        versions = [message for message in self.messages["models"] if isinstance(message, ModelVersion)]
        return [version for version in versions if version.request_id is not None]

    def accuracy(self) -> dict[str, dict[str, float | None]]:
        """Mean accuracy of each fleet before the camera degraded, after, and since the new version serves.

        The periods are the degraded fleet's, and the same for all, so that the quiet fleets can be compared with it.
        None where a period has no batch.
        """
        taken = [reading.timestamp for reading in self.readings[DEGRADED] if reading.version != FIRST_VERSION]
        return {name: self._periods(readings, min(taken, default=None)) for name, readings in self.readings.items()}

    def _periods(self, readings: list[Reading], taken: datetime | None) -> dict[str, float | None]:
        after = readings[self.degrade_at :]
        return {
            "before": _mean(readings[: self.degrade_at]),
            "drifted": _mean(reading for reading in after if taken is None or reading.timestamp < taken),
            "recovered": _mean(reading for reading in after if taken is not None and reading.timestamp >= taken),
        }

    def faults(self, trials: int) -> list[str]:
        """What did not happen as it should, one line each; empty after a good run. `trials` is the least number."""
        drifted = sorted({message.model_name for message in self.messages["drift"]})
        requests, promoted, refused = len(self.of_loop("retrain")), self.decided(True), self.decided(False)
        tried = sum(trial.state is TrialState.COMPLETE for trial in self.trials)
        taken = {reading.version for reading in self.readings[DEGRADED]} - {FIRST_VERSION}
        checks = [
            (drifted == [DEGRADED], f"expected drift of {DEGRADED} alone, found {', '.join(drifted) or 'none'}"),
            (requests == 1, f"expected one retrain request, found {requests}"),
            (tried >= trials, f"expected {trials} complete trials, found {tried}"),
            (len(promoted) == 1, f"expected one version to be promoted, found {', '.join(promoted) or 'none'}"),
            (len(refused) == 1, f"expected one worse version to be refused, found {', '.join(refused) or 'none'}"),
            (len(taken) == 1, f"expected {DEGRADED} to take one new version, it took {len(taken)}"),
            (self._regained(), f"expected {DEGRADED} to win back {REGAINED:.0%} of the accuracy it lost"),
            (not self.messages["dead-letter"], f"expected no dead letters, found {len(self.messages['dead-letter'])}"),
        ]
        return [fault for good, fault in checks if not good]

    def decided(self, promoted: bool) -> list[str]:
        """The versions made from recent images that were promoted, or those made by mistake that were not."""
        return [
            version.version
            for version in self.made
            if version.promotion is not None
            and version.promotion.promoted is promoted
            and is_of_mistake(version) is not promoted
        ]

    def count(self, kind: str, **fields: Any) -> int:
        """How many messages of a type have these values in their fields."""
        found = (message for messages in self.messages.values() for message in messages if message.type == kind)
        return sum(all(getattr(message, name) == value for name, value in fields.items()) for message in found)

    def _regained(self) -> bool:
        before, drifted, recovered = self.accuracy()[DEGRADED].values()
        if before is None or drifted is None or recovered is None or before <= drifted:
            return False
        return recovered - drifted >= REGAINED * (before - drifted)


def _mean(readings: Iterable[Reading]) -> float | None:
    values = [reading.accuracy for reading in readings]
    return round(fmean(values), 4) if values else None
