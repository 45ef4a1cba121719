"""One worker in a process of its own, measured from inside: `python -m benchmarks.measured_worker JOB`.

JOB is a `Job` as JSON; the result is one JSON line. Everything is on: decoding and checking, windows, z-score, RocksDB,
changelog, transactions. The clock runs from the first opened partition, or the end of a warm-up, to the commit that
reaches the end.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from agents.monitor.agent import SubscriberListener
from agents.monitor.stage import MonitorStage
from agents.monitor.state import Model
from agents.settings import MonitorRule, Settings
from agents.worker import engine_settings
from benchmarks.kafka import PARTITIONS
from schemas.kernel import COMPILED
from streams.owner import Commit, Listener
from streams.processor import Processor
from streams.settings import EngineSettings
from streams.stage_app import StageApp
from streams.topics import create_topics, wanted_topics
from streams.worker import StreamWorker


@dataclass(frozen=True)
class Job:
    """`records` of the topic `metrics` to commit (0: none, ready is enough), with state in the folder `data`.

    The clock begins when the first `warm_up` of them are processed, or some more, if any are left then.
    `prefix` is that of all other topics, of the group and of the transactional producers.
    """

    bootstrap_servers: str
    prefix: str
    metrics: str
    data: str
    records: int
    window: int = 500
    warm_up: int = 0

    def settings(self) -> Settings:
        """The monitor alone, with defaults except for what the peers' job says."""
        detector = {"name": "z_score", "threshold": 6.0}
        rule = MonitorRule.model_validate({"window": {"size": self.window}, "detector": detector})
        return Settings(
            bootstrap_servers=self.bootstrap_servers,
            topic_prefix=self.prefix,
            partitions=PARTITIONS,
            data_dir=Path(self.data),
            agents=["monitor"],
            monitor=[rule],
        )


@dataclass(frozen=True)
class Result:
    """`seconds` and `cpu_seconds` (of the whole process) for the `records` after the warm-up.

    `ready_seconds` are from start to all restored; `models` have a state then (told where there are no records to
    process); `commits` are transactions; `memory_bytes` is what the process has in memory when it is ready.
    """

    records: int
    seconds: float
    cpu_seconds: float
    ready_seconds: float
    models: int
    commits: int
    memory_bytes: int


@dataclass(frozen=True)
class SharedInput(EngineSettings):
    """The engine's settings, but the topic `metrics` has a name of its own, so that several prefixes read it."""

    metrics: str = ""

    def topic(self, name: str) -> str:
        """The name on Kafka of a topic of the registry."""
        return self.metrics if name == "metrics" else super().topic(name)


class Meter:
    """Listens to the partitions of the worker, and notices when everything is committed."""

    wants_events = False

    def __init__(self, job: Job) -> None:
        self._job = job
        self.worker: StreamWorker | None = None
        self.processors: list[Processor[Model]] = []
        self.begin = self.end = self.cpu_begin = self.cpu_end = 0.0
        self.commits = self.before = 0

    def opened(self, partition: int, processor: Processor[Model]) -> None:
        if not self.processors:
            self.begin, self.cpu_begin = time.perf_counter(), time.process_time()
        self.processors.append(processor)

    def committed(self, partition: int, processor: Processor[Model], commit: Commit) -> None:
        self.commits += 1
        self.end, self.cpu_end = time.perf_counter(), time.process_time()

    def closed(self, partition: int) -> None: ...

    def _positions(self) -> dict[Any, int]:
        positions = self.worker.app("monitor").engine.expected_positions() if self.worker else {}
        return {tp: at for tp, at in positions.items() if tp.topic == self._job.metrics}

    def _processed(self) -> int:
        return sum(self._positions().values())

    async def finish(self) -> None:
        """Begin the clock after the warm-up, and return when the broker has the commit of all."""
        if self._job.warm_up:
            await self._commit_after(self._job.warm_up)
            if (before := self._processed()) < self._job.records:
                self.before, self.begin, self.cpu_begin = before, time.perf_counter(), time.process_time()
        await self._commit_after(self._job.records)
        consumer: Any = self._app().consumer
        while sum([await consumer.committed(tp) or 0 for tp in self._positions()]) < self._job.records:  # noqa: ASYNC110
            await asyncio.sleep(0.02)  # the broker has no event for it

    async def _commit_after(self, records: int) -> None:
        """When so many are processed, commit them rather than at the interval's end."""
        while self._processed() < records:  # noqa: ASYNC110 - no event tells of a batch
            await asyncio.sleep(0.005)
        engine = self._app().engine
        for owner in filter(None, map(engine.owner, engine.partitions)):
            await owner.checkpoint()

    def _app(self) -> StageApp:
        assert self.worker is not None  # it processed what is asked about
        return self.worker.app("monitor")


async def measure(job: Job) -> Result:
    """Start the worker, wait until its records are committed, stop it."""
    settings = job.settings()
    plain = engine_settings(settings)
    engine = SharedInput(**{each.name: getattr(plain, each.name) for each in fields(plain)}, metrics=job.metrics)
    await create_topics(engine.bootstrap_servers, wanted_topics(engine, ["monitor"]))
    meter = Meter(job)
    listeners: dict[str, list[Listener[Any]]] = {"monitor": [SubscriberListener(settings), meter]}
    stage = MonitorStage(settings)
    if COMPILED:
        stage.load()  # as it is after the first 100,000 records of a worker's life
    worker = meter.worker = StreamWorker([stage], engine, listeners)
    begin = time.perf_counter()
    await worker.start()
    try:
        while len(meter.processors) < PARTITIONS or not worker.ready:  # noqa: ASYNC110 - what an operator asks too
            await asyncio.sleep(0.002)
        ready, memory = time.perf_counter() - begin, _resident_bytes()
        if job.records:
            failed, done = asyncio.ensure_future(worker.wait()), asyncio.ensure_future(meter.finish())
            await asyncio.wait({failed, done}, return_when=asyncio.FIRST_COMPLETED)
            if failed.done():
                await failed
            failed.cancel()
            await done
        models = 0 if job.records else sum(1 for processor in meter.processors for _ in processor.states())
        seconds, cpu = meter.end - meter.begin, meter.cpu_end - meter.cpu_begin
        return Result(job.records - meter.before, seconds, cpu, ready, models, meter.commits, memory)
    finally:
        await worker.stop()


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(measure(Job(**json.loads(sys.argv[1])))))))
