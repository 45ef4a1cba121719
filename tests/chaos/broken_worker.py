"""`visutility worker` whose monitor raises on poison, and which fails on purpose where the environment says so.

DIE_AT kills it in that commit of the process, between the transaction and RocksDB, or while that is written. STOP_AT
stops it (SIGSTOP) in that transaction, which expires after two seconds. SLEEP_AT blocks it in that step, for longer
than a consumer may go without asking for records. The arguments are the console command's.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partialmethod
from itertools import count
from typing import Any

from aiokafka import AIOKafkaConsumer

import agents.worker
import streams.overlay
from agents.cli.main import main
from agents.monitor.stage import MonitorStage
from agents.monitor.state import Model
from agents.settings import Settings
from streams.changed import Changes
from streams.outbox import _Sender
from streams.records import Forward, Output
from streams.settings import EngineSettings
from streams.stage import Input
from streams.store import OverlayStore
from streams.write_back import Change
from tests.chaos.poison import fragile_monitor

#: Seconds: a transaction's timeout where it is to expire; how long a step blocks; how rarely records may be asked for.
EXPIRES, SLEEP, POLL_INTERVAL = 2.0, 8.0, 3.0

#: Bytes that may wait for RocksDB: so few that some are written with most commits, and never all.
WAITING = 30_000

#: What a worker writes into its log when it wakes.
WOKEN = "slept on purpose"


def die_at(number: int) -> None:
    """In the commit of this number before anything is written, or, of an even one, with the next piece half written."""
    settle, commits = OverlayStore.settle, count(1)

    def die_or_settle(store: OverlayStore, partition: int, position: int | None) -> None:
        if next(commits) == number:
            if number % 2:
                os.kill(os.getpid(), signal.SIGKILL)
            setattr(OverlayStore, "_write", partialmethod(_write_half, OverlayStore._write))  # noqa: B010
        settle(store, partition, position)

    setattr(OverlayStore, "settle", die_or_settle)  # noqa: B010 - to a type checker a method is no variable


def _write_half(
    store: OverlayStore, write: Any, partition: int, changes: Sequence[Change], position: int | None
) -> None:
    """RocksDB keeps what it has of changes whose position it will never get."""
    write(store, partition, changes[: len(changes) // 2 + 1], None)
    store._db_for_partition(partition).flush()
    os.kill(os.getpid(), signal.SIGKILL)


def stop_at(number: int) -> None:
    """In the transaction of this number, when its records are sent and it is not committed."""
    send, transactions, settings_of = _Sender.send, count(1), agents.worker.engine_settings

    async def send_and_stop(
        sender: _Sender, changes: Changes, outputs: Sequence[Output | Forward], *others: Any
    ) -> int | None:
        position = await send(sender, changes, outputs, *others)
        if next(transactions) == number:
            os.kill(os.getpid(), signal.SIGSTOP)
        return position

    def short_lived(settings: Settings) -> EngineSettings:
        return replace(settings_of(settings), transaction_timeout=EXPIRES)

    setattr(_Sender, "send", send_and_stop)  # noqa: B010
    agents.worker.engine_settings = short_lived


def sleep_at(number: int) -> None:
    """In the monitor's step of this number."""
    step, steps = MonitorStage.step, count(1)

    def sleep_or_step(stage: MonitorStage, state: Model, inputs: Sequence[Input]) -> tuple[Model, list[Output]]:
        if next(steps) == number:
            time.sleep(SLEEP)
            print(f'"{WOKEN}"', file=sys.stderr, flush=True)  # noqa: T201
        return step(stage, state, inputs)

    setattr(MonitorStage, "step", sleep_or_step)  # noqa: B010
    patient = AIOKafkaConsumer.__init__
    AIOKafkaConsumer.__init__ = partialmethod(_impatient, patient)


def _impatient(consumer: AIOKafkaConsumer, patient: Any, *topics: str, **options: Any) -> None:
    patient(consumer, *topics, **options | {"max_poll_interval_ms": int(POLL_INTERVAL * 1000)})


if __name__ == "__main__":
    streams.overlay.WAITING_BYTES = WAITING
    with fragile_monitor():
        for name, fault in (("DIE_AT", die_at), ("STOP_AT", stop_at), ("SLEEP_AT", sleep_at)):
            if at := os.environ.get(name):
                fault(int(at))
        sys.exit(main())
