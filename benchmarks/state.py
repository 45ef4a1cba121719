"""What state costs: changelog bytes and CPU a record, by the window's size and by the number of models."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.measured_worker import Job, Result
from benchmarks.run import Json, Run, median
from benchmarks.traffic import MODELS, in_turn, metrics, names, states, zipf


@dataclass(frozen=True)
class Case:
    """All windows are full from the beginning, as they are of a worker that has run for long."""

    name: str
    window: int
    models: int
    order: Callable[[int, int], Iterator[str]] = in_turn


CASES = (
    Case("window 500", 500, MODELS),
    Case("window 5,000", 5_000, MODELS),
    Case("100 models", 500, 100),
    Case("10,000 models", 500, 10_000),
    Case("10,000 models, Zipf", 500, 10_000, zipf),
)


def state(run: Run) -> Json:
    """Each case in turn, a round after the other."""
    results, growth = defaultdict[str, list[Result]](list), defaultdict[str, list[float]](list)
    inputs = {case: _fill_input(run, case) for case in CASES}
    for _ in range(run.rounds):
        for case in CASES:
            done, written = _measure(run, case, inputs[case])
            results[case.name].append(done)
            growth[case.name].append(written / run.records)
            run.say(f"{case.name}: {written / run.records:,.0f} changelog bytes a record in {done.seconds:.1f} s")
    return {
        "records": run.records,
        "changelog_bytes_per_record": {name: median(values) for name, values in growth.items()},
        "cpu_microseconds_per_record": {
            name: median(each.cpu_seconds / each.records * 1e6 for each in done) for name, done in results.items()
        },
        "records_per_second": {
            name: median(each.records / each.seconds for each in done) for name, done in results.items()
        },
    }


def _fill_input(run: Run, case: Case) -> str:
    topic = run.kafka.name("metrics")
    run.kafka.create(topic)
    run.kafka.fill(topic, metrics(case.order(run.records, case.models)))
    return topic


def _measure(run: Run, case: Case, topic: str) -> tuple[Result, int]:
    """The result, and the bytes that the run added to the changelog."""
    prefix = run.kafka.name("worker.")
    changelog = f"{prefix}monitor-changelog"
    settings = Job(run.kafka.bootstrap_servers, prefix, topic, "", 0, case.window).settings()
    run.kafka.create(changelog, **{"cleanup.policy": "compact", "min.compaction.lag.ms": "86400000"})
    run.kafka.fill(changelog, states(settings, names(case.models), case.window))
    before = run.kafka.bytes_in(changelog)
    done = run.worker(topic, run.records, prefix=prefix, window=case.window)
    written = run.kafka.bytes_in(changelog) - before
    run.kafka.delete(changelog)
    return done, written
