"""What every benchmark is given: a broker, a folder, a size, and a way to run processes with a time limit."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.kafka import Kafka
from benchmarks.measured_worker import Job, Result

ROOT = Path(__file__).parents[1]

#: Seconds for one measured process, its start included.
PROCESS_TIMEOUT = 280.0

Json = dict[str, Any]


class ProcessFailed(RuntimeError):
    """A measured process failed, was too slow or printed no result; the message says which and why."""


class NoData(RuntimeError):
    """Recorded data that is not beside the repository; the message says where it was looked for."""


@dataclass(frozen=True)
class LocalRun:
    """One run of one benchmark: `records` is its size, `rounds` how often each thing is measured; `say` is progress."""

    records: int
    rounds: int
    say: Callable[[str], None]


@dataclass(frozen=True)
class Run(LocalRun):
    """A run on a Kafka."""

    kafka: Kafka

    def worker(self, metrics: str, records: int, **job: Any) -> Result:
        """Measure our worker on `records` of a topic, on an empty disk and a new prefix unless `job` says otherwise."""
        with tempfile.TemporaryDirectory(prefix="visutility-bench-") as folder:
            fields = {"prefix": self.kafka.name("worker."), "data": folder} | job
            task = Job(self.kafka.bootstrap_servers, metrics=metrics, records=records, **fields)
            command = [sys.executable, "-m", "benchmarks.measured_worker", json.dumps(asdict(task))]
            return Result(**run_process("our worker", command))


def run_process(what: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Json:
    """Run a process in a temporary folder of its own; the JSON in its last line. Raises `ProcessFailed`."""
    with tempfile.TemporaryDirectory(prefix="visutility-bench-") as folder:
        env = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": folder} | dict(environment or {})
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=PROCESS_TIMEOUT, check=False
            )
        except subprocess.TimeoutExpired as problem:
            raise ProcessFailed(f"{what} took longer than {PROCESS_TIMEOUT:g} s") from problem
    if results := [line for line in done.stdout.splitlines() if line.startswith("{")]:
        result: Json = json.loads(results[-1])
        return result
    said = (done.stderr.strip() or "nothing").splitlines()[-1]
    raise ProcessFailed(f"{what} ended with code {done.returncode} and no result; it said: {said}")


def median(values: Iterable[float]) -> float:
    """The median, to four digits: what a shared machine measures has no more."""
    return float(f"{statistics.median(values):.4g}")
