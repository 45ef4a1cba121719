"""An app of the summing stage whose engine talks to a fake broker and whose table is on disk."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import cast

import pytest
from faust import App

import streams.engine
from streams.app import make_app
from streams.settings import EngineSettings
from streams.stage_app import StageApp
from streams.store import CheckpointedTable
from tests.engine.bench import Bench
from tests.engine.counting import SummingStage
from tests.engine.fakes import FakeKafka, FakeOutbox


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[StageApp]:
    """Not started."""
    settings = EngineSettings("127.0.0.1:1", topic_prefix="p.", partitions=1, data_dir=tmp_path, session_timeout=0.2)
    app = make_app(SummingStage(), settings)
    app.finalize()
    (tmp_path / "summing").mkdir()
    app._create_directories()
    yield app
    cast(CheckpointedTable, app.tables["summing"]).store._dbs.clear()


@pytest.fixture
def table(tmp_path: Path) -> Iterator[CheckpointedTable]:
    """Of two partitions, on disk; its app is not started."""
    app = App("table-test", broker="kafka://127.0.0.1:1", store="rocksdb://", datadir=str(tmp_path))
    app.finalize()
    app._create_directories()
    table = CheckpointedTable(app, name="t", partitions=2, key_type=bytes, value_type=bytes)
    yield table
    table.store._dbs.clear()


@pytest.fixture
async def bench(app: StageApp, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    kafka, table = FakeKafka(), app.tables["summing"]
    assert isinstance(table, CheckpointedTable)
    bench = Bench(app.engine, kafka)
    monkeypatch.setattr(streams.engine, "TransactionalOutbox", lambda *_: FakeOutbox(kafka))
    monkeypatch.setattr(streams.engine, "restore", bench.restore)
    monkeypatch.setattr(streams.engine, "RETRY_DELAY", 0.01)
    app.engine.attach(table, lambda: bench.consumer)
    yield bench
    await app.engine.stop(0.1)
