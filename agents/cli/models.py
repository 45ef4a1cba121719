"""`visutility models`: the registry, and what people do to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from pydantic import ValidationError

from agents.cli.failures import BadInput, CommandFailed
from agents.cli.options import Actor, AsJson, Bootstrap, Config, Model, Note, actor_of, brokers_of, settings_of
from agents.cli.output import print_json, print_line, print_table
from agents.orders import RETIRING, order
from agents.registry import actions
from agents.registry.actions import ActionRefused, By, Change
from agents.registry.artifacts import ArtifactError, ArtifactStore
from agents.registry.view import NotFound, RegistryView
from agents.settings import Settings
from schemas.audit import ActionName
from schemas.models import CHALLENGER, CHAMPION, ModelVersion

if TYPE_CHECKING:
    from agents.cli.kafka import ToSend

T = TypeVar("T")

app = typer.Typer(help="The registry of model versions, and which of them is in service.", no_args_is_help=True)

Version = Annotated[str, typer.Argument(help="The version.", metavar="VERSION")]
Alias = Annotated[str, typer.Option("--alias", help="Which alias to set.", metavar="NAME")]


@app.command("list")
def list_models(config: Config = None, bootstrap: Bootstrap = None, as_json: AsJson = False) -> None:
    """Show every model: its champion, the newest version that was not promoted, and how many versions it has.

    Example: visutility models list --bootstrap localhost:9092
    """
    view = read_view(settings_of(config, bootstrap))
    rows = [_model(view, name) for name in view.models()]
    if as_json:
        print_json({"models": rows})
    elif rows:
        columns = ("model_name", "champion", "challenger", "latest", "versions", "state")
        print_table(columns, [[each or "—" for each in row.values()] for row in rows])
    else:
        print_line("no models are registered")


@app.command()
def show(
    model: Model,
    version: Annotated[str | None, typer.Argument(help="Only this version.", metavar="VERSION")] = None,
    config: Config = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Show a model's aliases and versions, in the order of registration, each with why it was promoted or not.

    Example: visutility models show digits --json
    """
    view = read_view(settings_of(config, bootstrap))
    versions = _found(lambda: view.versions(model) if version is None else [view.version(model, version)])
    aliases = view.aliases(model)
    if as_json:
        document = {name: alias.to_dict() for name, alias in aliases.items()}
        print_json({**_model(view, model), "aliases": document, "versions": [each.to_dict() for each in versions]})
        return
    named = {each.version: ", ".join(n for n, a in aliases.items() if a.version == each.version) for each in versions}
    columns = ("version", "registered", "aliases", "metrics", "promotion")
    print_table(columns, [(v.version, _time(v.timestamp), named[v.version], _metrics(v), _why(v)) for v in versions])
    for name, alias in aliases.items():
        print_line(f"{name}: {alias.version} since {_time(alias.timestamp)}; {alias.reason}")


