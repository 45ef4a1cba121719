"""`python -m benchmarks NAME [--json] [--records N] [--rounds N]`; NAME is a benchmark, `all` or `list`.

With VISUTILITY_BOOTSTRAP_SERVERS that cluster is used, else a real Kafka is started from jars (Java 17 and Maven).
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import typer
from confluent_kafka import KafkaException
from rich.console import Console

from benchmarks.kafka import real_kafka
from benchmarks.latency import latency
from benchmarks.recovery import recovery
from benchmarks.report import table
from benchmarks.run import Json, ProcessFailed, Run
from benchmarks.samplers import samplers
from benchmarks.state import state
from benchmarks.throughput import throughput
from benchmarks.tuning import tuning
from streams.brokers.broker import BrokerError

SAMPLERS = "samplers"
"""The one benchmark that needs no Kafka."""


@dataclass(frozen=True)
class Benchmark:
    """What `list` says of it, how many records it takes by default, and what does it."""

    summary: str
    records: int
    measure: Callable[[Run], Json]


BENCHMARKS = {
    "throughput": Benchmark("records and outcomes a second, beside other stream processors", 1_000_000, throughput),
    "latency": Benchmark("from the producer's send to the drift event, read committed", 30_000, latency),
    "recovery": Benchmark("from an empty and from a kept disk to ready, beside stock Faust", 1_000_000, recovery),
    "tuning": Benchmark("what it costs to hand trials out over Kafka", 200, tuning),
    "state": Benchmark("changelog bytes and CPU a record, by window and by number of models", 300_000, state),
}


def main(
    name: Annotated[str, typer.Argument(help="A benchmark, all, or list.")] = "list",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    records: Annotated[int | None, typer.Option(min=1000, help="Instead of each benchmark's own number.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Medians are of so many, taken in turns.")] = 3,
) -> None:
    """Measure on a real Kafka. Progress goes to stderr."""
    if name == "list":
        _list(as_json)
        return
    if name not in ("all", SAMPLERS, *BENCHMARKS):
        raise typer.BadParameter(f"expected all, list or one of {SAMPLERS}, {', '.join(BENCHMARKS)}, got {name!r}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that broker and processes are stopped
    try:
        results = {} if name == SAMPLERS else _measure(list(BENCHMARKS) if name == "all" else [name], records, rounds)
    except (BrokerError, KafkaException, ProcessFailed) as problem:
        typer.echo(str(problem), err=True)
        raise typer.Exit(1) from problem
    if name in ("all", SAMPLERS):
        results[SAMPLERS] = samplers(lambda text: typer.echo(f"  {text}", err=True))
    if as_json:
        print(json.dumps(results if name == "all" else results[name]))
        return
    for each, result in results.items():
        Console().print(table(each, result))


def _list(as_json: bool) -> None:
    summaries = {name: benchmark.summary for name, benchmark in BENCHMARKS.items()}
    summaries[SAMPLERS] = "trials until two well-known functions are close to their minimum, by sampler"
    if as_json:
        print(json.dumps(summaries))
    else:
        Console().print(table("benchmarks", dict(summaries)))


def _measure(names: list[str], records: int | None, rounds: int) -> dict[str, Json]:
    results = {}
    with real_kafka() as kafka:
        for name in names:
            typer.echo(f"{name}: {BENCHMARKS[name].summary}", err=True)
            size = BENCHMARKS[name].records if records is None else records
            run = Run(kafka, size, rounds, lambda text: typer.echo(f"  {text}", err=True))
            results[name] = BENCHMARKS[name].measure(run)
    return results


if __name__ == "__main__":
    typer.run(main)
