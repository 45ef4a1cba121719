"""The registry of topics: what is on each, how it is keyed and how long Kafka keeps it. Names have no prefix here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from schemas.alerts import AlertMessage
from schemas.audit import AuditMessage
from schemas.dead_letter import DeadLetterMessage
from schemas.drift import DriftMessage
from schemas.experiments import ExperimentMessage
from schemas.handling import HandlingMessage
from schemas.internal import InternalMessage
from schemas.message import Message
from schemas.metrics import MetricsMessage
from schemas.models import ModelMessage
from schemas.parse import Parser, classes_in, parser_for
from schemas.retrain import RetrainMessage
from schemas.status import StatusMessage
from schemas.trial_requests import TrialRequestMessage
from schemas.trials import TrialMessage

MODEL_KEY = "model name"


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One topic.

    `key` says what records are keyed by. `message` is the union of its message classes. With `partitions_like_metrics`
    it must have as many partitions as `metrics`, for a stage's state and inputs are partitioned together; else any
    number does, but it is created with at least `least_partitions`. `retention` is None where compaction alone decides
    what is kept.
    """

    name: str
    key: str
    message: Any
    partitions_like_metrics: bool
    cleanup: Literal["delete", "compact"]
    retention: timedelta | None
    least_partitions: int = 1

    @property
    def classes(self) -> list[type[Message]]:
        """The message classes that may be on the topic."""
        return classes_in(self.message)

    def parser(self) -> Parser:
        """A new parser of this topic's records; make one and keep it."""
        return parser_for(self.message)

    def config(self) -> dict[str, str]:
        """The topic's settings on a broker."""
        settings: dict[str, str] = {"cleanup.policy": self.cleanup}
        if self.retention is not None:
            settings["retention.ms"] = str(self.retention // timedelta(milliseconds=1))
        return settings


def _log(
    name: str, message: Any, days: int, *, key: str = MODEL_KEY, like_metrics: bool = True, least: int = 1
) -> TopicSpec:
    return TopicSpec(name, key, message, like_metrics, "delete", timedelta(days=days), least)


def _table(name: str, message: Any, *, key: str = MODEL_KEY, like_metrics: bool = True) -> TopicSpec:
    return TopicSpec(name, key, message, like_metrics, "compact", None)


TOPICS: dict[str, TopicSpec] = {
    spec.name: spec
    for spec in (
        _log("metrics", MetricsMessage, 7),
        _log("drift", DriftMessage, 30),
        _log("retrain", RetrainMessage, 30),
        # Keyed apart from the other topics, so that one model's trials spread over the runners; in a number of
        # partitions of which two, three, four or six runners get the same share each.
        _log("trial-requests", TrialRequestMessage, 7, key="trial id", like_metrics=False, least=12),
        _log("trials", TrialMessage, 30),
        _table("models", ModelMessage, key="NAME/VERSION, or NAME@ALIAS for an alias; partitioned by NAME"),
        _table("status", StatusMessage),
        _log("experiments", ExperimentMessage, 30, like_metrics=False),
        _log("alerts", AlertMessage, 30, like_metrics=False),
        _table("alert-handling", HandlingMessage, key="the mute's id, or one of model and kind", like_metrics=False),
        _log("dead-letter", DeadLetterMessage, 30, like_metrics=False),
        _log("audit", AuditMessage, 365, like_metrics=False),
    )
}


def internal_topic(stage: str) -> TopicSpec:
    """The topic of a stage's own: cuts, operator actions, and input records forwarded to their model's partition."""
    return _log(f"{stage}-internal", InternalMessage, 7)
