"""What each checkpoint writes down about order and time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from aiokafka import ConsumerRecord

from schemas.internal import Run
from streams.batch import Batch
from streams.brokers.broker import Broker
from streams.cuts import CUT_HEADER, RunLog, cut_record, is_cut, runs_of
from streams.origin import with_origin
from streams.partitioner import partition_of
from streams.records import FetchedRecords, Output, StoredRecord
from streams.stage import Event, Input
from streams.stage_app import StageApp
from tests.engine.counting import Sum, SummingStage, score, score_bytes
from tests.engine.fakes import INTERNAL, FakeKafka, FakeOutbox, batch
from tests.engine.live import Live, count_in, eventually, until
from tests.engine.replaying import replayed
from tests.engine.test_endings import opened

HOME = partition_of("a", 4)


def told(kafka: FakeKafka) -> list[list[tuple[str, int, int, int]]]:
    """The runs of each cut so far."""
    records = [StoredRecord(cut.topic, cut.partition, 0, 0, cut.key, cut.value, cut.headers) for cut in kafka.cuts]
    return [[(run.topic, run.begin, run.end, run.ticks) for run in runs_of(record)] for record in records]


def internal(begin: int, *records: tuple[bytes | None, bytes, Sequence[tuple[str, bytes]]]) -> Batch:
    """Records of the internal topic, and a commit marker after them."""
    read = [
        ConsumerRecord(INTERNAL.topic, 0, begin + number, 1, 0, key, value, None, 1, 1, tuple(headers))
        for number, (key, value, headers) in enumerate(records)
    ]
    return Batch(INTERNAL.topic, 0, begin, begin + len(records) + 1, FetchedRecords(INTERNAL.topic, 0, read))


def cut(stage: str = "summing") -> tuple[bytes | None, bytes, Sequence[tuple[str, bytes]]]:
    record = cut_record(stage, 0, [Run(topic="p.metrics", begin=0, end=1)], datetime(2025, 1, 1, tzinfo=UTC))
    assert record.value is not None
    return record.key, record.value, record.headers


def test_adjacent_runs_of_one_topic_are_one_until_another_topic_or_time_comes_between() -> None:
    log = RunLog()
    log.read("m", 0, 3)
    log.read("m", 3, 5)
    log.read("i", 0, 1)
    log.read("m", 5, 6)
    log.tick(1000)
    log.tick(500)
    log.read("m", 6, 7)
    log.read("m", 9, 10)
    runs = log.take()
    assert [(run.topic, run.begin, run.end, run.ticks) for run in runs] == [
        ("m", 0, 5, 0),
        ("i", 0, 1, 0),
        ("m", 5, 6, 1000),
        ("", 0, 0, 500),
        ("m", 6, 7, 0),
        ("m", 9, 10, 0),
    ]
    assert log.take() == []


async def test_a_checkpoint_tells_what_it_processed_and_in_which_order(app: StageApp) -> None:
    outbox = FakeOutbox(FakeKafka())
    owner = opened(app, outbox)
    owner.process(batch(0, 2))
    owner.process(batch(1, 4))  # overlaps: only what is new was processed
    owner.process(internal(0, (b"a", score_bytes("a", 1.0), ())))
    owner.tick(250)
    owner.process(batch(4, 5))
    await owner.checkpoint()
    assert told(outbox.kafka) == [[("p.metrics", 0, 4, 0), ("p.summing-internal", 0, 2, 250), ("p.metrics", 4, 5, 0)]]
    owner.process(batch(5, 6))
    await owner.checkpoint()
    assert told(outbox.kafka)[1:] == [[("p.metrics", 5, 6, 0)]]


async def test_what_is_processed_while_a_checkpoint_commits_is_told_by_the_next(app: StageApp) -> None:
    outbox = FakeOutbox(FakeKafka())
    owner = opened(app, outbox)
    owner.process(batch(0, 2))
    outbox.gate.clear()
    running = asyncio.create_task(owner.checkpoint())
    await asyncio.sleep(0)
    owner.process(batch(2, 5))
    outbox.gate.set()
    await running
    await owner.checkpoint()
    assert told(outbox.kafka) == [[("p.metrics", 0, 2, 0)], [("p.metrics", 2, 5, 0)]]


async def test_cuts_change_no_state_and_start_no_checkpoint_but_are_committed_with_the_next(app: StageApp) -> None:
    outbox = FakeOutbox(FakeKafka())
    owner = opened(app, outbox)
    owner.process(internal(0, cut(), cut()))
    owner.process(Batch(INTERNAL.topic, 0, 3, 4, FetchedRecords(INTERNAL.topic, 0, [])))  # a commit marker alone
    await owner.checkpoint()
    assert outbox.kafka.offsets == {}
    owner.process(batch(0, 1))
    await owner.checkpoint()
    assert outbox.kafka.offsets[INTERNAL] == 4
    assert outbox.kafka.outputs == []  # a cut is no dead letter
    assert told(outbox.kafka) == [[("p.summing-internal", 0, 4, 0), ("p.metrics", 0, 1, 0)]]


async def test_a_fleets_record_cannot_pass_as_a_cut(app: StageApp) -> None:
    outbox = FakeOutbox(FakeKafka())
    owner = opened(app, outbox)
    disguised = with_origin(score("a", 1.0, 7, headers=(CUT_HEADER,)))
    owner.process(internal(0, (b"a", score_bytes("a", 1.0), disguised)))
    owner.process(internal(2, (None, score_bytes("a", 1.0), ())))  # without a key, but without our header too
    assert owner.processor.state("a").count == 2


def test_a_cut_is_told_by_its_header_and_its_missing_key() -> None:
    key, value, headers = cut()
    record = StoredRecord("p.summing-internal", 0, 0, 0, key, value, headers)
    assert is_cut(record)
    assert runs_of(record) == [Run(topic="p.metrics", begin=0, end=1)]
    assert not is_cut(StoredRecord("p.summing-internal", 0, 0, 0, b"a", value, headers))
    assert not is_cut(StoredRecord("p.summing-internal", 0, 0, 0, None, value, ()))


class DiaryStage(SummingStage):
    """Remembers in its state what came, from where and when: two orders never give the same state."""

    def step(self, state: Sum, inputs: Sequence[Input]) -> tuple[Sum, list[Output]]:
        for each in inputs:
            what = f"{each.origin} " if isinstance(each, Event) else "tick "
            state.total = hash_of(f"{state.total!r} {what} {each.clock}")
        total = state.total
        state, outputs = super().step(state, inputs)
        state.total = total
        return state, outputs


def hash_of(text: str) -> float:
    """A number that every process finds alike."""
    return float(int.from_bytes(text.encode(), "big") % (2**53 - 111))


async def test_the_cuts_read_back_give_the_order_of_processing(
    real_broker: Broker, topic_prefix: str, tmp_path: Path
) -> None:
    live = await Live.on(real_broker.bootstrap_servers, topic_prefix, tmp_path, 4, tick_interval=0.05)
    sent = 0

    async def send(stage_data: str) -> None:
        nonlocal sent
        async with live.worker(DiaryStage(), data=stage_data) as worker:
            for turn in range(12):
                await live.send([1.0, -80.0], partition=(HOME + turn % 2) % 4)  # half of them are forwarded; all wait
                sent += 2
                await asyncio.sleep(0.12 if turn % 3 == 0 else 0)
            await until(lambda: count_in(worker, partition=HOME) == sent)

    await send("one")
    await send("two")  # another disk: restored from the changelog
    await eventually(live.counts, {"a": sent})
    inputs = [*await live.read("metrics"), *await live.read("summing-internal")]
    changelog = [record for record in await live.read("summing-changelog") if not record.key.startswith(b"\0")]
    assert replayed(DiaryStage(), HOME, 4, topic_prefix, inputs) == {b"a": changelog[-1].value}
    assert sum(record.key is not None for record in inputs if record.topic.endswith("internal")) == sent // 2
    assert any(run.ticks for record in inputs if is_cut(record) for run in runs_of(record))


async def test_an_idle_partition_commits_nothing(real_broker: Broker, topic_prefix: str, tmp_path: Path) -> None:
    live = await Live.on(real_broker.bootstrap_servers, topic_prefix, tmp_path, 1, checkpoint_interval=0.05)
    async with live.worker() as worker:
        await live.send([1.0])
        await eventually(live.committed, cast("int | None", 1))
        await asyncio.sleep(1)
        assert count_in(worker) == 1
        assert len(await live.read("summing-internal")) == 1
