"""`visutility worker`: the stages, live, until told to stop."""

from __future__ import annotations

from typing import Annotated

import typer

from agents.cli import completing
from agents.cli.failures import BadInput
from agents.cli.options import Bootstrap, Config, brokers_of, settings_of
from streams.logs import configure_logging


def worker(
    config: Config = None,
    agents: Annotated[
        str | None,
        typer.Option(
            "--agents",
            help="What to run, of monitor, retrain, tuner and runner; without it all.",
            metavar="A,B",
            autocompletion=completing.agents,
        ),
    ] = None,
    bootstrap: Bootstrap = None,
) -> None:
    """Run the stages on Kafka, until SIGTERM or Ctrl-C.

    Workers of the same settings share the partitions; each needs a data folder of its own (VISUTILITY_DATA_DIR).

    Example: visutility worker --config visutility.toml --agents monitor,retrain --bootstrap kafka:9092
    """
    settings = settings_of(config, bootstrap, agents=agents)
    brokers = brokers_of(settings)
    configure_logging(settings.log_format, settings.log_level)

    from agents.notify.targets import AddressMissing
    from agents.worker import run_worker
    from streams.clients import check_security

    check_security(brokers)
    try:
        raise typer.Exit(run_worker(settings))
    except AddressMissing as problem:
        raise BadInput(str(problem)) from None
