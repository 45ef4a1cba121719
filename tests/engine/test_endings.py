"""What becomes of a partition that ends in the middle of something: nothing half-done may reach disk or broker."""

from __future__ import annotations

import asyncio

import pytest

import streams.owner
from streams.owner import PartitionOwner
from streams.processor import TooManyFailures
from streams.settings import EngineSettings
from streams.stage_app import StageApp
from streams.store import CheckpointedTable
from tests.engine.counting import Sum, SummingStage
from tests.engine.fakes import INTERNAL, METRICS, FakeKafka, FakeOutbox, batch
from tests.engine.live import until


def table_of(app: StageApp) -> CheckpointedTable:
    table = app.tables["summing"]
    assert isinstance(table, CheckpointedTable)
    return table


def opened(app: StageApp, outbox: FakeOutbox, **options: int) -> PartitionOwner[Sum]:
    settings = EngineSettings("127.0.0.1:1", topic_prefix="p.", partitions=1, **options)  # type: ignore[arg-type]
    owner = PartitionOwner(SummingStage(), 0, settings, table_of(app), outbox)
    owner.open({METRICS: 0, INTERNAL: 0})
    return owner


def on_disk(app: StageApp) -> tuple[int, int]:
    """The changelog position that RocksDB claims, and the count it holds, when all that is committed is written."""
    store = table_of(app).store
    store.write_all(0)
    data = store._db_for_partition(0).get(b"a")
    return store.position(0), 0 if data is None else SummingStage().decode_state("a", data).count


async def committing(owner: PartitionOwner[Sum], outbox: FakeOutbox) -> asyncio.Task[None]:
    """A checkpoint whose transaction the broker has not answered."""
    outbox.gate.clear()
    task = asyncio.create_task(owner.checkpoint())
    await asyncio.sleep(0)
    return task


async def test_a_commit_that_lands_after_the_partition_was_given_up_is_left_to_the_next_restore(app: StageApp) -> None:
    outbox = FakeOutbox(FakeKafka())
    owner = opened(app, outbox)
    owner.process(batch(0, 4))
    late = await committing(owner, outbox)
    await owner.close()
    outbox.gate.set()
    await asyncio.wait({late})
    assert outbox.kafka.offsets[METRICS] == 4
    assert on_disk(app) == (0, 0)  # a position without its values would lose them for ever


async def test_a_late_failure_of_the_former_owner_does_not_touch_what_the_next_one_has(app: StageApp) -> None:
    outbox = FakeOutbox(FakeKafka())
    former = opened(app, outbox)
    former.process(batch(0, 4))
    late = await committing(former, outbox)
    await former.close()
    owner = opened(app, FakeOutbox(FakeKafka()))
    owner.process(batch(0, 7))
    outbox.problem = ConnectionError("gone")
    outbox.gate.set()
    await asyncio.wait({late})
    assert isinstance(late.exception(), ConnectionError)
    assert owner.processor.state("a").count == 7


async def test_a_late_commit_of_the_former_owner_does_not_write_what_the_next_one_has_not_committed(
    app: StageApp,
) -> None:
    former_outbox, outbox = FakeOutbox(FakeKafka()), FakeOutbox(FakeKafka())
    former = opened(app, former_outbox)
    former.process(batch(0, 4))
    late = await committing(former, former_outbox)
    await former.close()
    owner = opened(app, outbox)
    owner.process(batch(0, 7))
    running = await committing(owner, outbox)
    former_outbox.gate.set()
    await asyncio.wait({late})
    assert on_disk(app) == (0, 0)
    outbox.gate.set()
    await running
    assert on_disk(app) == (3, 7)  # the state, the positions, and the format of the table


async def test_a_batch_that_raises_half_way_reaches_no_checkpoint(app: StageApp) -> None:
    outbox = FakeOutbox(FakeKafka())
    owner = opened(app, outbox, max_failures=1)
    owner.process(batch(0, 2))
    with pytest.raises(TooManyFailures):
        owner.process(batch(2, 6, {2: 1.0, 3: 5000.0, 4: 5000.0, 5: 5000.0}))
    assert not owner.is_open
    await owner.checkpoint()
    assert (outbox.kafka.offsets, on_disk(app)) == ({}, (0, 0))


