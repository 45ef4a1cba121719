from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest
from aiokafka import ConsumerRecord
from faust.types import TP

from streams.app import make_app
from streams.batch import Batch
from streams.changed import Changes
from streams.owner import Commit, Gap, PartitionOwner
from streams.processor import Processor
from streams.records import FetchedRecords, Forward, Output
from streams.settings import EngineSettings
from streams.stage_app import StageApp
from streams.store import CheckpointedTable, PartitionTable
from tests.engine.counting import Sum, SummingStage, score_bytes
from tests.engine.fakes import apart

METRICS, INTERNAL = TP("p.metrics", 0), TP("p.summing-internal", 0)


class MemoryOutbox:
    """A fake of the broker's side: keeps what was committed; can be made to fail, or to wait half-way."""

    def __init__(self) -> None:
        self.changelog: list[tuple[bytes, bytes | None]] = []
        self.outputs: list[Output | Forward] = []
        self.offsets: dict[TP, int] = {}
        self.problem: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def start(self) -> None: ...

    async def publish(
        self, changes: Changes, outputs: Sequence[Output | Forward], offsets: Mapping[TP, int]
    ) -> int | None:
        await self.gate.wait()
        if self.problem is not None:
            raise self.problem
        self.changelog += changes.items()
        self.outputs += apart(outputs)[0]
        self.offsets |= offsets
        return len(self.changelog) if changes else None

    async def stop(self) -> None: ...


class Witness:
    """A listener that remembers."""

    wants_events = True

    def __init__(self) -> None:
        self.seen: list[tuple[str, object]] = []
        self.events: list[int] = []

    def opened(self, partition: int, processor: Processor[Sum]) -> None:
        self.seen.append(("opened", partition))

    def committed(self, partition: int, processor: Processor[Sum], commit: Commit) -> None:
        self.seen.append(("committed", frozenset(commit.keys)))
        self.events += [event.origin.offset for event in commit.events]

    def closed(self, partition: int) -> None:
        self.seen.append(("closed", partition))


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[StageApp]:
    settings = EngineSettings("127.0.0.1:1", topic_prefix="p.", partitions=1, data_dir=tmp_path)
    app = make_app(SummingStage(), settings)
    app.finalize()
    (tmp_path / "summing").mkdir()
    app._create_directories()
    yield app
    table_of(app).store._dbs.clear()


def table_of(app: StageApp) -> CheckpointedTable:
    table = app.tables["summing"]
    assert isinstance(table, CheckpointedTable)
    return table


def owner_of(app: StageApp, outbox: MemoryOutbox, witness: Witness | None = None) -> PartitionOwner[Sum]:
    listeners = [witness] if witness else []
    owner = PartitionOwner(SummingStage(), 0, app.engine.settings, table_of(app), outbox, listeners)
    owner.open({METRICS: 0, INTERNAL: 0})
    return owner


def batch(begin: int, end: int, scores: Mapping[int, float] | None = None) -> Batch:
    """Records at the given offsets; by default one of 1.0 at each offset of the range."""
    values = dict.fromkeys(range(begin, end), 1.0) if scores is None else scores
    records = [
        ConsumerRecord("p.metrics", 0, offset, 1, 0, b"a", score_bytes("a", value), None, 1, 1, ())
        for offset, value in values.items()
    ]
    return Batch("p.metrics", 0, begin, end, FetchedRecords("p.metrics", 0, records))


def stored(app: StageApp) -> Sum:
    """What RocksDB alone holds when all that is committed is written."""
    table = table_of(app)
    table.store.write_all(0)
    data = table.store._db_for_partition(0).get(b"a")
    return Sum("a") if data is None else SummingStage().decode_state("a", data)


async def test_rocksdb_is_given_committed_state_only(app: StageApp) -> None:
    owner = owner_of(app, MemoryOutbox())
    owner.process(batch(0, 4))
    assert owner.processor.state("a").count == 4
    assert stored(app).count == 0
    await owner.checkpoint()
    assert stored(app).count == 4
    assert table_of(app).store.position(0) == 3  # the state, the positions, and the format of the table


async def test_offsets_state_and_outputs_are_those_of_one_moment(app: StageApp) -> None:
    outbox = MemoryOutbox()
    owner = owner_of(app, outbox)
    owner.process(batch(0, 4))
    outbox.gate.clear()
    checkpoint = asyncio.ensure_future(owner.checkpoint())
    await asyncio.sleep(0)
    owner.process(batch(4, 7))  # while it commits: belongs to the next
    outbox.gate.set()
    await checkpoint
    assert outbox.offsets[METRICS] == 4
    assert stored(app).count == 4
    assert len(outbox.outputs) == 1
    assert owner.processor.state("a").count == 7
    await owner.checkpoint()
    assert (outbox.offsets[METRICS], stored(app).count, len(outbox.outputs)) == (7, 7, 2)


async def test_what_a_failed_transaction_held_is_dropped_and_the_partition_closed(app: StageApp) -> None:
    outbox, witness = MemoryOutbox(), Witness()
    owner = owner_of(app, outbox, witness)
    owner.process(batch(0, 2))
    await owner.checkpoint()
    owner.process(batch(2, 5))
    outbox.problem = ConnectionError("gone")
    with pytest.raises(ConnectionError):
        await owner.checkpoint()
    assert not owner.is_open
    assert PartitionTable(table_of(app), 0)[b"a"] == SummingStage().encode_state(Sum("a", 2, 2.0))
    assert witness.seen == [("opened", 0), ("committed", frozenset("a")), ("closed", 0)]
    outbox.problem = None
    await owner.checkpoint()
    assert outbox.offsets[METRICS] == 2
    assert witness.events == [0, 1]


async def test_positions_decide_what_is_applied_not_the_records_offsets(app: StageApp) -> None:
    outbox = MemoryOutbox()
    owner = owner_of(app, outbox)
    owner.process(batch(0, 5, {0: 1.0, 3: 1.0}))  # offsets 1, 2 and 4 are markers or aborted
    owner.process(batch(5, 6, {}))  # nothing but a marker
    owner.process(batch(2, 6))  # seen before a seek: dropped whole
    owner.process(batch(4, 8))  # overlaps: only 6 and 7 are new
    assert owner.processor.state("a").count == 4
    with pytest.raises(Gap) as gap:
        owner.process(batch(9, 10))
    assert gap.value.expected == 8
    await owner.checkpoint()
    assert outbox.offsets[METRICS] == 8


async def test_a_batch_of_markers_alone_is_committed(app: StageApp) -> None:
    outbox = MemoryOutbox()
    owner = owner_of(app, outbox)
    owner.process(batch(0, 2, {}))
    await owner.checkpoint()
    assert outbox.offsets[METRICS] == 2


async def test_nothing_is_published_when_nothing_was_processed(app: StageApp) -> None:
    outbox = MemoryOutbox()
    outbox.problem = AssertionError("published")
    await owner_of(app, outbox).checkpoint()


async def test_an_output_does_not_wait_for_the_interval(app: StageApp) -> None:
    outbox = MemoryOutbox()
    owner = owner_of(app, outbox)
    running = asyncio.ensure_future(owner.run())
    owner.process(batch(0, 3))  # the third makes an output
    while not outbox.outputs:  # noqa: ASYNC110 - what is waited for is the owner's own doing
        await asyncio.sleep(0.01)
    await owner.close()
    await running
    assert outbox.offsets[METRICS] == 3
