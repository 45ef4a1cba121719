"""What a backtest tells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from schemas.dead_letter import DeadLetter
from schemas.message import Message

M = TypeVar("M", bound=Message)


@dataclass
class BacktestResult:
    """What the stages said about the events; messages as JSON objects, as they would be on the topics.

    Each list is in the order of event time; what one model was told stays in its order. A dead letter's `topic` is the
    file's name, its `offset` the line; they are in that order. `seconds_in_drift`: by model, for how long, in the
    events' time, one of its rules was in drift.
    """

    events_read: int = 0
    dead_letters: list[dict[str, Any]] = field(default_factory=list)
    drift: list[dict[str, Any]] = field(default_factory=list)
    retrain: list[dict[str, Any]] = field(default_factory=list)
    alerts: list[dict[str, Any]] = field(default_factory=list)
    elapsed_seconds: float = 0.0
    events_per_second: float = 0.0
    seconds_in_drift: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The messages and what was read, as `visutility backtest --json` prints them."""
        document = asdict(self)
        del document["seconds_in_drift"]  # a part of the summary there
        return document


def in_time_order(*streams: Iterable[M]) -> list[M]:
    """Messages by event time, then model; those of one model in one stream keep their order even if time goes back.

    So the order does not depend on how models were batched or spread.
    """
    placed = []
    for stream_number, stream in enumerate(streams):
        latest: dict[str, datetime] = {}
        for number, message in enumerate(stream):
            model = message.model_name
            time = latest[model] = max(message.timestamp, latest.get(model, message.timestamp))
            placed.append((time, model, stream_number, number, message))
    return [message for *_, message in sorted(placed, key=lambda each: each[:4])]


def in_source_order(letters: Iterable[DeadLetter]) -> list[DeadLetter]:
    """Dead letters by file and line; of files of one name, in several folders, by time and value."""
    return sorted(
        letters,
        key=lambda letter: (letter.topic, letter.partition, letter.offset, letter.timestamp, letter.value or ""),
    )


def as_objects(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The messages as JSON objects."""
    return [message.to_dict() for message in messages]
