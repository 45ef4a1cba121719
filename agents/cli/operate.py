"""`visutility retrain`, `pause` and `resume`: what an operator asks of the retrain policy by hand."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import uuid4

import typer
from pydantic import ValidationError

from agents.cli.failures import BadInput
from agents.cli.options import AsJson, Bootstrap, Config, Model, Note, brokers_of, settings_of
from agents.cli.output import print_json, print_line
from agents.settings import Settings
from schemas.internal import OperatorAction
from schemas.message import Message
from schemas.retrain import RetrainRequest

BY_HAND = "by-hand"
"""The rule and the metric of a request that no rule and no metric led to."""


def retrain(
    model: Model,
    version: Annotated[str, typer.Option("--model-version", help="The version in use.", metavar="VERSION")] = "",
    note: Note = "",
    config: Config = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Ask for a model to be trained again now; cooldown and pauses do not hold it back.

    Example: visutility retrain fraud-eu --note "new labels arrived" --bootstrap localhost:9092
    """
    settings = settings_of(config, bootstrap)
    reason = f"asked by hand by {_actor()}" + (f": {note}" if note else "")
    common = {"event_id": str(uuid4()), "model_name": model, "model_version": version, "timestamp": datetime.now(UTC)}
    request = _made(RetrainRequest, **common, rule=BY_HAND, metric=BY_HAND, reason=reason, cause_ids=[])
    _publish(settings, "retrain", request, as_json)


def pause(
    model: Model, note: Note = "", config: Config = None, bootstrap: Bootstrap = None, as_json: AsJson = False
) -> None:
    """Make no retrain requests for a model, until resumed. It is watched as before.

    Example: visutility pause fraud-eu --note "the data centre moves"
    """
    _act("pause", model, note, settings_of(config, bootstrap), as_json)


def resume(
    model: Model, note: Note = "", config: Config = None, bootstrap: Bootstrap = None, as_json: AsJson = False
) -> None:
    """Make retrain requests for a model again.

    Example: visutility resume fraud-eu
    """
    _act("resume", model, note, settings_of(config, bootstrap), as_json)


def _act(action: Literal["pause", "resume"], model: str, note: str, settings: Settings, as_json: bool) -> None:
    common = {"event_id": str(uuid4()), "model_name": model, "timestamp": datetime.now(UTC)}
    order = _made(OperatorAction, **common, action=action, actor=_actor(), note=note)
    _publish(settings, "retrain-internal", order, as_json)


def _made(kind: type[Message], **fields: object) -> Message:
    try:
        return kind.model_validate(fields)
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        raise BadInput(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _actor() -> str:
    """Who asks: the user's name, or where the system knows none (a container) "unknown"."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def _publish(settings: Settings, topic: str, message: Message, as_json: bool) -> None:
    brokers_of(settings)
    from agents.cli import kafka

    kafka.run(kafka.publish(settings, [kafka.message_record(settings, topic, message)]), settings)
    if as_json:
        print_json({"topic": settings.topic_prefix + topic, "message": message.to_dict()})
    else:
        print_line(f"published {message.type} for {message.model_name} to {settings.topic_prefix}{topic}")
