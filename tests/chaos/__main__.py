"""`python -m tests.chaos`: faults by a seed on real Kafka.

The last lines are the figures, and the exit code tells the verdict.

Kafka runs from jars, so that it can be killed too; with VISUTILITY_BOOTSTRAP_SERVERS that cluster is used and spared.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from streams.brokers.broker import Broker
from streams.brokers.external import ExternalBroker
from streams.brokers.jars import JarsBroker
from tests.chaos.disk import can_mount
from tests.chaos.plan import plan
from tests.chaos.run import Run
from tests.loop.driving import Cluster


def main(
    seed: Annotated[int, typer.Option(help="Of the records and of the faults.")] = 1,
    kills: Annotated[int, typer.Option(min=1, help="SIGKILLs of workers; the other faults are in proportion.")] = 30,
    seconds: Annotated[float, typer.Option(min=0, help="Spread the faults over at least so many seconds.")] = 0.0,
) -> None:
    """Run workers through faults and tell whether a record was lost or counted twice."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no worker is left behind
    folder = Path(tempfile.mkdtemp(prefix="visutility-chaos-"))
    servers = os.environ.get("VISUTILITY_BOOTSTRAP_SERVERS")
    broker: Broker = ExternalBroker(servers) if servers else JarsBroker(folder / "kafka")
    typer.echo(f"seed {seed}; logs are in {folder}; Kafka: {servers or 'our own, which is killed too'}")
    with broker:
        cluster = Cluster(broker, f"chaos-{folder.name.rpartition('-')[2]}.", folder)
        figures = Run(
            cluster, seed, plan(seed, kills, broker_faults=not servers, disk_faults=can_mount()), typer.echo
        ).execute(seconds)
    if not figures.problems:
        shutil.rmtree(folder)
    typer.echo("\n".join(figures.lines()))
    raise typer.Exit(1 if figures.problems else 0)


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(main)
    app()
