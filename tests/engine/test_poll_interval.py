"""A consumer that fetches nothing leaves its group after a while, and joins again: aiokafka leaves both to who fetches.

The while is `max_poll_interval_ms`, 1,000 seconds by default of Faust; two here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partialmethod
from pathlib import Path
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaConsumer

from streams import engine
from streams.brokers.broker import Broker
from streams.restore import restore
from streams.settings import EngineSettings
from streams.transport import SIGN_OF_LIFE, BatchConsumer, BatchConsumerThread
from streams.worker import StreamWorker
from tests.engine.live import Live, count_in, engine_of, until

POLL_INTERVAL = 2.0


@pytest.fixture
async def live(real_broker: Broker, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Live:
    monkeypatch.setattr(AIOKafkaConsumer, "__init__", partialmethod(_impatient, AIOKafkaConsumer.__init__))
    return await Live.on(real_broker.bootstrap_servers, topic_prefix, tmp_path)


def _impatient(consumer: AIOKafkaConsumer, patient: Any, *topics: str, **options: Any) -> None:
    patient(consumer, *topics, **options | {"max_poll_interval_ms": int(POLL_INTERVAL * 1000)})


@asynccontextmanager
async def started(live: Live, data: str = "one") -> AsyncIterator[StreamWorker]:
    """A worker that may be without partitions."""
    worker = live.new_worker(data=data)
    try:
        await worker.start()
        yield worker
    finally:
        await worker.stop()


def generation_of(worker: StreamWorker) -> int:
    """The group's, as this worker knows it; -1 while it is no member."""
    consumer = cast(BatchConsumer, worker.app("summing").consumer)
    return cast(int, consumer._thread._ensure_consumer()._coordinator.generation)


async def test_a_worker_that_had_nothing_to_do_for_long_takes_over(live: Live) -> None:
    async with started(live) as one:
        await until(lambda: engine_of(one).owner(0) is not None)
        async with started(live, "spare") as spare:
            await until(lambda: generation_of(spare) > 0)
            joined = generation_of(spare)
            await asyncio.sleep(2 * POLL_INTERVAL)
            assert generation_of(spare) == joined
            await one.stop()
            await until(lambda: engine_of(spare).owner(0) is not None, seconds=40)
            await live.send([1.0] * 5)
            await until(lambda: count_in(spare) == 5)


async def test_a_restore_may_take_longer_than_the_interval(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    began = list[int]()

    async def slowly(settings: EngineSettings, stage: str, partition: int, *others: Any) -> int:
        began.append(partition)
        await asyncio.sleep(2 * POLL_INTERVAL)
        return await restore(settings, stage, partition, *others)

    monkeypatch.setattr(engine, "restore", slowly)
    async with started(live) as worker:
        await live.send([1.0] * 5)
        await until(lambda: count_in(worker) == 5, seconds=40)
    assert began == [0]  # it did not lose the partition on the way


async def test_who_has_partitions_has_to_fetch(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    signs = list[BatchConsumerThread]()
    monkeypatch.setattr(BatchConsumerThread, "note_alive", lambda thread: signs.append(thread))
    async with started(live) as worker:
        await live.send([1.0] * 5)
        await until(lambda: count_in(worker) == 5)
        signs.clear()
        await asyncio.sleep(3 * SIGN_OF_LIFE)
        assert signs == []


async def test_a_worker_that_hung_for_longer_than_the_interval_leaves_and_comes_back(live: Live) -> None:
    async with started(live) as worker:
        await until(lambda: engine_of(worker).owner(0) is not None)
        joined = generation_of(worker)
        time.sleep(2 * POLL_INTERVAL)  # noqa: ASYNC251 - the event loop hangs, which is the point
        await live.send([1.0] * 5)
        await until(lambda: count_in(worker) == 5 and generation_of(worker) > joined, seconds=40)
