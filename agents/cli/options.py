"""Options that several commands share, and the settings they amount to."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated, Any

import typer

from agents.cli.failures import BadInput
from agents.settings import Settings, load_settings
from streams.security import Connection

Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Settings file; without it visutility.toml, if there is one.", metavar="FILE"),
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", help="One setting by its path: monitor[0].detector.threshold=2.5", metavar="PATH=VALUE"),
]
Bootstrap = Annotated[
    str | None,
    typer.Option("--bootstrap", help="Kafka brokers, in place of bootstrap_servers.", metavar="HOST:PORT[,…]"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, and nothing else there.")]
Model = Annotated[str, typer.Argument(help="The model's name.", metavar="MODEL")]
Note = Annotated[str, typer.Option("--note", help="Why; it travels with the message.", metavar="TEXT")]

Actor = Annotated[
    str | None, typer.Option("--actor", help="Who asks, for the record; without it the login name.", metavar="NAME")
]
ModelVersionOption = Annotated[str, typer.Option("--model-version", help="The version in use.", metavar="VERSION")]


def actor_of(actor: str | None) -> str:
    """Who asks: as given, or the login name, or where the system knows none (a container) "unknown"."""
    if actor is not None:
        return actor
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def settings_of(config: Path | None, bootstrap: str | None = None, **overrides: Any) -> Settings:
    """The settings of file, environment and options. Raises SettingsError."""
    return load_settings(config, bootstrap_servers=bootstrap, **overrides)


def brokers_of(settings: Settings) -> Connection:
    """The brokers to talk to, and how; as a text it is their addresses. Raises BadInput if none are set."""
    if settings.bootstrap_servers is None:
        raise BadInput(
            "no broker: give --bootstrap HOST:PORT, or set bootstrap_servers or VISUTILITY_BOOTSTRAP_SERVERS"
        )
    return Connection(settings.bootstrap_servers, settings.security)
