"""`python -m benchmarks NAME [--json] [--records N | --share S] [--rounds N]`; NAME is a benchmark, `all` or `list`.

Those of detectors need no Kafka. The others use VISUTILITY_BOOTSTRAP_SERVERS, else start a real Kafka from jars (Java
17 and Maven).
"""

from __future__ import annotations

import json
import signal
import sys
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.backtest import backtest
from benchmarks.calibration import STATIONARY, calibration
from benchmarks.dashboard import dashboard
from benchmarks.detectors import detectors
from benchmarks.in_short import in_short
from benchmarks.labelled import nab, predictions, turing
from benchmarks.latency import latency
from benchmarks.measurement import Benchmark, LocalBenchmark, Measurement
from benchmarks.memory import memory
from benchmarks.recovery import recovery
from benchmarks.report import table
from benchmarks.samplers import samplers
from benchmarks.scale import scale
from benchmarks.state import state
from benchmarks.study import study
from benchmarks.throughput import throughput
from benchmarks.tuning import FEWEST_TRIALS, tuning
from benchmarks.unlabelled import unlabelled

BENCHMARKS: dict[str, Benchmark | LocalBenchmark] = {
    "throughput": Benchmark(
        "records and outcomes a second, beside other stream processors", 1_000_000, 20_000, throughput
    ),
    "latency": Benchmark("from the producer's send to the drift event, read committed", 30_000, 1_000, latency),
    "recovery": Benchmark(
        "from an empty and from a kept disk to ready, beside stock Faust", 1_000_000, 20_000, recovery
    ),
    "scale": Benchmark("two workers with two partitions each, against one with four", 1_200_000, 20_000, scale),
    "memory": Benchmark("memory of a worker that is kept busy", 600, 20, memory, "seconds"),
    "tuning": Benchmark("what it costs to hand trials out over Kafka", 200, FEWEST_TRIALS, tuning, "trials"),
    "study": Benchmark("the monitor's latency while the same worker runs a study's trials", 15_000, 1_000, study),
    "dashboard": Benchmark(
        "the dashboard's API while records stream, and what it costs the monitor", 500_000, 20_000, dashboard
    ),
    "backtest": Benchmark("a backtest's events a second, beside the live worker's", 1_000_000, 20_000, backtest),
    "state": Benchmark("changelog bytes and CPU a record, by window and by number of models", 1_500_000, 10_000, state),
    "samplers": LocalBenchmark(
        "trials until two well-known functions are close to their minimum, by sampler", 20, 1, samplers, "seeds"
    ),
    "detectors": LocalBenchmark(
        "updates a second, beside river's and frouros' detectors", 1_000_000, 100_000, detectors
    ),
    "calibration": LocalBenchmark(
        "detectors' false alarms and delays on made values", 4_000_000, 2 * STATIONARY, calibration
    ),
    "predictions": LocalBenchmark("drifts found on recorded predictions", 100_000, 100_000, predictions),
    "nab": LocalBenchmark("labelled anomalies found in the Numenta series", 100_000, 100_000, nab),
    "unlabelled": LocalBenchmark(
        "accuracy estimated from scores alone, on NannyML's car loans", 50_000, 50_000, unlabelled
    ),
    "turing": LocalBenchmark("annotated changes found in the Turing series", 100_000, 100_000, turing),
}


def main(
    name: Annotated[str, typer.Argument(help="A benchmark, all, or list.")] = "list",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    records: Annotated[
        int | None, typer.Option(min=1, help="How many, instead of the benchmark's own number; not with `all`.")
    ] = None,
    share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="This share of each benchmark's own number, or its least.")
    ] = 1.0,
    rounds: Annotated[int, typer.Option(min=1, help="Medians are of so many, taken in turns.")] = 3,
) -> None:
    """Measure. Progress goes to stderr. Exit code 1 if a benchmark failed; `all` measures the others all the same."""
    if name == "list":
        _list(as_json)
        return
    if name not in ("all", *BENCHMARKS):
        raise typer.BadParameter(f"expected all, list or one of {', '.join(BENCHMARKS)}, got {name!r}")
    if name == "all" and records is not None:
        raise typer.BadParameter("--records is for one benchmark: some count seconds or trials; use --share 0.02")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that broker and processes are stopped
    sizes = {each: _size(each, records, share) for each in (BENCHMARKS if name == "all" else [name])}
    if share < 1.0:
        typer.echo(f"at most {share:g} of each size: whether all of it runs. Rates are those of starts", err=True)
    with Measurement(BENCHMARKS, rounds) as measurement:
        try:
            for each, size in sizes.items():
                result = measurement.take(each, size)
                if result is not None and not as_json:
                    Console().print(table(each, result))
        finally:  # an interrupted one tells what it has, too
            _conclude(measurement, name, as_json)
    if measurement.failed or name in measurement.left_out:
        raise typer.Exit(1)


def _size(name: str, records: int | None, share: float) -> int:
    benchmark = BENCHMARKS[name]
    if records is None:
        return max(benchmark.least, int(benchmark.size * share))
    if records < benchmark.least:
        raise typer.BadParameter(f"{name} needs at least {benchmark.least:,} {benchmark.unit}, got {records:,}")
    return records


def _list(as_json: bool) -> None:
    summaries = {name: benchmark.summary for name, benchmark in BENCHMARKS.items()}
    if as_json:
        print(json.dumps(summaries))
    else:
        Console().print(table("benchmarks", dict(summaries)))


def _conclude(measurement: Measurement, name: str, as_json: bool) -> None:
    """The document, where one is wanted; and the last lines, which of `all` are the figures in short."""
    results = measurement.results
    if name == "all" and as_json:
        print(
            json.dumps(results | {"seconds": measurement.seconds, "not_measured": measurement.not_measured}), flush=True
        )
    elif as_json and name in results:
        print(json.dumps(results[name]))
    elif name == "all":
        print("\nIn short", *in_short(results), sep="\n", flush=True)
    for line in measurement.told() if name == "all" else ():
        typer.echo(line, err=True)


if __name__ == "__main__":
    typer.run(main)
