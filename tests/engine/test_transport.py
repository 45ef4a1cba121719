"""The consumer on a real broker: committed records in batches, positions, and what Faust must not do here."""

from __future__ import annotations

import logging
from pathlib import Path
from time import monotonic
from typing import cast

import pytest
from faust.types import TP

from streams.brokers.broker import Broker
from streams.partitioner import partition_of
from streams.transport import BatchConsumer, BatchConsumerThread, NoReadOffsets
from streams.worker import StreamWorker
from tests.engine.counting import score_bytes
from tests.engine.live import Live, count_in, engine_of, until


@pytest.fixture
async def live(real_broker: Broker, topic_prefix: str, tmp_path: Path) -> Live:
    return await Live.on(real_broker.bootstrap_servers, topic_prefix, tmp_path)


def consumer_of(worker: StreamWorker) -> BatchConsumer:
    return cast(BatchConsumer, worker.app("summing").consumer)


async def test_only_committed_records_count_and_markers_are_passed(live: Live) -> None:
    topic = live.settings.topic("metrics")
    async with live.producer(transactional_id=f"{topic}-fleet") as fleet, live.worker() as worker:
        for value, commit in ((1.0, True), (2.0, False), (4.0, True), (8.0, False)):
            await fleet.begin_transaction()
            for _ in range(3):
                await fleet.send_and_wait(topic, score_bytes("a", value), partition=0)
            await (fleet.commit_transaction() if commit else fleet.abort_transaction())
        metrics = TP(topic, 0)
        await until(lambda: engine_of(worker).expected_positions()[metrics] == 16)
        assert count_in(worker) == 6
        await fleet.begin_transaction()
        await fleet.send_and_wait(topic, score_bytes("a", 16.0), partition=0)  # open: nobody may see it yet
        await live.send([32.0])
        assert count_in(worker) == 6
        await fleet.abort_transaction()
        await until(lambda: count_in(worker) == 7)
    assert await live.alerts() == ["3", "15"]
    assert await live.committed() == 19


async def test_records_that_the_consumer_skips_are_read_again(live: Live) -> None:
    metrics = TP(live.settings.topic("metrics"), 0)
    async with live.worker() as worker:
        await live.send([1.0] * 10)
        await until(lambda: count_in(worker) == 10)
        for number in range(1, 4):
            await live.send([1.0] * 10)
            await consumer_of(worker).seek_to(metrics, 10 * number + 10)
            await live.send([1.0] * 10, model="b")
            await until(lambda end=20 * number + 10: engine_of(worker).expected_positions()[metrics] == end)  # type: ignore[misc]
        assert (count_in(worker), count_in(worker, "b")) == (40, 30)


async def test_records_that_the_consumer_repeats_count_once(live: Live) -> None:
    metrics = TP(live.settings.topic("metrics"), 0)
    async with live.worker() as worker:
        await live.send([1.0] * 10)
        await until(lambda: count_in(worker) == 10)
        await consumer_of(worker).seek_to(metrics, 3)
        await live.send([1.0] * 5)
        await until(lambda: count_in(worker) == 15)
        assert engine_of(worker).expected_positions()[metrics] == 15


async def test_after_a_rebalance_reading_begins_where_the_engine_expects_it(live: Live) -> None:
    metrics = TP(live.settings.topic("metrics"), 0)
    async with live.worker() as worker:
        consumer = consumer_of(worker)
        await live.send([1.0] * 10)
        await until(lambda: count_in(worker) == 10)
        consumer.stop_flow()
        await consumer.seek_to(metrics, 4)
        await consumer.perform_seek()
        assert await consumer.position(metrics) == 10
        consumer.resume_flow()


async def test_fausts_own_account_of_offsets_stays_empty(live: Live) -> None:
    async with live.worker() as worker:
        consumer = consumer_of(worker)
        for number in range(1, 31):
            await live.send([1.0])
            await until(lambda want=number: count_in(worker) == want)  # type: ignore[misc]
        kept = [*consumer._acked.values(), *consumer._acked_index.values(), *consumer._gap.values()]
        assert sum(map(len, kept)) == 0
        assert len(consumer._read_offset) == 0
        assert len(consumer.unacked) == 0