@app.command()
def promote(
    model: Model,
    version: Version,
    alias: Alias = CHAMPION,
    note: Note = "",
    actor: Actor = None,
    config: Config = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Put a version in service, whatever its comparison with the champion said.

    Example: visutility models promote digits 4 --note "the test set was wrong" --bootstrap localhost:9092
    """
    settings, by = settings_of(config, bootstrap), _by(actor, note)
    _do(settings, ("promote", model), by, lambda view: actions.promote(view, model, version, by, alias), as_json)


@app.command()
def rollback(
    model: Model,
    alias: Alias = CHAMPION,
    note: Note = "",
    actor: Actor = None,
    config: Config = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Put the version in service that was before this one; once more, the one before that.

    Example: visutility models rollback digits --note "latency" --bootstrap localhost:9092
    """
    settings, by = settings_of(config, bootstrap), _by(actor, note)
    _do(settings, ("rollback", model), by, lambda view: actions.rollback(view, model, by, alias), as_json)


@app.command()
def retire(
    model: Model,
    note: Note = "",
    actor: Actor = None,
    config: Config = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Take a model out of service: no aliases any more, its alerts end, the stages forget it. Its versions stay listed.

    Stop its fleets first: records that still come begin a new history of a model of this name.

    Example: visutility models retire fraud-eu --note "replaced by fraud" --bootstrap localhost:9092
    """
    settings, by = settings_of(config, bootstrap), _by(actor, note)
    brokers_of(settings)
    from agents.cli import acting, kafka

    told = acting.valid(lambda _: order("retire", model, by), settings)
    orders = [kafka.message_record(settings, f"{stage}-internal", told) for stage in RETIRING]
    more = {"order": told.to_dict()}
    _do(settings, ("retire", model), by, lambda view: actions.retire(view, model, by), as_json, orders, more)


@app.command()
def register(
    model: Model,
    version: Version,
    artifact: Annotated[Path, typer.Argument(help="The file with the model.", metavar="FILE")],
    note: Note = "",
    actor: Actor = None,
    config: Config = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Register a version that was made elsewhere, and keep a copy of its file. `models promote` puts it in service.

    Example: visutility models register digits 1 model.joblib --bootstrap localhost:9092
    """
    settings, by = settings_of(config, bootstrap), _by(actor, note)
    brokers_of(settings)
    try:
        data = artifact.read_bytes()
    except OSError as problem:
        raise BadInput(f"{artifact}: cannot be read: {problem.strerror}") from None

    def change(view: RegistryView) -> list[Change]:
        stored = ArtifactStore(settings.artifact_folder).save(model, data)
        return [actions.register(view, model, version, (stored.url, stored.sha256), by)]

    _do(settings, ("register", model), by, change, as_json)


def read_view(settings: Settings) -> RegistryView:
    """The registry as it is now."""
    brokers_of(settings)
    from agents.cli import kafka

    return kafka.run(view_of(settings), settings)


async def view_of(settings: Settings) -> RegistryView:
    """The registry as it is now."""
    from agents.cli import kafka

    view = RegistryView()
    async for record, message in kafka.messages(settings, "models"):
        view.apply((record.key or b"").decode(errors="replace"), message)
    return view


def _do(
    settings: Settings,
    what: tuple[ActionName, str],
    by: By,
    change: Callable[[RegistryView], Sequence[Change]],
    as_json: bool,
    orders: Sequence[ToSend] = (),
    told: dict[str, Any] | None = None,
) -> None:
    """Change the registry and publish the orders, after a look at the registry as it is; `what` is done to whom."""
    brokers_of(settings)
    from agents.cli import acting, kafka

    async def look_and_write() -> Sequence[Change]:
        changes = change(await view_of(settings))
        action = acting.valid(lambda make: make.changed(*what, changes, by, acting.who(by.actor)), settings)
        await acting.publish(settings, [replace(action, records=[*orders, *action.records])])
        return changes

    changes = _found(lambda: kafka.run(look_and_write(), settings))
    messages = [each.message for each in changes if each.message is not None]
    if as_json:
        removed = [each.key for each in changes if each.message is None]
        print_json({"published": [each.to_dict() for each in messages], "removed": removed, **(told or {})})
        return
    for message in messages:
        alias = f"{message.alias}: " if hasattr(message, "alias") else ""
        print_line(f"{alias}{message.model_name} {message.model_version}; {_text(message)}")
    if orders:
        print_line(f"told {', '.join(record.topic for record in orders)}")


def _text(message: Any) -> str:
    return str(message.promotion.reason if isinstance(message, ModelVersion) and message.promotion else message.reason)


def _found(look: Callable[[], T]) -> T:
    """What a look at the registry gives; that something is not there is BadInput, a refusal CommandFailed."""
    try:
        return look()
    except NotFound as problem:
        raise BadInput(str(problem)) from None
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        raise BadInput(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except (ActionRefused, ArtifactError) as problem:
        raise CommandFailed(str(problem)) from None


def _by(actor: str | None, note: str) -> By:
    return By(actor_of(actor), datetime.now(UTC), note)


def _model(view: RegistryView, name: str) -> dict[str, Any]:
    aliases = view.aliases(name)
    pointed = {each: aliases[each].version if each in aliases else None for each in (CHAMPION, CHALLENGER)}
    try:
        versions = [each.version for each in view.versions(name)]
    except NotFound:
        versions = []
    state = "retired" if view.is_retired(name) else "in service" if pointed[CHAMPION] else "not in service"
    latest = versions[-1] if versions else None
    return {"model_name": name, **pointed, "latest": latest, "number_of_versions": len(versions), "state": state}


def _metrics(version: ModelVersion) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in version.metrics.items())


def _why(version: ModelVersion) -> str:
    return "" if version.promotion is None else version.promotion.reason


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}"
