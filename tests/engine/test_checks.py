"""What a worker looks at before it begins, and the one line that it stops with."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic
from aiokafka.errors import TransactionalIdAuthorizationFailed, UnsupportedVersionError
from faust.stores.memory import Store as MemoryStore

import streams.checks
import streams.topics
from streams.brokers.broker import Broker
from streams.checks import (
    DataFolderBusy,
    DataFolderUnfit,
    NoTransactions,
    WrongStore,
    check_store,
    check_transactions,
    locked_folder,
)
from streams.settings import LARGEST_RECORD, EngineSettings
from streams.stage_app import StageApp
from streams.store import CheckpointedTable
from streams.topics import TopicsUnfit, WantedTopic, check_topics, create_topics, wanted_topics
from tests.chaos.disk import can_mount, filled, small_disk
from tests.engine.live import Live, until


@pytest.fixture
async def live(real_broker: Broker, topic_prefix: str, tmp_path: Path) -> Live:
    return await Live.on(real_broker.bootstrap_servers, topic_prefix, tmp_path)


# --- the broker


async def test_a_broker_that_accepts_and_says_nothing_is_named_within_the_stated_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streams.topics, "ANSWER_TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(TopicsUnfit, match=rf"no Kafka broker answered at 127\.0\.0\.1:{port} within 0\.3 s"):
            await asyncio.wait_for(check_topics(f"127.0.0.1:{port}", []), 10)


async def test_a_broker_with_transactions_gives_an_id(live: Live) -> None:
    await check_transactions(live.settings, "summing")


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (TransactionalIdAuthorizationFailed(), r"refuses transactional ids that begin with p\.summing-.*at_least_once"),
        (UnsupportedVersionError(), r"knows no transactions.*at_least_once"),
    ],
)
async def test_a_broker_that_refuses_transactions_is_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, problem: Exception, said: str
) -> None:
    async def refuse(_: AIOKafkaProducer) -> None:
        raise problem

    monkeypatch.setattr(AIOKafkaProducer, "start", refuse)
    with pytest.raises(NoTransactions, match=said):
        await check_transactions(EngineSettings("127.0.0.1:1", topic_prefix="p."), "summing")


async def test_a_coordinator_that_never_answers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async def wait(_: AIOKafkaProducer) -> None:
        await asyncio.sleep(3_600)

    monkeypatch.setattr(AIOKafkaProducer, "start", wait)
    monkeypatch.setattr(streams.checks, "TRANSACTION_TIMEOUT", 0.1)
    with pytest.raises(NoTransactions, match=r"no transactional id within 0\.1 s.*replication\.factor"):
        await check_transactions(EngineSettings("127.0.0.1:1", topic_prefix="p."), "summing")


async def test_a_worker_begins_nothing_where_transactions_are_refused(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise NoTransactions("refused")

    monkeypatch.setattr("streams.worker.check_transactions", refuse)
    worker = live.new_worker()
    with pytest.raises(NoTransactions):
        await worker.start()
    await worker.stop()
    assert await live.committed() is None


# --- topics


async def test_a_changelog_that_loses_records_is_refused(real_broker: Broker, topic_prefix: str) -> None:
    settings = EngineSettings(real_broker.bootstrap_servers, topic_prefix=topic_prefix)
    async with Live(settings)._admin() as admin:
        await admin.create_topics([NewTopic(settings.changelog("monitor"), 4, 1)])  # kept for a week
    said = r"monitor-changelog has cleanup\.policy=delete, wanted is compact.*kafka-configs"
    with pytest.raises(TopicsUnfit, match=said):
        await create_topics(real_broker.bootstrap_servers, wanted_topics(settings, ["monitor"]))


async def test_the_check_names_topics_that_take_small_records_or_are_cleaned_otherwise(
    real_broker: Broker, topic_prefix: str
) -> None:
    settings = EngineSettings(real_broker.bootstrap_servers, topic_prefix=topic_prefix)
    wanted = wanted_topics(settings, ["monitor"])
    otherwise = WantedTopic(settings.topic("metrics"), 4, config={"cleanup.policy": "compact"})
    await create_topics(real_broker.bootstrap_servers, [otherwise])
    first = await check_topics(real_broker.bootstrap_servers, wanted)
    assert sum("does not exist" in line for line in first) == len(wanted) - 1
    assert len(first) == len(wanted) + 1  # both at once
    await create_topics(real_broker.bootstrap_servers, wanted)
    policy, size = await check_topics(real_broker.bootstrap_servers, wanted)
    assert "metrics has cleanup.policy=compact, wanted is delete" in policy
    assert f"metrics has max.message.bytes=1048588, wanted is {LARGEST_RECORD}" in size


# --- the data folder and the store


def test_a_data_folder_that_cannot_be_made_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        DataFolderUnfit, match=r"file/monitor cannot be written to: Not a directory.*VISUTILITY_DATA_DIR"
    ):
        locked_folder(tmp_path / "file" / "monitor")


@pytest.mark.skipif(not can_mount(), reason="a small disk can be mounted by root alone")
def test_a_data_folder_on_a_full_disk_is_named_with_the_remedy(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        folder = disk / "monitor"
        locked_folder(folder).close()
        with filled(disk), pytest.raises(DataFolderUnfit, match=r"No space left on device\. Make room"):
            locked_folder(folder)
        locked_folder(folder).close()


def test_a_data_folder_is_held_by_one_and_free_again_afterwards(tmp_path: Path) -> None:
    with locked_folder(tmp_path), pytest.raises(DataFolderBusy, match="give each worker its own data_dir"):
        locked_folder(tmp_path)
    locked_folder(tmp_path).close()
    assert [path.name for path in tmp_path.iterdir()] == ["LOCK"]


async def test_a_store_in_memory_is_refused(app: StageApp, monkeypatch: pytest.MonkeyPatch) -> None:
    check_store(app)
    table = app.tables["summing"]
    assert isinstance(table, CheckpointedTable)
    monkeypatch.setattr(table, "_data", MemoryStore("memory://", app, table, table_name="t"))
    with pytest.raises(WrongStore, match="would be kept in Store, not in RocksDB"):
        check_store(app)


async def test_a_worker_looks_at_its_store(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[StageApp] = []
    monkeypatch.setattr("streams.worker.check_store", seen.append)
    async with live.worker() as worker:
        await until(lambda: worker.ready)
        assert seen == [worker.app("summing")]
