"""Benchmarks one after the other: one that fails leaves the others, and is told of in the end."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Generic, Self, TypeVar

import typer
from confluent_kafka import KafkaException

from benchmarks.kafka import Kafka, real_kafka
from benchmarks.run import Json, LocalRun, NoData, ProcessFailed, Run
from streams.brokers.broker import BrokerError

R = TypeVar("R")


@dataclass(frozen=True)
class _Measured(Generic[R]):
    """What `list` says of it, its own size and the least that gives figures, in `unit`, and what does it."""

    summary: str
    size: int
    least: int
    measure: Callable[[R], Json]
    unit: str = "records"


class Benchmark(_Measured[Run]):
    """One on a Kafka."""


@dataclass(frozen=True)
class LocalBenchmark(_Measured[LocalRun]):
    """One that needs no Kafka. Those of recorded data have one size."""

    unit: str = "values"


Benchmarks = Mapping[str, Benchmark | LocalBenchmark]


@dataclass
class Measurement:
    """What was measured, in seconds each, and what was not and why. Use it as a context: it stops the Kafka it starts.

    A Kafka that cannot be started fails those that need it, each with the same line, and is not tried again.
    """

    benchmarks: Benchmarks
    rounds: int
    results: dict[str, Json] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    _open: ExitStack = field(default_factory=ExitStack)
    _kafka: Kafka | BrokerError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._open.close()
        except Exception as late:  # noqa: BLE001 - a broker that is gone must not cost the results
            say(f"what was made on Kafka is not removed: {_line(late)}")

    def take(self, name: str, size: int) -> Json | None:
        """Measure one; its result, or None where it failed or its data is not there."""
        benchmark = self.benchmarks[name]
        typer.echo(f"{name}: {benchmark.summary} ({size:,} {benchmark.unit})", err=True)
        begin = time.monotonic()
        try:
            self.results[name] = self._measure(benchmark, size)
        except NoData as problem:
            self.left_out[name] = str(problem)
            say(f"left out: {problem}")
        except Exception as problem:  # noqa: BLE001 - whatever it is, the others are measured
            if not isinstance(problem, (BrokerError, KafkaException, ProcessFailed)):
                traceback.print_exc()  # a fault of the benchmark itself
            self.failed[name] = _line(problem)
            say(f"failed: {self.failed[name]}")
        self.seconds[name] = time.monotonic() - begin
        say(f"{self.seconds[name]:.0f} s")
        return self.results.get(name)

    @property
    def not_measured(self) -> dict[str, str]:
        """Why there is no result of a benchmark, by its name."""
        return self.failed | self.left_out

    def told(self) -> list[str]:
        """What there is no result of, and how long it took."""
        minutes, done = sum(self.seconds.values()) / 60, len(self.results)
        slowest = sorted(self.seconds, key=lambda name: -self.seconds[name])[:3]
        most = ", ".join(f"{name} {self.seconds[name]:.0f} s" for name in slowest)
        peers = {f"{name}, {peer}": why for name in self.results for peer, why in self._skipped(name).items()}
        return [
            *(f"left out: {name}: {why}" for name, why in (self.left_out | peers).items()),
            *(f"failed: {name}: {why}" for name, why in self.failed.items()),
            f"{done} of {len(self.seconds)} benchmarks measured in {minutes:.1f} minutes (longest: {most})",
        ]

    def _skipped(self, name: str) -> dict[str, str]:
        """The peers that a result is without, and why."""
        return dict(self.results[name].get("skipped", {}))

    def _measure(self, benchmark: Benchmark | LocalBenchmark, size: int) -> Json:
        if isinstance(benchmark, LocalBenchmark):
            return benchmark.measure(LocalRun(size, self.rounds, say))
        return benchmark.measure(Run(size, self.rounds, say, self._real_kafka()))

    def _real_kafka(self) -> Kafka:
        if self._kafka is None:
            try:
                self._kafka = self._open.enter_context(real_kafka())
            except BrokerError as problem:
                self._kafka = problem
        if isinstance(self._kafka, BrokerError):
            raise self._kafka
        return self._kafka


def say(text: str) -> None:
    """Progress of a benchmark."""
    typer.echo(f"  {text}", err=True)


def _line(problem: BaseException) -> str:
    """Its message, on one line; with its kind, where that may be all it says."""
    known = isinstance(problem, (BrokerError, KafkaException, ProcessFailed))
    text = " ".join(str(problem).split())
    return text if known and text else f"{type(problem).__name__}: {text}"
