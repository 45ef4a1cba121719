"""Resident memory of a worker that is kept busy for minutes."""

from __future__ import annotations

import os
import time
from itertools import count, islice
from pathlib import Path

from benchmarks.cli_worker import cli_worker
from benchmarks.run import Json, Run
from benchmarks.traffic import MODELS, message, names

#: Records of one round of producing; how far what is committed may be behind before more are produced: two commits.
_ROUND, _AHEAD = 50_000, 1_000_000

#: Share of the time that is left to the worker to reach its level.
_WARM_UP = 0.1


def memory(run: Run) -> Json:
    """`records` is the number of seconds. Memory is in bytes, the slope in bytes a minute (least squares)."""
    prefix = run.kafka.name("memory.")
    with cli_worker(run.kafka, prefix) as process:
        samples, done = _load(run, prefix, process.pid)
    settled = samples[int(len(samples) * _WARM_UP) :]
    return {
        "seconds": run.records,
        "records_per_second": done / run.records,
        "resident_bytes": {"after_warm_up": settled[0][1], "at_the_end": settled[-1][1]},
        "slope_bytes_per_minute": 60 * _slope(settled),
    }


def _load(run: Run, prefix: str, pid: int) -> tuple[list[tuple[float, int]], int]:
    """Produce as fast as the worker reads; (seconds, bytes) every now and then, and the records it has committed.

    What it has committed is deleted on the way: ten minutes are 30 GB.
    """
    known, numbers, samples = names(MODELS), count(), list[tuple[float, int]]()
    sent, begin = 0, time.monotonic()
    while (now := time.monotonic() - begin) < run.records:
        if sent - run.kafka.committed(f"{prefix}monitor", f"{prefix}metrics") < _AHEAD:
            batch = ((name.encode(), message(n, name, 0.9 + n % 97 / 1000)) for n, name in _named(numbers, known))
            run.kafka.fill(f"{prefix}metrics", islice(batch, _ROUND))
            sent += _ROUND
        else:
            time.sleep(0.2)
        samples.append((now, _resident_bytes(pid)))
        if len(samples) % 100 == 0:
            run.say(f"after {now:.0f} s: {samples[-1][1] / 2**20:.0f} MiB, {sent:,} records")
            run.kafka.forget(f"{prefix}monitor", f"{prefix}metrics")
    return samples, run.kafka.committed(f"{prefix}monitor", f"{prefix}metrics")


def _named(numbers: count[int], known: list[str]) -> zip[tuple[int, str]]:
    return zip(numbers, (known[number % len(known)] for number in count()), strict=False)


def _resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _slope(samples: list[tuple[float, int]]) -> float:
    """Of the least-squares line, in bytes a second."""
    mean_time = sum(at for at, _ in samples) / len(samples)
    mean_bytes = sum(size for _, size in samples) / len(samples)
    above = sum((at - mean_time) * (size - mean_bytes) for at, size in samples)
    return above / sum((at - mean_time) ** 2 for at, _ in samples)
