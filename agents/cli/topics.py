"""`visutility topics`: the topics that the settings want, and those that are there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from agents.cli.failures import BadInput, CommandFailed
from agents.cli.options import AsJson, Bootstrap, Config, brokers_of, settings_of
from agents.cli.output import print_json, print_line, print_table
from agents.settings import STAGES, Settings
from streams.security import UNKNOWN_PRINCIPAL

if TYPE_CHECKING:
    from streams.topics import WantedTopic

T = TypeVar("T")

app = typer.Typer(help="The topics that the settings ask for.", no_args_is_help=True)


@app.command("list")
def list_topics(config: Config = None, as_json: AsJson = False) -> None:
    """Show the topics that the settings ask for; needs no broker.

    Example: visutility topics list --config visutility.toml
    """
    rows = [_described(topic) for topic in _wanted(settings_of(config))]
    if as_json:
        print_json({"topics": rows})
    else:
        columns = ("name", "partitions", "cleanup", "retention_ms")
        print_table(columns, [[row[column] or "" for column in columns] for row in rows])


@app.command()
def create(config: Config = None, bootstrap: Bootstrap = None, as_json: AsJson = False) -> None:
    """Create the topics that are missing; those that are there stay as they are.

    Example: visutility topics create --bootstrap localhost:9092
    """
    settings = settings_of(config, bootstrap)
    brokers = brokers_of(settings)
    from streams.topics import create_topics

    created = _run(create_topics(brokers, _wanted(settings), replication_factor=settings.replication_factor))
    if as_json:
        print_json({"created": created})
    else:
        print_line("\n".join(f"created {name}" for name in created) or "all topics are there")


@app.command()
def check(config: Config = None, bootstrap: Bootstrap = None, as_json: AsJson = False) -> None:
    """Compare the topics on the broker with the settings. Exit status 1 if something is amiss.

    Example: visutility topics check --bootstrap localhost:9092
    """
    settings = settings_of(config, bootstrap)
    brokers = brokers_of(settings)
    from streams.topics import check_topics

    problems = _run(check_topics(brokers, _wanted(settings)))
    if as_json:
        print_json({"problems": problems})
    else:
        print_line("\n".join(problems) or "all topics are as the settings want them")
    if problems:
        raise CommandFailed(f"topics at {brokers}: {len(problems)} amiss; the first: {problems[0]}")


@app.command()
def acls(
    principal: Annotated[
        str, typer.Option("--principal", help="To whom they are granted.", metavar="User:NAME")
    ] = UNKNOWN_PRINCIPAL,
    role: Annotated[
        str, typer.Option("--role", help="worker, dashboard, fleet, operator or recorder.", metavar="ROLE")
    ] = "worker",
    config: Config = None,
    bootstrap: Bootstrap = None,
    agents: Annotated[str | None, typer.Option("--agents", help="Of a worker: what it runs.", metavar="A,B")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the kafka-acls lines for what a role needs with these settings, and nothing more; needs no broker.

    Examples: visutility topics acls --principal User:monitor --agents monitor,retrain --bootstrap kafka:9093

    visutility topics acls --role dashboard --principal User:dashboard
    """
    settings = settings_of(config, bootstrap, agents=agents)
    from agents.rights import ROLES, rights_of
    from streams.grants import acl_lines

    chosen = next((each for each in ROLES if each == role), None)
    if chosen is None:
        raise BadInput(f"--role: expected one of {', '.join(ROLES)}, got {role!r}")
    grants = rights_of(chosen, settings)
    if as_json:
        print_json({"principal": principal, "role": role, "rights": [asdict(grant) for grant in grants]})
    else:
        for line in acl_lines(grants, principal, settings.bootstrap_servers or "HOST:PORT"):
            print(line)


def _wanted(settings: Settings) -> list[WantedTopic]:
    """The topics of all stages, whichever this worker runs: they belong to the same prefix."""
    from streams.settings import EngineSettings
    from streams.topics import wanted_topics

    engine = EngineSettings(
        bootstrap_servers=settings.bootstrap_servers or "",
        topic_prefix=settings.topic_prefix,
        partitions=settings.partitions,
    )
    return wanted_topics(engine, STAGES, settings.topic_states)


def _described(topic: WantedTopic) -> dict[str, Any]:
    """`any_partitions`: another number than `partitions` will do as well."""
    retention = topic.config.get("retention.ms")
    return {
        "name": topic.name,
        "partitions": topic.partitions,
        "any_partitions": not topic.exact,
        "cleanup": topic.config.get("cleanup.policy"),
        "retention_ms": None if retention is None else int(retention),
    }


def _run(work: Coroutine[Any, Any, T]) -> T:
    from streams.topics import TopicsUnfit

    # The client reports each failed attempt; the command says once what they came to.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        return asyncio.run(work)
    except TopicsUnfit as problem:
        raise CommandFailed(str(problem)) from None
