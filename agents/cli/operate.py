"""`visutility retrain`, `pause` and `resume`: what an operator asks of the retrain policy by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

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
from agents.registry.actions import By
from agents.settings import Settings

if TYPE_CHECKING:
    from agents.dashboard.access import Identity
    from agents.dashboard.actions import Action, Actions


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
    by = By(actor_of(actor), datetime.now(UTC), note)
    action = _made(settings, by, lambda make, who: make.retrain(model, version, by, who, request_id))
    brokers_of(settings)
    known = _is_registered(settings, model)
    _publish(settings, action, as_json)
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
    settings, by = settings_of(config, bootstrap), By(actor_of(actor), datetime.now(UTC), note)
    _publish(settings, _made(settings, by, lambda make, who: make.pause(model, by, who)), as_json)


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
    settings, by = settings_of(config, bootstrap), By(actor_of(actor), datetime.now(UTC), note)
    _publish(settings, _made(settings, by, lambda make, who: make.resume(model, by, who)), as_json)


def _made(settings: Settings, by: By, make: Callable[[Actions, Identity], Action]) -> Action:
    """An action of somebody on the command line. Raises BadInput for what no message may hold."""
    from agents.cli import acting

    return acting.valid(lambda actions: make(actions, acting.who(by.actor)), settings)


def _publish(settings: Settings, action: Action, as_json: bool) -> None:
    brokers_of(settings)
    from agents.cli import acting, kafka

    kafka.run(acting.publish(settings, [action]), settings)
    (record,) = action.records
    message = json.loads(record.value or b"{}")
    if as_json:
        print_json({"topic": record.topic, "message": message, "audit": action.taken.to_dict()})
    else:
        print_line(f"published {message['type']} for {message['model_name']} to {record.topic}")
