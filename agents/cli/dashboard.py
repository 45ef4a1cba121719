"""`visutility dashboard`: the page and the API, from the topics alone; and tokens for them."""

from __future__ import annotations

import asyncio
import secrets
from typing import Annotated

import typer

from agents.cli.failures import BadInput, CommandFailed
from agents.cli.options import AsJson, Bootstrap, Config, actor_of, brokers_of, settings_of
from agents.cli.output import print_json, print_line
from streams.logs import configure_logging

app = typer.Typer(help="See how the models are doing, in a browser or over HTTP, and act.", invoke_without_command=True)


@app.callback()
def dashboard(
    context: typer.Context,
    port: Annotated[int | None, typer.Option("--port", help="0: any that is free.", min=0, max=65_535)] = None,
    host: Annotated[str | None, typer.Option("--host", help="Beyond the loopback only with tokens set.")] = None,
    config: Config = None,
    bootstrap: Bootstrap = None,
) -> None:
    """Serve the page and the API until SIGTERM or Ctrl-C. It owns no state: stop and start it as you like.

    Without tokens in the settings it listens on the loopback alone, where all may read; the address that it prints
    carries a token for this run with which you may act.

    Examples: visutility dashboard --bootstrap kafka:9092

    visutility dashboard token --name ada --role operate
    """
    if context.invoked_subcommand is not None:
        return
    settings = settings_of(config, bootstrap)
    brokers = brokers_of(settings)
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    settings = settings.model_copy(update={"dashboard": settings.dashboard.model_copy(update=given)})
    configure_logging(settings.log_format, settings.log_level)
    try:
        from agents.dashboard.access import AccessUnsafe
        from agents.dashboard.server import serve
        from streams.clients import check_security
    except ModuleNotFoundError as missing:
        needed = "pip install 'visutility-streams[dashboard]'"
        raise CommandFailed(f"{missing.name} is not installed: {needed}") from None
    check_security(brokers)
    try:
        asyncio.run(serve(settings, actor_of(None), lambda address: print_line(f"dashboard: {address}")))
    except AccessUnsafe as problem:
        raise BadInput(str(problem)) from None
    except KeyboardInterrupt:
        return


@app.command()
def token(
    name: Annotated[str, typer.Option("--name", help="Who gets it; actions carry this name.", metavar="NAME")],
    role: Annotated[str, typer.Option("--role", help="read or operate.", metavar="ROLE")] = "read",
    as_json: AsJson = False,
) -> None:
    """Make a token, and the lines of the settings that let it in. The token is shown once and kept nowhere.

    Example: visutility dashboard token --name ada --role operate
    """
    from pydantic import ValidationError

    from agents.dashboard.access import hashed
    from agents.settings.dashboard import DashboardToken

    made = secrets.token_urlsafe(32)
    try:
        kept = DashboardToken.model_validate({"name": name, "role": role, "sha256": hashed(made)})
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        raise BadInput(f"--{first['loc'][0]}: {first['msg']}") from None
    if as_json:
        print_json({"token": made, **kept.model_dump()})
        return
    print_line(f"The token, for {name} alone, shown this once: {made}")
    print_line("What lets it in, for visutility.toml:")
    print_line("[[dashboard.tokens]]")
    for key, value in kept.model_dump().items():
        print_line(f'{key} = "{_escaped(value)}"')


def _escaped(text: str) -> str:
    """As TOML writes it in quotes; names hold no control characters."""
    return text.replace("\\", "\\\\").replace('"', '\\"')
