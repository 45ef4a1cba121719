"""The metrics of stages in Prometheus' terms: read from their tallies when somebody asks, and only then.

    visutility_ready                             1 while every stage reads and works
    visutility_partitions{stage}                 partitions that this process owns
    visutility_records_total{stage}              input records in committed checkpoints
    visutility_outputs_total{stage,topic}        records published by them; dead letters have the topic dead-letter
    visutility_lag_records{stage,topic}          offsets of owned partitions there are to read
    visutility_delay_seconds{stage}              how old the newest processed record is, while there are more to read
    visutility_unwritten_bytes{stage}            memory of changes that RocksDB does not have
    visutility_unwritten_changelog_bytes{stage}  changelog that a start after a crash would read
    visutility_transaction_seconds{stage}        a checkpoint's transaction, a histogram
    visutility_checkpoint_seconds{stage}         the whole checkpoint: transaction and RocksDB, a histogram
    visutility_checkpoint_failures_total{stage}  checkpoints that failed and were made up for

What works beside the stages and reads topics as they do is told in the same way, as a stage of its own name. Labels are
names of stages, of topics of the registry and of topics that the settings name; models are in none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import accumulate
from typing import Protocol

from faust.types import TP
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from streams.tally import BOUNDS, Durations, Tally
from streams.worker import StreamWorker

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


class Counted(Protocol):
    """What is told of: a stage's engine, or something that reads topics beside the stages."""

    @property
    def tally(self) -> Tally:
        """What it has done."""
        ...

    @property
    def partitions(self) -> Collection[object]:
        """What of its topics this process owns."""
        ...

    def lag(self) -> Mapping[TP, int]:
        """How many offsets of each of these are there to read."""
        ...


class EngineCollector(Collector):
    """Tells of every stage of a worker, and of what is `beside` them, by name.

    Ask it on the worker's own event loop. `now` is in seconds since the epoch.
    """

    def __init__(
        self, worker: StreamWorker, prefix: str, now: Callable[[], float], beside: Mapping[str, Counted] | None = None
    ) -> None:
        self._worker, self._prefix, self._now, self._beside = worker, prefix, now, beside or {}

    def collect(self) -> Iterator[Family]:
        engines: dict[str, Counted] = {**self._worker.engines(), **self._beside}
        yield GaugeMetricFamily(
            "visutility_ready", "1 while every stage reads and works, else 0.", value=float(self._worker.ready)
        )
        yield self._gauge(
            "partitions", "Partitions that this process owns.", {s: len(each.partitions) for s, each in engines.items()}
        )
        records = CounterMetricFamily("visutility_records", "Input records in committed checkpoints.", labels=["stage"])
        outputs = CounterMetricFamily(
            "visutility_outputs",
            "Records published by committed checkpoints; dead letters have the topic dead-letter.",
            labels=["stage", "topic"],
        )
        failures = CounterMetricFamily(
            "visutility_checkpoint_failures", "Checkpoints that failed and were made up for.", labels=["stage"]
        )
        lag = GaugeMetricFamily(
            "visutility_lag_records", "Offsets of owned partitions there are to read.", labels=["stage", "topic"]
        )
        for stage, engine in engines.items():
            records.add_metric([stage], engine.tally.records)
            failures.add_metric([stage], engine.tally.failures)
            for topic, count in engine.tally.outputs.items():
                outputs.add_metric([stage, topic], count)
            for topic, behind in self._lag(engine).items():
                lag.add_metric([stage, topic], behind)
        yield from (records, outputs, failures, lag)
        yield self._gauge(
            "delay_seconds",
            "How old the newest processed record is, while there are more to read.",
            {s: self._delay(e) for s, e in engines.items()},
        )
        unwritten = {stage: engine.unwritten() for stage, engine in self._worker.engines().items()}
        yield self._gauge(
            "unwritten_bytes",
            "Memory of changes that RocksDB does not have.",
            {stage: each.memory for stage, each in unwritten.items()},
        )
        yield self._gauge(
            "unwritten_changelog_bytes",
            "Changelog that a start after a crash would read.",
            {stage: each.changelog for stage, each in unwritten.items()},
        )
        transactions = {stage: engine.tally.transactions for stage, engine in engines.items()}
        yield _histogram("transaction_seconds", "How long a checkpoint's transaction takes.", transactions)
        checkpoints = {stage: engine.tally.checkpoints for stage, engine in engines.items()}
        yield _histogram(
            "checkpoint_seconds", "How long a whole checkpoint takes: transaction and RocksDB.", checkpoints
        )

    def _lag(self, engine: Counted) -> Counter[str]:
        found = Counter[str]()
        for place, behind in engine.lag().items():
            found[place.topic.removeprefix(self._prefix)] += behind
        return found

    def _delay(self, engine: Counted) -> float:
        """Commit markers and the stage's own cuts are no records to wait for: hence inputs alone, and more than two."""
        inputs = (behind for place, behind in engine.lag().items() if not place.topic.endswith("-internal"))
        waits = any(behind > 2 for behind in inputs)
        return max(0.0, self._now() - engine.tally.newest / 1000) if waits and engine.tally.newest else 0.0

    @staticmethod
    def _gauge(name: str, text: str, by_stage: dict[str, float]) -> Family:
        family = GaugeMetricFamily(f"visutility_{name}", text, labels=["stage"])
        for stage, value in by_stage.items():
            family.add_metric([stage], value)
        return family


def _histogram(name: str, text: str, by_stage: dict[str, Durations]) -> Family:
    family = HistogramMetricFamily(f"visutility_{name}", text, labels=["stage"])
    for stage, durations in by_stage.items():
        counts = accumulate(durations.buckets)
        limits = [*map(str, BOUNDS), "+Inf"]
        family.add_metric([stage], list(zip(limits, map(float, counts), strict=True)), durations.total)
    return family