async def test_faust_commits_nothing(live: Live) -> None:
    metrics = TP(live.settings.topic("metrics"), 0)
    async with live.worker() as worker:
        consumer = consumer_of(worker)
        assert await consumer.commit() is False
        assert await consumer.force_commit() is False
        assert await consumer._commit({metrics: 1_000}) is False
        assert await live.committed() == 0


async def test_a_position_seen_is_not_remembered() -> None:
    seen = NoReadOffsets()
    seen[TP("t", 0)] = 100
    assert seen[TP("t", 0)] is None
    assert len(seen) == 0


async def test_faust_does_not_complain_that_nothing_is_committed_through_it(
    live: Live, caplog: pytest.LogCaptureFixture
) -> None:
    async with live.worker() as worker:
        consumer = consumer_of(worker)
        await live.send([1.0] * 100)
        await until(lambda: count_in(worker) == 100)
        thread = cast(BatchConsumerThread, consumer._thread)
        thread.time_started -= 10_000
        state = thread._ensure_consumer()._subscription.subscription.assignment.state_value
        for tp in consumer.assignment():
            state(tp).highwater = 10**9  # as if there were always more to read
        caplog.clear()
        for tp in consumer.assignment():
            consumer.verify_event_path(monotonic(), tp)
        assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_the_app_is_not_fausts_exactly_once_and_buffers_little(live: Live) -> None:
    async with live.worker() as worker:
        app = worker.app("summing")
        assert not app.in_transaction
        assert not app.consumer.in_transaction
        assert app.conf.stream_buffer_maxsize <= 4
        assert app.conf.topic_disable_leader
        assert app.conf.consumer_auto_offset_reset == "earliest"
        thread = cast(BatchConsumerThread, consumer_of(worker)._thread)
        fetcher = thread._ensure_consumer()._fetcher
        assert fetcher._isolation_level == 1  # read committed, in the protocol's numbers
        assert fetcher._fetch_max_wait_ms <= 100  # else a partition that is slow to process waits for empty ones
        assert thread._thread is not None
        assert thread._thread.daemon  # else a broker that hangs keeps the process alive


async def test_where_fetches_hold_more_than_a_batch_may_every_partition_gets_its_turn(
    real_broker: Broker, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.transport.BATCH_RECORDS", 10)
    live = await Live.on(real_broker.bootstrap_servers, topic_prefix, tmp_path, partitions=4)
    models = {partition: _model_of(partition) for partition in range(4)}
    for partition, model in models.items():
        for _ in range(3):
            await live.send([1.0] * 20, model, partition)
    async with live.worker() as worker:
        for partition, model in models.items():
            await until(lambda p=partition, m=model: count_in(worker, m, p) == 60)  # type: ignore[misc]
    assert await live.counts() == dict.fromkeys(models.values(), 60)


def _model_of(partition: int) -> str:
    return next(name for name in map(str, range(100)) if partition_of(name, 4) == partition)


async def test_what_nobody_reads_here_is_not_fetched(live: Live) -> None:
    async with live.worker() as worker:
        await live.send([1.0] * 100)
        await until(lambda: count_in(worker) == 100)
    async with live.worker(data="two") as worker:  # the changelog, which it has restored, is assigned to its consumer
        await live.send([1.0] * 100)
        await until(lambda: count_in(worker) == 200)
        consumer = cast(BatchConsumerThread, consumer_of(worker)._thread)._ensure_consumer()
        changelog = TP(live.settings.changelog("summing"), 0)
        assert changelog in consumer.assignment()
        assert consumer.paused() == {changelog}
        assert changelog not in consumer._fetcher._records


async def test_what_faust_holds_is_not_fetched_until_it_goes_on(live: Live) -> None:
    metrics = TP(live.settings.topic("metrics"), 0)
    async with live.worker() as worker:
        consumer = consumer_of(worker)
        fetching = cast(BatchConsumerThread, consumer._thread)._ensure_consumer()
        consumer.pause_partitions([metrics])
        await until(lambda: metrics in fetching.paused())
        await live.send([1.0] * 10)
        assert count_in(worker) == 0
        consumer.resume_partitions([metrics])
        await until(lambda: count_in(worker) == 10)


async def test_a_full_buffer_does_not_take_a_partition_out_of_the_next_fetch(live: Live) -> None:
    metrics = TP(live.settings.topic("metrics"), 0)
    async with live.worker() as worker:
        consumer = consumer_of(worker)
        consumer.on_buffer_full(metrics)
        assert metrics in consumer._get_active_partitions()
