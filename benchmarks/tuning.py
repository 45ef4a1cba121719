"""What it costs to hand trials out over Kafka: the runners' time beside the trials' own, in a study across processes.

One worker owns the study, others run its trials, one at a time each. Twice: with trials of a quarter of a second,
three runners, and four times as many trials out; and with trials that take no time, one runner and one trial out, where
all that passes between two results is coordination.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer

from agents.tuner import RunningTrial
from benchmarks.kafka import QUIET, Kafka
from benchmarks.run import ROOT, Json, ProcessFailed, Run

RUNNERS = 3
TRIAL_SECONDS = 0.25
TIMEOUT = 120.0

#: Trials at the beginning that are left out: processes start, libraries are imported, a group is joined.
WARM_UP = 20

#: And at the end, where there is less to do than there are runners.
COOL_DOWN = 10

FEWEST_TRIALS = WARM_UP + COOL_DOWN + 10


def pausing(trial: RunningTrial) -> float:
    """A quarter of a second."""
    time.sleep(TRIAL_SECONDS)
    return float(trial.params["x"] or 0)


def instant(trial: RunningTrial) -> float:
    """No time at all."""
    return float(trial.params["x"] or 0)


@dataclass(frozen=True)
class Result:
    """When a result was written to `trials` (seconds, by the broker's clock) and how long its trial took."""

    at: float
    seconds: float


def tuning(run: Run) -> Json:
    """Measure; `run.records` is the number of trials."""
    busy = [_with_runners(run, "pausing", RUNNERS, parallel=4 * RUNNERS) for _ in range(run.rounds)]
    alone = [_with_runners(run, "instant", 1, parallel=1) for _ in range(run.rounds)]
    return {
        "trials": run.records,
        "runners": RUNNERS,
        "coordination_ms_per_trial": {
            "three runners kept busy": _median(_idle_ms(results, RUNNERS) for results in busy),
            "one trial at a time": _median(_idle_ms(results, 1) for results in alone),
        },
        "share_of_time_in_trials": {"three runners kept busy": _median(_share(results, RUNNERS) for results in busy)},
    }


def _idle_ms(results: list[Result], runners: int) -> float:
    span, spent = _span(results), sum(result.seconds for result in results[1:])
    return 1000 * (runners * span - spent) / (len(results) - 1)


def _share(results: list[Result], runners: int) -> float:
    return sum(result.seconds for result in results[1:]) / (runners * _span(results))


def _span(results: list[Result]) -> float:
    return results[-1].at - results[0].at


def _median(values: Iterator[float]) -> float:
    ordered = sorted(values)
    return float(f"{ordered[len(ordered) // 2]:.3g}")


def _with_runners(run: Run, objective: str, runners: int, parallel: int) -> list[Result]:
    prefix = run.kafka.name("tuning.")
    with tempfile.TemporaryDirectory(prefix="visutility-bench-") as folder:
        config = Path(folder) / "visutility.toml"
        config.write_text(_settings(run.kafka, prefix, objective, parallel, run.records))
        with _workers(config, ["monitor,retrain,tuner", *["runner"] * runners]):
            event = {"type": "validation_score", "model_name": "m", "timestamp": "2026-01-01T00:00:00Z", "score": 0.5}
            run.kafka.fill(f"{prefix}metrics", [(b"m", json.dumps(event).encode())])
            results = _read(run.kafka, f"{prefix}trials", run.records)
    run.say(f"{objective}: {_idle_ms(results, runners):.0f} ms a trial beside the trial itself")
    return results


def _settings(kafka: Kafka, prefix: str, objective: str, parallel: int, trials: int) -> str:
    return f"""
bootstrap_servers = "{kafka.bootstrap_servers}"
topic_prefix = "{prefix}"
[[retrain]]
min = {{ score = 0.8 }}
[[tune]]
objective = "benchmarks.tuning:{objective}"
sampler = "tpe"
trials = {trials}
parallel = {parallel}
space = {{ x = {{ type = "float_range", min = 0.0, max = 1.0 }} }}
"""


@contextmanager
def _workers(config: Path, agents: list[str]) -> Iterator[None]:
    """A worker process for each entry, until they are ready and then until the end of the block."""
    processes: list[tuple[subprocess.Popen[bytes], Path]] = []
    try:
        for number, names in enumerate(agents):
            log = config.parent / f"{number}.log"
            env = os.environ | {
                "PYTHONPATH": str(ROOT),
                "VISUTILITY_AGENTS": names,
                "VISUTILITY_TRIAL_PROCESSES": str(int(names == "runner")),
                "VISUTILITY_DATA_DIR": str(config.parent / str(number)),
            }
            command = [sys.executable, "-m", "agents.cli.main", "worker", "--config", str(config)]
            with log.open("wb") as stderr:
                processes.append((subprocess.Popen(command, cwd=ROOT, env=env, stderr=stderr), log))
            _await_ready(*processes[-1])
        yield
    finally:
        for process, _ in processes:
            process.terminate()
        for process, _ in processes:
            process.wait()


def _await_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + TIMEOUT
    while b'"ready"' not in log.read_bytes():
        if process.poll() is not None or time.monotonic() > deadline:
            raise ProcessFailed(f"a worker did not start; it said: {log.read_text()[-300:]}")
        time.sleep(0.05)


def _read(kafka: Kafka, topic: str, count: int) -> list[Result]:
    """The results of the study in the order in which they were written, its begin and end left out."""
    settings: dict[str, Any] = {
        "bootstrap.servers": kafka.bootstrap_servers,
        "group.id": kafka.name("reader"),
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
    }
    consumer, found, deadline = Consumer(QUIET | settings), list[Result](), time.monotonic() + TIMEOUT
    consumer.subscribe([topic])
    try:
        while len(found) < count:
            if time.monotonic() > deadline:
                raise ProcessFailed(f"{len(found)} of {count} trials ended within {TIMEOUT:g} s")
            message = consumer.poll(0.2)
            if message is None or message.error() is not None:
                continue
            trial = json.loads(message.value() or b"{}")
            if trial["type"] == "trial_result":
                found.append(Result(message.timestamp()[1] / 1000, trial["duration_seconds"]))
    finally:
        consumer.close()
    return sorted(found, key=lambda result: result.at)[WARM_UP:-COOL_DOWN]
