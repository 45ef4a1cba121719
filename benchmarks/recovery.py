"""How long a worker takes until it is ready: with an empty disk and a full changelog, and with a kept disk."""

from __future__ import annotations

import tempfile
from itertools import cycle, islice

from benchmarks.environments import NoEnvironment
from benchmarks.measured_worker import Job
from benchmarks.run import Json, ProcessFailed, Run, median
from benchmarks.throughput import OURS, compared, in_python, peer_rate
from benchmarks.traffic import names, states
from streams.panes import PANE

#: Models that the changelog's records are of, at most, and bytes of a record.
_MODELS, _BYTES = 10_000, 500

_STOCK_FAUST = in_python("stock_faust", 20, "faust", "faust_restore")


def recovery(run: Run) -> Json:
    """Rates are of the whole start, joining the group included; stock Faust restores a shorter one."""
    models = min(run.records, _MODELS)
    metrics, prefix, few = run.kafka.name("metrics"), run.kafka.name("worker."), run.kafka.name("few")
    changelog = f"{prefix}monitor-changelog"
    records = _changelog_records(run, models)
    size = sum(len(key) + len(value) for key, value in records) // models
    run.say(f"filling a changelog: {run.records} records of {size} bytes, {models} models")
    run.kafka.create(metrics, few, f"{few}-inputs")
    run.kafka.create(changelog, **{"cleanup.policy": "compact", "min.compaction.lag.ms": "86400000"})
    run.kafka.fill_changelog(changelog, islice(cycle(records), run.records))
    run.kafka.fill(few, islice(cycle(records), max(run.records // _STOCK_FAUST.share, 1000)))
    rates, empty, kept, skipped = dict[str, list[float]](), list[float](), list[float](), dict[str, str]()
    for _ in range(run.rounds):
        with tempfile.TemporaryDirectory(prefix="visutility-bench-") as data:
            for seconds in (empty, kept):
                done = run.worker(metrics, 0, prefix=prefix, data=data)
                if done.models != models:
                    raise ProcessFailed(f"{done.models} models were restored, not {models}")
                seconds.append(done.ready_seconds)
        rates.setdefault(OURS, []).append(run.records / empty[-1])
        if not skipped:
            try:
                rates.setdefault(_STOCK_FAUST.name, []).append(peer_rate(run, _STOCK_FAUST, few))
            except (NoEnvironment, ProcessFailed) as problem:
                skipped[_STOCK_FAUST.name] = str(problem)
        run.say(f"empty disk ready after {empty[-1]:.2f} s, kept disk after {kept[-1]:.2f} s")
    return {
        "records": run.records,
        "record_bytes": size,
        "models": models,
        "seconds_to_ready": {"empty_disk": median(empty), "kept_disk": median(kept)},
        **compared(rates),
        "skipped": skipped,
    }


def _changelog_records(run: Run, models: int) -> list[tuple[bytes, bytes]]:
    """One real state for each model, of about _BYTES bytes."""
    settings = Job(run.kafka.bootstrap_servers, "", "", "", 0).settings()

    def miss(values: int) -> int:
        ((key, value),) = states(settings, ["model-0"], values, 1)
        return abs(len(key) + len(value) - _BYTES)

    values = min(range(1, PANE), key=miss)  # fewer than fill a pane, so that there is one record of each model
    return list(states(settings, names(models), values, 1))
