"""`python -m benchmarks NAME [--json] [--records N] [--rounds N]`; NAME is a benchmark, `all` or `list`.

Those of detectors need no Kafka. The others use VISUTILITY_BOOTSTRAP_SERVERS, else start a real Kafka from jars (Java
17 and Maven).
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Annotated

import typer
from confluent_kafka import KafkaException
from rich.console import Console

from benchmarks.backtest import backtest
from benchmarks.calibration import calibration
from benchmarks.dashboard import dashboard
from benchmarks.detectors import detectors
from benchmarks.kafka import Kafka, real_kafka
from benchmarks.labelled import nab, predictions, turing
from benchmarks.latency import latency
from benchmarks.memory import memory
from benchmarks.recovery import recovery
from benchmarks.report import table
from benchmarks.run import Json, LocalRun, ProcessFailed, Run
from benchmarks.samplers import samplers
from benchmarks.scale import scale
from benchmarks.state import state
from benchmarks.study import study
from benchmarks.throughput import throughput
from benchmarks.tuning import tuning
from benchmarks.unlabelled import unlabelled
from streams.brokers.broker import BrokerError


@dataclass(frozen=True)
class Benchmark:
    """What `list` says of it, how many records it takes by default, and what does it."""

    summary: str
    records: int
    measure: Callable[[Run], Json]


@dataclass(frozen=True)
class LocalBenchmark:
    """One that needs no Kafka."""

    summary: str
    records: int
    measure: Callable[[LocalRun], Json]


BENCHMARKS: dict[str, Benchmark | LocalBenchmark] = {
    "throughput": Benchmark("records and outcomes a second, beside other stream processors", 1_000_000, throughput),
    "latency": Benchmark("from the producer's send to the drift event, read committed", 30_000, latency),
    "recovery": Benchmark("from an empty and from a kept disk to ready, beside stock Faust", 1_000_000, recovery),
    "scale": Benchmark("two workers with two partitions each, against one with four", 600_000, scale),
    "memory": Benchmark("memory of a worker that is kept busy for so many seconds", 600, memory),
    "tuning": Benchmark("what it costs to hand trials out over Kafka", 200, tuning),
    "study": Benchmark("the monitor's latency while the same worker runs a study's trials", 15_000, study),
    "dashboard": Benchmark(
        "the dashboard's API while records stream, and what it costs the monitor", 500_000, dashboard
    ),
    "backtest": Benchmark("events a second of a backtest, beside the live worker", 1_000_000, backtest),
    "samplers": LocalBenchmark(
        "trials until two well-known functions are close to their minimum, by sampler", 1, lambda run: samplers(run.say)
    ),
    "state": Benchmark("changelog bytes and CPU a record, by window and by number of models", 300_000, state),
    "detectors": LocalBenchmark("updates a second, beside river's and frouros' detectors", 1_000_000, detectors),
    "calibration": LocalBenchmark(
        "detectors' false alarms and delays; so many stationary values", 4_000_000, calibration
    ),
    "predictions": LocalBenchmark("drifts found on recorded predictions; so many values of each", 100_000, predictions),
    "nab": LocalBenchmark("labelled anomalies found in the Numenta series", 100_000, nab),
    "unlabelled": LocalBenchmark("accuracy estimated from scores alone, on NannyML's car loans", 50_000, unlabelled),
    "turing": LocalBenchmark("annotated changes found in the Turing series", 100_000, turing),
}


def main(
    name: Annotated[str, typer.Argument(help="A benchmark, all, or list.")] = "list",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    records: Annotated[int | None, typer.Option(min=100, help="Instead of each benchmark's own number.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Medians are of so many, taken in turns.")] = 3,
) -> None:
    """Measure. Progress goes to stderr."""
    if name == "list":
        _list(as_json)
        return
    if name not in ("all", *BENCHMARKS):
        raise typer.BadParameter(f"expected all, list or one of {', '.join(BENCHMARKS)}, got {name!r}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that broker and processes are stopped
    try:
        results = _measure(list(BENCHMARKS) if name == "all" else [name], records, rounds)
    except (BrokerError, KafkaException, ProcessFailed) as problem:
        typer.echo(str(problem), err=True)
        raise typer.Exit(1) from problem
    if as_json:
        print(json.dumps(results if name == "all" else results[name]))
        return
    for each, result in results.items():
        Console().print(table(each, result))


def _list(as_json: bool) -> None:
    summaries = {name: benchmark.summary for name, benchmark in BENCHMARKS.items()}
    if as_json:
        print(json.dumps(summaries))
    else:
        Console().print(table("benchmarks", dict(summaries)))


def _measure(names: list[str], records: int | None, rounds: int) -> dict[str, Json]:
    results = {}
    with ExitStack() as stack:
        kafka: Kafka | None = None
        for name in names:
            benchmark = BENCHMARKS[name]
            typer.echo(f"{name}: {benchmark.summary}", err=True)
            size = benchmark.records if records is None else records
            if isinstance(benchmark, LocalBenchmark):
                results[name] = benchmark.measure(LocalRun(size, rounds, _say))
                continue
            kafka = kafka or stack.enter_context(real_kafka())
            results[name] = benchmark.measure(Run(size, rounds, _say, kafka))
    return results


def _say(text: str) -> None:
    typer.echo(f"  {text}", err=True)


if __name__ == "__main__":
    typer.run(main)
