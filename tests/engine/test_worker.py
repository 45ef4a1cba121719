"""A worker on a real broker: restarts, rebalances, failures, and what Faust would do wrong."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import pytest
import rocksdict

import streams.app
from streams.brokers.broker import Broker
from streams.checks import DataFolderBusy
from streams.identity import StateMismatch
from streams.partitioner import partition_of
from streams.records import Headers
from streams.rocksdb import WRITE_BUFFER_BYTES
from streams.store import CheckpointedTable, OverlayStore
from streams.worker import StreamWorker
from tests.engine.counting import SummingStage, score_bytes
from tests.engine.live import Live, count_in, engine_of, eventually, until

HOME = partition_of("a", 4)


@pytest.fixture
async def live(real_broker: Broker, topic_prefix: str, tmp_path: Path) -> Live:
    return await Live.on(real_broker.bootstrap_servers, topic_prefix, tmp_path, partitions=4)


def store_of(worker: StreamWorker) -> OverlayStore:
    table = worker.app("summing").tables["summing"]
    assert isinstance(table, CheckpointedTable)
    return table.store


class BrokenStage(SummingStage):
    """Cannot even read: an error of the program, not of a record."""

    def decode(self, value: bytes | None, headers: Headers) -> None:  # type: ignore[override]
        raise RuntimeError("a fault of the program")


@pytest.mark.parametrize("disk", ["kept", "wiped"])
async def test_a_restarted_worker_goes_on_where_it_was(live: Live, disk: str, tmp_path: Path) -> None:
    async with live.worker() as worker:
        await live.send([1.0] * 4, partition=HOME)
        await until(lambda: count_in(worker, partition=HOME) == 4)
    assert await live.committed(HOME) == 4
    if disk == "wiped":
        shutil.rmtree(tmp_path / "one")
    async with live.worker() as worker:
        assert count_in(worker, partition=HOME) == 4
        await live.send([1.0] * 2, partition=HOME)
        await until(lambda: count_in(worker, partition=HOME) == 6)
    assert await live.alerts() == ["3", "6"]


async def test_records_move_with_their_partitions_when_workers_come_and_go(live: Live) -> None:
    models = {partition_of(f"m{number}", 4): f"m{number}" for number in range(40)}
    assert len(models) == 4
    sent = 0

    async def send(count: int) -> int:
        for _ in range(count):
            for partition, model in models.items():
                await live.send([1.0] * 3, model, (partition + sent) % 4)  # most of them in the wrong partition
            await asyncio.sleep(0.02)
        return sent + 3 * count

    async with live.worker(data="one"):
        sent = await send(10)
        sending = asyncio.create_task(send(60))
        async with live.worker(data="two") as second:
            await until(lambda: len(engine_of(second).partitions) == 2)
            await asyncio.sleep(1)
        sent = await sending

        await eventually(live.counts, dict.fromkeys(models.values(), sent))
    told = await live.alerts()
    assert sorted(map(int, told)) == sorted([*range(3, sent + 1, 3)] * 4)


async def test_an_exception_in_the_agent_stops_the_worker_and_acknowledges_nothing(live: Live) -> None:
    async with live.worker(BrokenStage()) as worker:
        await live.send([1.0] * 3, partition=HOME)
        with pytest.raises(RuntimeError, match="a fault of the program"):
            await asyncio.wait_for(worker.wait(), 20)
    assert await live.committed(HOME) == 0
    async with live.worker() as worker:
        await until(lambda: count_in(worker, partition=HOME) == 3)
    assert await live.alerts() == ["3"]


async def test_a_stage_that_always_fails_stops_the_worker_with_nothing_half_applied(live: Live) -> None:
    async with live.worker() as worker:
        await live.send([1.0, 2.0], partition=HOME)
        await live.send([5000.0] * 200, partition=HOME)
        with pytest.raises(RuntimeError, match="in a row"):
            await asyncio.wait_for(worker.wait(), 20)
    assert (await live.counts()).get("a", 0) in (0, 2)
    assert len(await live.read("dead-letter")) == 0
    committed = await live.committed(HOME)
    assert committed == (2 if await live.counts() else 0)


async def test_a_state_that_cannot_be_restored_stops_the_worker(live: Live) -> None:
    async with live.worker() as worker:
        await live.send([1.0], partition=HOME)
        await eventually(lambda: live.committed(HOME), cast("int | None", 1))
        table = worker.app("summing").tables["summing"]
        assert isinstance(table, CheckpointedTable)
        table.store.write_committed(HOME, (), 1_000_000)
    worker = live.new_worker()

    async def run() -> None:
        await worker.start()
        await worker.wait()

    try:
        with pytest.raises(StateMismatch, match="the topic was recreated or cut"):
            await asyncio.wait_for(run(), 30)
    finally:
        await asyncio.wait_for(worker.stop(), 10)


@pytest.mark.parametrize(("hours", "still"), [(1, True), (13, False)])
async def test_of_a_disk_that_was_saved_long_ago_nothing_is_taken(live: Live, hours: int, still: bool) -> None:
    async with live.worker() as worker:
        await live.send([1.0], partition=HOME)
        await eventually(lambda: live.committed(HOME), cast("int | None", 1))
        store = store_of(worker)
        store.write_committed(HOME, [(b"deleted since", b"")], None)  # the changelog says nothing of it any more
        store.save(HOME, time.time() - hours * 3600)
    async with live.worker() as worker:
        assert (store_of(worker).read(HOME, b"deleted since") is not None) == still
        assert store_of(worker).saved_at(HOME) > time.time() - 60
        assert (await live.counts())["a"] == 1


async def test_a_worker_saves_what_waits_from_time_to_time(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams.app, "SAVE_INTERVAL", 0.2)
    async with live.worker() as worker:
        await live.send([1.0], partition=HOME)
        store = store_of(worker)
        await until(lambda: store._db_for_partition(HOME).get(b"a") is not None)
        assert not store._overlays[HOME].waiting
        assert store.saved_at(HOME) > time.time() - 60


async def test_a_data_folder_serves_one_worker(live: Live) -> None:
    async with live.worker():
        second = live.new_worker()
        with pytest.raises(DataFolderBusy, match="give each worker its own data_dir"):
            await second.start()
        await second.stop()
    async with live.worker():  # free again
        pass


async def test_state_is_in_rocksdb_with_options_of_our_own(live: Live) -> None:
    async with live.worker() as worker:
        await live.send([1.0], partition=HOME)
        await until(lambda: count_in(worker, partition=HOME) == 1)
        app = worker.app("summing")
        table = app.tables["summing"]
        assert isinstance(table, CheckpointedTable)
        store = table.store
        assert type(store) is OverlayStore
        assert str(app.conf.store) == "rocksdb:"
        assert isinstance(store._db_for_partition(HOME), rocksdict.Rdict)
        (written,) = store.partition_path(HOME).glob("OPTIONS-*")
        assert f"write_buffer_size={WRITE_BUFFER_BYTES}" in written.read_text()


async def test_nothing_is_published_through_fausts_own_producer(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[object] = []
    async with live.worker() as worker:
        sensors = worker.app("summing").sensors
        monkeypatch.setattr(sensors, "on_send_initiated", lambda *what, **_: sent.append(what))
        await live.send([1.0] * 3, partition=HOME)
        await eventually(live.alerts, ["3"])
    assert sent == []


#: A value, its headers and its partition.
Sized = tuple[bytes, Sequence[tuple[str, bytes]], int]


def misplaced_of_a_mebibyte() -> Sized:
    value = score_bytes("a", 1.0)
    padded = value[:-1] + b', "ignored": "' + b"x" * (2**20 - len(value) - 120) + b'"}'
    return padded, (), (HOME + 1) % 4


def unreadable_with_large_headers() -> Sized:
    headers = [(f"h{number}" + "\1" * 990, b"\1" * 1_000) for number in range(64)]
    return b"{" + b"x" * (512 * 1024 - 1), headers, HOME


@pytest.mark.parametrize("record", [misplaced_of_a_mebibyte, unreadable_with_large_headers])
async def test_a_record_as_large_as_a_topic_takes_does_not_stop_its_partition(
    live: Live, record: Callable[[], Sized]
) -> None:
    value, headers, partition = record()
    async with live.worker() as worker:
        async with live.producer(max_request_size=2**21) as producer:
            await producer.send_and_wait(live.settings.topic("metrics"), value, partition=partition, headers=headers)
        await live.send([1.0], partition=partition)
        want = 2 if record is misplaced_of_a_mebibyte else 1
        await until(lambda: count_in(worker, partition=HOME) == want)
    assert len(await live.read("dead-letter")) == 2 - want
