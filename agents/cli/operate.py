"""`visutility retrain`, `pause` and `resume`: what an operator asks of the retrain policy by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Literal

import typer

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
from agents.orders import OrderInvalid, order, retrain_request
from agents.registry.actions import By
from agents.settings import Settings
from schemas.message import Message


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
    request = _valid(lambda: retrain_request(model, version, By(who, time, note), request_id))
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
    return _valid(lambda: order(action, model, By(actor, datetime.now(UTC), note)))


def _valid(make: Callable[[], Message]) -> Message:
    try:
        return make()
    except OrderInvalid as problem:
        raise BadInput(str(problem)) from None


def _publish(settings: Settings, topic: str, message: Message, as_json: bool) -> None:
    brokers_of(settings)
    from agents.cli import kafka

    kafka.run(kafka.publish(settings, [kafka.message_record(settings, topic, message)]), settings)
    if as_json:
        print_json({"topic": settings.topic_prefix + topic, "message": message.to_dict()})
    else:
        print_line(f"published {message.type} for {message.model_name} to {settings.topic_prefix}{topic}")
