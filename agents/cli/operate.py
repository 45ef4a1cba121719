"""`visutility retrain`, `pause` and `resume`: what an operator asks of the retrain policy by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

import typer
from pydantic import ValidationError

from agents.cli.failures import BadInput
from agents.cli.options import (
    Actor,
    AsJson,
    Bootstrap,
    Config,
    Model,
    ModelVersionOption,
    Note,
    actor_of,
    brokers_of,
    settings_of,
)
from agents.cli.output import print_json, print_line
from agents.settings import Settings
from schemas.ids import action_id
from schemas.internal import OperatorAction
from schemas.message import Message
from schemas.retrain import RetrainRequest

BY_HAND = "by-hand"
"""The rule and the metric of a request that no rule and no metric led to."""


def retrain(
    model: Model,
    version: ModelVersionOption = "",
    note: Note = "",
    actor: Actor = None,
    request_id: Annotated[
        str | None,
        typer.Option("--id", help="The request's id; the same one twice is one request.", metavar="ID"),
    ] = None,
    config: Config = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Ask for a model to be trained again now; cooldown and pauses do not hold it back.

    Example: visutility retrain fraud-eu --note "new labels arrived" --bootstrap localhost:9092
    """
    settings = settings_of(config, bootstrap)
    who, time = actor_of(actor), datetime.now(UTC)
    request = made(
        RetrainRequest,
        event_id=request_id or action_id("retrain", model, version, who, time.isoformat()),
        model_name=model,
        model_version=version,
        timestamp=time,
        rule=BY_HAND,
        metric=BY_HAND,
        reason=f"manual: asked for by {who}" + (f": {note}" if note else ""),
        cause_ids=[],
        actor=who,
    )
    brokers_of(settings)
    known = _is_registered(settings, model)
    _publish(settings, "retrain", request, as_json)
    if not known and not as_json:
        print_line(f"no version of {model} is registered yet: if a tune rule matches it, this makes the first one")


def _is_registered(settings: Settings, model: str) -> bool:
    from agents.cli import kafka

    async def search() -> bool:
        async for _, message in kafka.messages(settings, "models"):
            if message is not None and message.model_name == model:
                return True
        return False

    return kafka.run(search(), settings)


def pause(
    model: Model,
    note: Note = "",
    actor: Actor = None,
    config: Config = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Make no retrain requests for a model, until resumed. It is watched as before.

    Example: visutility pause fraud-eu --note "the data centre moves"
    """
    order = order_of("pause", model, note, actor_of(actor))
    _publish(settings_of(config, bootstrap), "retrain-internal", order, as_json)


def resume(
    model: Model,
    note: Note = "",
    actor: Actor = None,
    config: Config = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Make retrain requests for a model again.

    Example: visutility resume fraud-eu
    """
    order = order_of("resume", model, note, actor_of(actor))
    _publish(settings_of(config, bootstrap), "retrain-internal", order, as_json)


def order_of(action: Literal["pause", "resume", "retire"], model: str, note: str, actor: str) -> Message:
    """An order of an operator to a stage. Raises BadInput for what no message may hold."""
    time = datetime.now(UTC)
    identity = action_id(action, model, "", actor, time.isoformat())
    common = {"event_id": identity, "model_name": model, "timestamp": time}
    return made(OperatorAction, **common, action=action, actor=actor, note=note)


def made(kind: type[Message], **fields: object) -> Message:
    """A message of these fields. Raises BadInput for what it may not hold."""
    try:
        return kind.model_validate(fields)
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        raise BadInput(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _publish(settings: Settings, topic: str, message: Message, as_json: bool) -> None:
    brokers_of(settings)
    from agents.cli import kafka

    kafka.run(kafka.publish(settings, [kafka.message_record(settings, topic, message)]), settings)
    if as_json:
        print_json({"topic": settings.topic_prefix + topic, "message": message.to_dict()})
    else:
        print_line(f"published {message.type} for {message.model_name} to {settings.topic_prefix}{topic}")
