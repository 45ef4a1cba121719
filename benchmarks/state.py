"""What state costs: changelog bytes and CPU a record, by the window's size and by the number of models."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from benchmarks.measured_worker import Job, Result
from benchmarks.run import Json, Run, median
from benchmarks.traffic import MODELS, in_turn, metrics, names, states, zipf
from streams.panes import PANE


@dataclass(frozen=True)
class Case:
    """`models` that the worker has known for `values` values each, four metrics a record, and who sends the records.

    `spread`: each model has seen one more than the one before it, so many numbers in turn (`traffic.states`).
    `longer`: it has so many times the records of the others. Of a large fleet many go by before the clock begins, while
    what its models have once is committed.
    """

    name: str
    window: int
    models: int
    values: int
    order: Callable[[int, int], Iterator[str]] = in_turn
    spread: int = PANE
    longer: int = 1


#: Values of models that are past their warm-up, at least.
_SOME = 3 * PANE

#: Models of the first three have full windows. Of the others it is the number that counts; with full windows, each at
#: another place in its block, some panes and blocks end in every batch.
CASES = (
    Case("window 500", 500, MODELS, 500),
    Case("window 5,000", 5_000, MODELS, 5_000),
    Case("window 50,000", 50_000, MODELS, 50_000),
    Case("100 models", 500, 100, _SOME),
    Case("100 models, Zipf", 500, 100, _SOME, zipf),
    Case("10,000 models", 500, 10_000, _SOME),
    Case("10,000 models, Zipf", 500, 10_000, _SOME, zipf),
    Case("10,000 models, full windows", 500, 10_000, 500, spread=500),
    Case("100,000 models", 500, 100_000, _SOME, longer=3),
    Case("100,000 models, Zipf", 500, 100_000, _SOME, zipf, longer=3),
)


#: Models that are silent: at the second number caches are as full as at the first, and what is more is the models'.
SILENT = (50_000, 100_000)


def state(run: Run, all_cases: Sequence[Case] = CASES) -> Json:
    """Each case in turn, a round after the other; then the memory of workers whose models are silent."""
    results, growth = defaultdict[str, list[Result]](list), defaultdict[str, list[float]](list)
    cases = [_fitted(case, run.records) for case in all_cases]
    inputs = {case: _fill_input(run, case) for case in cases}
    for _ in range(run.rounds):
        for case in cases:
            done, written = _measure(run, case, inputs[case])
            results[case.name].append(done)
            growth[case.name].append(written / _records(run, case))
            run.say(f"{case.name}: {growth[case.name][-1]:,.0f} changelog bytes a record, {done.seconds:.1f} s")
    return {
        "records": run.records,
        **_silent_models(run),
        "changelog_bytes_per_record": {name: median(values) for name, values in growth.items()},
        "cpu_microseconds_per_record": {
            name: median(each.cpu_seconds / each.records * 1e6 for each in done) for name, done in results.items()
        },
        "records_per_second": {
            name: median(each.records / each.seconds for each in done) for name, done in results.items()
        },
    }


def _silent_models(run: Run) -> Json:
    """Resident bytes of a worker when it is ready, after a restore and with its disk kept, by number of models."""
    half, whole = (min(models, run.records * models // SILENT[-1]) for models in SILENT)
    restored, kept = {}, {}
    for models in (half, whole):
        restored[models], kept[models] = _ready_bytes(run, models)
        run.say(
            f"{models:,} silent models: {restored[models] / 2**20:.0f} MiB restored, {kept[models] / 2**20:.0f} kept"
        )
    return {
        "memory_bytes_when_restored": {f"{models:,} models": size for models, size in restored.items()},
        "memory_bytes_with_a_kept_disk": {f"{models:,} models": size for models, size in kept.items()},
        "memory_bytes_per_silent_model": median([(kept[whole] - kept[half]) / (whole - half)]),
    }


def _ready_bytes(run: Run, models: int) -> tuple[int, int]:
    """Of two workers, one after the other on the same disk, which is empty at first."""
    prefix, topic = run.kafka.name("worker."), run.kafka.name("metrics")
    run.kafka.create(topic)
    changelog = _fill_changelog(run, prefix, Case("", 500, models, _SOME))
    with tempfile.TemporaryDirectory(prefix="visutility-bench-") as data:
        restored, kept = (run.worker(topic, 0, prefix=prefix, data=data).memory_bytes for _ in range(2))
    run.kafka.delete(changelog)
    return restored, kept


def _fitted(case: Case, records: int) -> Case:
    """With no more models and known values than go with so few records."""
    return replace(case, models=min(case.models, max(records // 5, MODELS)), values=min(case.values, records))


def _fill_input(run: Run, case: Case) -> str:
    """Each model once, for what a model costs when it is first seen is not what its records cost; then the records."""
    topic = run.kafka.name("metrics")
    run.kafka.create(topic)
    run.kafka.fill(topic, metrics(chain(names(case.models), case.order(case.longer * run.records, case.models))))
    return topic


def _records(run: Run, case: Case) -> int:
    return case.longer * run.records + case.models


def _measure(run: Run, case: Case, topic: str) -> tuple[Result, int]:
    """The result, and the bytes that the run added to the changelog."""
    prefix = run.kafka.name("worker.")
    changelog = _fill_changelog(run, prefix, case)
    before = run.kafka.bytes_in(changelog)
    done = run.worker(topic, _records(run, case), prefix=prefix, window=case.window, warm_up=case.models)
    written = run.kafka.bytes_in(changelog) - before
    run.kafka.delete(changelog)
    return done, written


def _fill_changelog(run: Run, prefix: str, case: Case) -> str:
    """The changelog of a worker that has known the case's models for long; its name."""
    changelog = f"{prefix}monitor-changelog"
    settings = Job(run.kafka.bootstrap_servers, prefix, "", "", 0, case.window).settings()
    run.kafka.create(changelog, **{"cleanup.policy": "compact", "min.compaction.lag.ms": "86400000"})
    run.kafka.fill_changelog(changelog, states(settings, names(case.models), case.values, case.spread))
    return changelog
