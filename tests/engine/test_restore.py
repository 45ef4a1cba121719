"""State from a changelog on a real broker."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streams.brokers.broker import Broker
from streams.identity import StateMismatch
from streams.restore import restore
from streams.settings import EngineSettings
from streams.store import CheckpointedTable, PartitionTable
from tests.engine.live import Live


@pytest.fixture
async def live(real_broker: Broker, topic_prefix: str, tmp_path: Path) -> Live:
    """With a changelog from which records may be removed."""
    settings = EngineSettings(real_broker.bootstrap_servers, topic_prefix=topic_prefix, partitions=1, data_dir=tmp_path)
    live = Live(settings)
    async with live._admin() as admin:
        assert isinstance(admin, AIOKafkaAdminClient)
        await admin.create_topics([NewTopic(settings.changelog("summing"), 1, 1)])
    return live


async def change(live: Live, changes: dict[bytes, bytes | None], *, commit: bool = True) -> None:
    """One transaction into the changelog."""
    topic = live.settings.changelog("summing")
    async with live.producer(transactional_id=f"{topic}-writer") as producer:
        await producer.begin_transaction()
        for key, value in changes.items():
            await producer.send_and_wait(topic, value, key=key, partition=0)
        await (producer.commit_transaction() if commit else producer.abort_transaction())


async def restored(live: Live, table: CheckpointedTable) -> int:
    return await restore(live.settings, "summing", 0, table.store, lambda: True)


async def test_the_state_is_what_committed_transactions_left(live: Live, table: CheckpointedTable) -> None:
    await change(live, {b"a": b"1", b"b": b"1", b"c": b"1"})
    await change(live, {b"a": b"aborted", b"d": b"aborted"}, commit=False)
    await change(live, {b"b": b"2", b"c": None})
    await change(live, {b"a": b"aborted at the end"}, commit=False)
    assert await restored(live, table) == 5
    assert dict(PartitionTable(table, 0)) == {b"a": b"1", b"b": b"2"}
    assert table.store.position(0) == 12  # eight records, whether they count or not, and four markers


async def test_only_what_is_new_is_read(live: Live, table: CheckpointedTable) -> None:
    await change(live, {b"a": b"1"})
    assert await restored(live, table) == 1
    assert await restored(live, table) == 0
    await change(live, {b"a": b"2"})
    assert await restored(live, table) == 1
    assert dict(PartitionTable(table, 0)) == {b"a": b"2"}


async def test_a_changelog_is_read_a_piece_at_a_time(
    live: Live, table: CheckpointedTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.restore.BATCH_RECORDS", 2)
    await change(live, {b"%d" % number: b"1" for number in range(7)})
    async with asyncio.timeout(20):
        assert await restored(live, table) == 7
    assert len(dict(PartitionTable(table, 0))) == 7


async def test_an_empty_changelog_is_an_empty_state(live: Live, table: CheckpointedTable) -> None:
    assert await restored(live, table) == 0
    assert table.store.position(0) == 0


async def test_a_partition_that_is_not_wanted_any_more_is_left(live: Live, table: CheckpointedTable) -> None:
    await change(live, {b"a": b"1"})
    assert await restore(live.settings, "summing", 0, table.store, lambda: False) == 0
    assert table.store.position(0) == 0


async def test_a_disk_ahead_of_its_changelog_is_refused(live: Live, table: CheckpointedTable) -> None:
    await change(live, {b"a": b"1"})
    table.store.write_committed(0, [(b"z", b"1")], 100)
    with pytest.raises(StateMismatch, match=r"ends at 2, but the data folder has state up to 100.*Remove .*t-0\.db"):
        await restored(live, table)


async def test_a_disk_whose_continuation_is_gone_is_refused(live: Live, table: CheckpointedTable) -> None:
    await change(live, {b"a": b"1"})
    await restored(live, table)
    await change(live, {b"a": b"2", b"b": b"2", b"c": b"2"})
    await live.cut("summing-changelog", 4)
    with pytest.raises(StateMismatch, match=r"begins at 4, but the data folder has state up to 2.*Remove .*t-0\.db"):
        await restored(live, table)
    table.store.wipe(0)
    with pytest.raises(StateMismatch, match=r"begins at 4: what lay before is gone, and state with it"):
        await restored(live, table)
