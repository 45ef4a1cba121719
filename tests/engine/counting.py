"""A stage small enough to check by hand: it sums validation scores per model and tells every third sum."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from schemas.alerts import Alert
from schemas.ids import output_id
from schemas.message import InvalidMessage, Message
from schemas.metrics import ValidationScore
from streams.parts import Parts
from streams.records import Headers, Output, StoredRecord
from streams.stage import Event, Input

EVERY = 3


@dataclass
class Sum:
    """State of one model: how many scores, their sum, and when it wants to be woken."""

    key: str
    count: int = 0
    total: float = 0.0
    deadline: int | None = None


class SummingStage:
    """Scores above 1000 are its poison; a score below zero makes the model wait for that many milliseconds."""

    name = "summing"
    topics = ("metrics",)
    encoded_steps = None

    def decode(self, value: bytes | None, headers: Headers) -> Message:
        try:
            return ValidationScore.model_validate_json(value or b"")
        except ValueError as problem:
            raise InvalidMessage(f"not a score: {type(problem).__name__}") from None

    def decode_columns(self, values: Sequence[bytes | None]) -> None:
        """One by one: they are few."""

    def new_state(self, key: str, parts: Parts | None = None) -> Sum:
        return Sum(key)

    def step(self, state: Sum, inputs: Sequence[Input]) -> tuple[Sum, list[Output]]:
        outputs = []
        for each in inputs:
            if isinstance(each, Event):
                assert isinstance(each.message, ValidationScore)
                if each.message.score > 1000:
                    raise ArithmeticError("that is too much")
                state.count += 1
                state.total += each.message.score
                state.deadline = each.clock - int(each.message.score) if each.message.score < 0 else None
                if state.count % EVERY == 0:
                    outputs.append(self._tell(state, each.message, "sum"))
            else:
                state.deadline = None
                outputs.append(self._tell(state, None, "woken"))
        return state, outputs

    def encode_state(self, state: Sum) -> bytes | None:
        return f"{state.count} {state.total!r} {state.deadline or ''}".encode()

    def decode_state(self, key: str, data: bytes, parts: Parts | None = None) -> Sum:
        count, total, deadline = data.decode().split(" ")
        return Sum(key, int(count), float(total), int(deadline) if deadline else None)

    def deadline(self, state: Sum) -> int | None:
        return state.deadline

    def _tell(self, state: Sum, cause: Message | None, kind: str) -> Output:
        alert = Alert(
            event_id=output_id(self.name, state.key, "", "", "", "", kind, state.count),
            model_name=state.key,
            timestamp=datetime(2025, 1, 1, tzinfo=UTC) if cause is None else cause.timestamp,
            kind=kind,
            severity="info",
            state="firing",
            message=f"{state.total:g}",
        )
        return Output("alerts", state.key, alert)


def score_bytes(model: str, score: float, second: int = 0) -> bytes:
    """A validation score as a fleet would write it."""
    message = {"type": "validation_score", "model_name": model, "timestamp": 1_700_000_000 + second, "score": score}
    return json.dumps(message).encode()


def score(model: str, value: float, offset: int, partition: int = 0, headers: Headers = ()) -> StoredRecord:
    """A record of the metrics topic."""
    return StoredRecord(
        "metrics", partition, offset, 1_700_000_000_000, model.encode(), score_bytes(model, value), headers
    )
