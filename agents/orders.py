"""What people ask of the stages, as messages and records: on the command line and in the dashboard alike."""

from __future__ import annotations

from base64 import b64decode
from typing import Final, Literal, TypeVar

from pydantic import ValidationError

from agents.registry.actions import By
from schemas.dead_letter import DeadLetter
from schemas.ids import action_id
from schemas.internal import OperatorAction
from schemas.message import Message
from schemas.retrain import RetrainRequest

M = TypeVar("M", bound=Message)

BY_HAND: Final = "by-hand"
"""The rule and the metric of a request that no rule and no metric led to."""

RETIRING: Final = ("monitor", "retrain", "tuner")
"""The stages that forget a retired model."""


class OrderInvalid(ValueError):
    """What no message may hold: a name with control characters, a text that is too long. The text is one line."""


def retrain_request(model: str, version: str, by: By, request_id: str | None = None) -> RetrainRequest:
    """A request to train a model again, whatever cooldown and pauses say; the same id twice is one request.

    Raises `OrderInvalid`.
    """
    return made(
        RetrainRequest,
        event_id=request_id or action_id("retrain", model, version, by.actor, by.time.isoformat()),
        model_name=model,
        model_version=version,
        timestamp=by.time,
        rule=BY_HAND,
        metric=BY_HAND,
        reason=f"manual: asked for by {by.actor}" + (f": {by.note}" if by.note else ""),
        cause_ids=[],
        actor=by.actor,
    )


def order(action: Literal["pause", "resume", "retire"], model: str, by: By) -> OperatorAction:
    """An order to a stage about one model. Raises `OrderInvalid`."""
    identity = action_id(action, model, "", by.actor, by.time.isoformat())
    common = {"event_id": identity, "model_name": model, "timestamp": by.time}
    return made(OperatorAction, **common, action=action, actor=by.actor, note=by.note)


def made(kind: type[M], /, **fields: object) -> M:
    """A message of these fields. Raises `OrderInvalid` for what it may not hold."""
    try:
        return kind.model_validate(fields)
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        raise OrderInvalid(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def retried(letter: DeadLetter) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes]]] | None:
    """Key, value and headers of the record as it was first read; None if only its beginning was kept."""
    if letter.value_sha256 is not None:
        return None
    headers = [(name, content.encode()) for name, content in letter.headers.items()]
    return _bytes(letter.key), _bytes(letter.value), headers


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text)
