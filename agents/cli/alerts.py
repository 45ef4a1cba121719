"""`visutility alerts`: what is open, and who is to be told of it no more for now."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agents.cli.failures import BadInput, CommandFailed
from agents.cli.options import Actor, AsJson, Bootstrap, Config, Model, Note, actor_of, brokers_of, settings_of
from agents.cli.output import print_json, print_line, print_table
from agents.dashboard.view import DashboardView, Record, open_alert, step
from agents.registry.actions import ActionRefused, By
from agents.settings import Settings
from schemas.handling import Mute
from streams.duration import format_duration, parse_duration

if TYPE_CHECKING:
    from agents.dashboard.access import Identity
    from agents.dashboard.actions import Action, Actions

app = typer.Typer(help="Alerts that are open; mute or acknowledge them.", no_args_is_help=True)

#: What tells which alerts are open, and what people said of them.
_TOPICS = ("status", "alerts", "alert-handling")


@app.command("list")
def list_alerts(
    model: Annotated[str | None, typer.Option("--model", help="Only this model's.", metavar="NAME")] = None,
    config: Config = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Show the alerts that have not resolved, newest first: whether they are muted, and who knows of them.

    Example: visutility alerts list --bootstrap localhost:9092
    """
    from agents.dashboard import answers

    view, now = _read(settings_of(config, bootstrap)), datetime.now(UTC)
    found = answers.alerts(view, None, True, 100_000, now).alerts
    chosen = [each for each in found if model in (None, each.model_name)]
    if as_json:
        print_json({"alerts": [each.model_dump(mode="json") for each in chosen]})
    elif chosen:
        rows = [(each.model_name, each.kind, each.severity, _handled(each), each.message) for each in chosen]
        print_table(("model", "kind", "severity", "handled", "what"), rows)
    else:
        print_line("no alerts are open")


@app.command()
def mutes(config: Config = None, bootstrap: Bootstrap = None, as_json: AsJson = False) -> None:
    """Show the mutes that have not ended: of what, until when, whose and why.

    Example: visutility alerts mutes
    """
    view, now = _read(settings_of(config, bootstrap)), datetime.now(UTC)
    found = view.handling.mutes(now)
    if as_json:
        print_json({"mutes": [each.to_dict() for each in found]})
    elif found:
        rows = [(each.event_id, _what(each), f"{each.until:%Y-%m-%d %H:%M}", each.owner, each.reason) for each in found]
        print_table(("id", "what", "until", "owner", "why"), rows)
    else:
        print_line("nothing is muted")


@app.command()
def mute(
    models: Annotated[str, typer.Argument(help="The models' names, as a pattern.", metavar="MODELS")],
    duration: Annotated[str, typer.Option("--for", help="How long: 30m, 2h, 3d; a year at most.", metavar="DURATION")],
    reason: Annotated[str, typer.Option("--reason", help="Why; others will read it.", metavar="TEXT")],
    kind: Annotated[str, typer.Option("--kind", help="Only these kinds of alerts.", metavar="PATTERN")] = "*",
    rule: Annotated[str, typer.Option("--rule", help="Only findings of these rules.", metavar="PATTERN")] = "*",
    owner: Annotated[str | None, typer.Option("--owner", help="Who answers for it; else the actor.")] = None,
    actor: Actor = None,
    config: Config = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Tell nobody of certain alerts for a while. They are recorded and shown as ever; what is open then is told.

    Example: visutility alerts mute 'fraud-*' --kind drift --for 2h --reason "new camera" --owner payments
    """
    from agents.dashboard.actions import Muting

    settings, by = settings_of(config, bootstrap), By(actor_of(actor), datetime.now(UTC), reason)
    try:
        muting = Muting(models, kind, rule, parse_duration(duration), owner or by.actor)
    except ValueError as problem:
        raise BadInput(f"--for: {problem}") from None
    _do(settings, lambda make, view: make.mute(view.handling, muting, by, _who(by)), as_json)
    if not as_json:
        print_line(f"muted for {format_duration(muting.duration)}: {models}, kind {kind}, rule {rule}")


@app.command()
def unmute(
    mute_id: Annotated[str, typer.Argument(help="Its id, as alerts mutes shows it.", metavar="ID")],
    note: Note = "",
    actor: Actor = None,
    config: Config = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """End a mute now: what is still open is told.

    Example: visutility alerts unmute 6f1c…-9b2e --note "it is mended"
    """
    settings, by = settings_of(config, bootstrap), By(actor_of(actor), datetime.now(UTC), note)
    _do(settings, lambda make, view: make.unmute(view.handling, mute_id, by, _who(by)), as_json)
    if not as_json:
        print_line(f"the mute {mute_id} has ended")


@app.command()
def acknowledge(
    model: Model,
    kind: Annotated[str, typer.Argument(help="The kind of alert, as alerts list shows it, or drift.", metavar="KIND")],
    note: Note = "",
    actor: Actor = None,
    config: Config = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Say of an open alert that you know of it: it is not told again until it has resolved.

    Example: visutility alerts acknowledge fraud-eu silence --note "the fleet restarts"
    """
    settings, by = settings_of(config, bootstrap), By(actor_of(actor), datetime.now(UTC), note)

    def make(actions: Actions, view: DashboardView) -> Action:
        found = open_alert(view, model, kind)
        if found is None:
            raise ActionRefused(f"no alert {kind!r} of {model!r} is open; alerts list shows those that are")
        return actions.acknowledge(found, kind, by, _who(by))

    _do(settings, make, as_json)
    if not as_json:
        print_line(f"acknowledged: {kind} of {model}")


def _do(settings: Settings, make: Callable[[Actions, DashboardView], Action], as_json: bool) -> None:
    """Make an action after a look at the topics, and publish it."""
    view = _read(settings)
    from agents.cli import acting, kafka

    try:
        action = acting.valid(lambda actions: make(actions, view), settings)
    except ActionRefused as problem:
        raise CommandFailed(str(problem)) from None
    kafka.run(acting.publish(settings, [action]), settings)
    if as_json:
        print_json(action.taken.to_dict())


def _who(by: By) -> Identity:
    from agents.cli import acting

    return acting.who(by.actor)


def _read(settings: Settings) -> DashboardView:
    """What the topics say of open alerts."""
    brokers_of(settings)
    from agents.cli import kafka

    async def read() -> DashboardView:
        view = DashboardView()
        for topic in _TOPICS:
            async for record, message in kafka.messages(settings, topic):
                key = (record.key or b"").decode(errors="replace")
                step(view, Record(topic, record.partition, record.offset, key, message, record.timestamp))
        return view

    return kafka.run(read(), settings)


def _handled(alert: Any) -> str:
    if alert.muted is not None:
        return f"muted until {alert.muted.until:%Y-%m-%d %H:%M} by {alert.muted.actor}"
    return f"acknowledged by {alert.acknowledged.actor}" if alert.acknowledged is not None else ""


def _what(muted: Mute) -> str:
    parts = [muted.model_name, *(f"{name} {value}" for name, value in (("kind", muted.kind), ("rule", muted.rule)))]
    return ", ".join(part for part in parts if not part.endswith(" *"))