async def test_a_tick_that_raises_half_way_reaches_no_checkpoint(
    app: StageApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = FakeOutbox(FakeKafka())
    owner = opened(app, outbox, max_failures=1)
    owner.process(batch(0, 1, {0: -5.0}))
    owner.process(batch(1, 2, {1: -5.0}, model="b"))
    monkeypatch.setattr(SummingStage, "encode_state", lambda self, state: 1 / 0)
    with pytest.raises(TooManyFailures):
        owner.tick(10)
    monkeypatch.undo()
    await owner.checkpoint()
    assert outbox.kafka.offsets == {}


async def test_a_batch_that_ends_before_the_expected_position_does_not_turn_it_back(app: StageApp) -> None:
    owner = opened(app, FakeOutbox(FakeKafka()))
    owner.process(batch(0, 5))
    owner.process(batch(1, 3))
    owner.process(batch(3, 6))
    assert (owner.expected[METRICS], owner.processor.state("a").count) == (6, 6)


async def test_the_agent_waits_while_two_checkpoints_worth_of_records_is_in_memory(app: StageApp) -> None:
    owner = opened(app, FakeOutbox(FakeKafka()), checkpoint_records=10)
    owner.process(batch(0, 19))
    await asyncio.wait_for(owner.wait_for_room(), 1)
    owner.process(batch(19, 20))
    waiting = asyncio.create_task(owner.wait_for_room())
    await asyncio.sleep(0)
    assert not waiting.done()
    await owner.checkpoint()
    await asyncio.wait_for(waiting, 1)


@pytest.fixture
def two_states(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint has to have no more bytes than two states of the stage."""
    size = len(SummingStage().encode_state(Sum("a", 1)) or b"")
    monkeypatch.setattr(streams.owner, "CHECKPOINT_BYTES", 2 * size)


@pytest.mark.usefixtures("two_states")
async def test_large_states_are_checkpointed_however_few_records_they_are_of(app: StageApp) -> None:
    outbox = FakeOutbox(FakeKafka())
    owner = opened(app, outbox, checkpoint_interval=3_600)
    running = asyncio.create_task(owner.run())
    owner.process(batch(0, 1))
    owner.process(batch(1, 2))  # of the same model: its state is there once
    await asyncio.sleep(0.1)
    assert not outbox.kafka.offsets
    owner.process(batch(2, 3, model="b"))
    await until(lambda: outbox.kafka.offsets.get(METRICS) == 3, 5)
    await owner.close()
    await running


@pytest.mark.usefixtures("two_states")
async def test_the_agent_waits_while_two_checkpoints_worth_of_states_is_in_memory(app: StageApp) -> None:
    owner = opened(app, FakeOutbox(FakeKafka()))
    for number, model in enumerate("abc"):
        owner.process(batch(number, number + 1, model=model))
    await asyncio.wait_for(owner.wait_for_room(), 1)
    owner.process(batch(3, 4, model="d"))
    waiting = asyncio.create_task(owner.wait_for_room())
    await asyncio.sleep(0)
    assert not waiting.done()
    await owner.checkpoint()
    await asyncio.wait_for(waiting, 1)


async def test_whoever_waits_for_room_is_let_go_when_the_partition_is_given_up(app: StageApp) -> None:
    owner = opened(app, FakeOutbox(FakeKafka()), checkpoint_records=10)
    owner.process(batch(0, 20))
    waiting = asyncio.create_task(owner.wait_for_room())
    await owner.close()
    await asyncio.wait_for(waiting, 1)


async def test_enough_records_are_checkpointed_before_the_interval(app: StageApp) -> None:
    outbox = FakeOutbox(FakeKafka())
    owner = opened(app, outbox, checkpoint_records=2, checkpoint_interval=3_600)
    running = asyncio.create_task(owner.run())
    owner.process(batch(0, 2))
    await until(lambda: bool(outbox.kafka.offsets), 5)
    await owner.close()
    await running


async def test_the_interval_is_enough_where_nothing_else_asks_for_a_checkpoint(app: StageApp) -> None:
    outbox = FakeOutbox(FakeKafka())
    owner = opened(app, outbox, checkpoint_interval=0.01)  # type: ignore[arg-type]
    running = asyncio.create_task(owner.run())
    owner.process(batch(0, 1))
    await until(lambda: bool(outbox.kafka.offsets), 5)
    await owner.close()
    await running
