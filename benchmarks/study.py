"""What a study in the same worker costs the monitor: latency to drift events, while trials compute and without them."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

from confluent_kafka import Consumer

from agents.tuner import RunningTrial
from benchmarks.cli_worker import cli_worker
from benchmarks.kafka import QUIET, Kafka
from benchmarks.latency import Case, figures
from benchmarks.run import Json, ProcessFailed, Run, median
from schemas.retrain import RetrainRequest

TRIAL_SECONDS, RUNNING, TIMEOUT = 1.0, 4, 180.0
"""CPU seconds of a trial, trials that must have ended before the measurement begins, and how long to wait for them."""

CONFIG = """
[[retrain]]
models = "tuned"
[[tune]]
models = "tuned"
objective = "benchmarks.study:computing"
trials = 1000
parallel = 4
space = { x = { type = "float_range", min = 0.0, max = 1.0 } }
"""


def computing(trial: RunningTrial) -> float:
    """A second of computing."""
    end = time.process_time() + TRIAL_SECONDS
    while time.process_time() < end:
        pass
    return float(trial.params["x"] or 0)


def study(run: Run) -> Json:
    """`records` are sent at 1,000 a second; both cases in turns, in a worker with all agents."""
    case, rounds = Case("1000_per_second", 1_000, 50), list[dict[str, Json]]()
    for _ in range(run.rounds):
        done = {name: _measure(run, case, name == "during") for name in ("without", "during")}
        rounds.append(done)
        run.say(", ".join(f"p99 {name} a study {each['p99_ms']:.4g} ms" for name, each in done.items()))
    names = [name for name in rounds[0]["during"] if name.endswith("_ms")]
    return {
        **{when: {name: median(each[when][name] for each in rounds) for name in names} for when in rounds[0]},
        "during_to_without": {
            name: median(each["during"][name] / each["without"][name] for each in rounds) for name in names
        },
    }


def _measure(run: Run, case: Case, with_study: bool) -> Json:
    prefix = run.kafka.name("study.")
    with cli_worker(run.kafka, prefix, agents="monitor,retrain,tuner", config=CONFIG):
        if with_study:
            run.kafka.fill(f"{prefix}retrain", [(b"tuned", _request().to_json())])
            _await_trials(run.kafka, f"{prefix}trials", RUNNING)
        return figures(run.kafka, prefix, case, run.records / case.rate)


def _request() -> RetrainRequest:
    return RetrainRequest(
        event_id="study",
        model_name="tuned",
        timestamp=datetime.now(UTC),
        rule="by-hand",
        metric="by-hand",
        reason="to measure",
        cause_ids=[],
    )


def _await_trials(kafka: Kafka, topic: str, count: int) -> None:
    settings = {"bootstrap.servers": kafka.bootstrap_servers, "group.id": kafka.name("reader")}
    consumer = Consumer(QUIET | settings | {"auto.offset.reset": "earliest", "isolation.level": "read_committed"})
    consumer.subscribe([topic])
    ended, deadline = 0, time.monotonic() + TIMEOUT
    try:
        while ended < count:
            if time.monotonic() > deadline:
                raise ProcessFailed(f"{ended} of {count} trials ended within {TIMEOUT:g} s")
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                ended += json.loads(message.value() or b"{}").get("state") == "complete"
    finally:
        consumer.close()
