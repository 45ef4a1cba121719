"""Two workers with two partitions each, against one worker with all four."""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack
from subprocess import Popen

from benchmarks.cli_worker import cli_worker
from benchmarks.kafka import Kafka
from benchmarks.run import Json, ProcessFailed, Run, median
from benchmarks.traffic import in_turn, metrics

PARTITIONS, MODELS = 4, 200

#: Seconds for the group to settle, and for a worker to get through its records.
_SETTLE, _TIMEOUT = 8.0, 200.0

#: The clock ends with the last commit, which is not to wait for two seconds when all is processed.
_CONFIG = 'checkpoint_interval = "200ms"\n'


def scale(run: Run) -> Json:
    """Records a second until everything is committed, and what a second worker adds."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(run.rounds):
        for workers, measured in rates.items():
            measured.append(run.records / _seconds(run, workers))
            run.say(f"{workers} of them: {measured[-1]:,.0f}/s")
    one, two = (median(measured) for measured in rates.values())
    return {
        "records": run.records,
        "records_per_second": {"one_worker": one, "two_workers": two},
        "ratios": {"two_over_one": median([two / one])},
    }


def _seconds(run: Run, workers: int) -> float:
    """The workers are stopped while the topic is filled, for less than their session lasts, and then let go."""
    prefix = run.kafka.name("scale.")
    with ExitStack() as stack:
        started = [cli_worker(run.kafka, prefix, PARTITIONS, config=_CONFIG) for _ in range(workers)]
        processes = [stack.enter_context(each) for each in started]
        time.sleep(_SETTLE)
        records = list(metrics(in_turn(run.records, MODELS)))
        _signal(processes, signal.SIGSTOP)
        try:
            run.kafka.fill(f"{prefix}metrics", records)
        finally:
            _signal(processes, signal.SIGCONT)
        begin = time.monotonic()
        _await_committed(run.kafka, prefix, run.records)
        return time.monotonic() - begin


def _signal(processes: list[Popen[bytes]], number: int) -> None:
    for process in processes:
        process.send_signal(number)


def _await_committed(kafka: Kafka, prefix: str, records: int) -> None:
    end = time.monotonic() + _TIMEOUT
    while time.monotonic() < end:
        if kafka.committed(f"{prefix}monitor", f"{prefix}metrics", PARTITIONS) >= records:
            return
        time.sleep(0.02)
    raise ProcessFailed(f"{records} records were not committed within {_TIMEOUT:g} s")
