"""`visutility demo`: the whole loop on a real model and real images."""

from __future__ import annotations

from typing import Annotated

import typer

from agents.cli.options import AsJson


def demo(
    broker: Annotated[
        str,
        typer.Option("--broker", help="auto, embedded (in this process), or a Kafka's HOST:PORT.", metavar="WHICH"),
    ] = "auto",
    seed: Annotated[int, typer.Option("--seed", help="Of the images' order and the trials.", min=0)] = 0,
    as_json: AsJson = False,
) -> None:
    """See a model drift, and the system notice, retune and recover. Under a minute; needs nothing but Python.

    Examples: visutility demo

    visutility demo --broker localhost:9092 --seed 7 --json
    """
    from agents.demo.run import run_demo

    raise typer.Exit(run_demo(broker=broker, seed=seed, json_output=as_json))
