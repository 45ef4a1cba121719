"""The Faust app of one stage: its own consumer group, table and transactional producers. Nothing happens at import."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, TypeVar, cast

import faust
from faust.types import StreamT

from streams.batch import Batch
from streams.clients import faust_credentials
from streams.engine import Engine, InputConsumer
from streams.owner import Listener
from streams.recovery import EngineTables
from streams.settings import EngineSettings
from streams.stage import Stage
from streams.stage_app import StageApp
from streams.store import CheckpointedTable
from streams.transport import BatchTransport

S = TypeVar("S")

#: Bytes of one fetch of a partition, at most: half of what aiokafka asks for at once, so that all are alike.
FETCH_BYTES = 25 * 2**20

#: Seconds between two looks at the topics: whether they are still the same.
WATCH_INTERVAL = 10.0

#: Seconds between two times at which all that is committed goes to the disk (see `streams.start.MAX_AGE`).
SAVE_INTERVAL = 3600.0

#: Batches that wait between the fetcher and the agent.
WAITING_BATCHES = 2


def input_topics(stage: Stage[Any], settings: EngineSettings) -> list[str]:
    """What a stage reads, by its names on Kafka: its topics and its internal one."""
    return [settings.topic(name) for name in (*stage.topics, f"{stage.name}-internal")]


def make_app(stage: Stage[S], settings: EngineSettings, listeners: Sequence[Listener[S]] = ()) -> StageApp:
    """Build the app of a stage; call within a running event loop. Starting it joins the group and begins to work."""
    inputs = input_topics(stage, settings)
    app = StageApp(
        settings.group(stage.name),
        broker=[f"kafka://{server}" for server in settings.bootstrap_servers.split(",")],
        store="rocksdb://",
        datadir=str(settings.data_dir / stage.name),
        topic_partitions=settings.partitions,
        topic_allow_declare=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        broker_session_timeout=settings.session_timeout,
        broker_heartbeat_interval=settings.session_timeout / 5,
        consumer_max_fetch_size=FETCH_BYTES,
        stream_buffer_maxsize=WAITING_BATCHES,
        stream_recovery_delay=0.0,
        table_standby_replicas=0,
        web_enabled=False,
        broker_credentials=faust_credentials(settings.connection),
        TableManager=EngineTables,
    )
    app.transport = BatchTransport(app.conf.broker_consumer, app)
    app.engine = Engine(stage, inputs, settings, listeners)
    table = _table(app, stage, settings)
    app.engine.attach(table, lambda: cast(InputConsumer, app.consumer))
    _agent(app, inputs)
    _ticker(app, settings)
    _watcher(app)
    _saver(app)
    return app


def _table(app: StageApp, stage: Stage[Any], settings: EngineSettings) -> CheckpointedTable:
    changelog = app.topic(
        settings.changelog(stage.name),
        partitions=settings.partitions,
        key_serializer="raw",
        value_serializer="raw",
        compacting=True,
    )
    table = CheckpointedTable(
        app,
        name=stage.name,
        partitions=settings.partitions,
        changelog_topic=changelog,
        schema=faust.Schema(key_serializer="raw", value_serializer="raw"),
        key_type=bytes,
        value_type=bytes,
    )
    app.tables.add(table)
    return table


def _agent(app: StageApp, inputs: Sequence[str]) -> None:
    source = app.topic(*inputs, key_serializer="raw", value_serializer="raw")

    async def process(batches: StreamT[Batch]) -> None:
        async for batch in batches:
            await app.engine.process(batch)

    app.agent(source, name=f"{app.conf.id}.process")(process)


def _ticker(app: StageApp, settings: EngineSettings) -> None:
    async def tick() -> None:
        while not app.should_stop:
            await asyncio.sleep(settings.tick_interval)
            try:
                app.engine.tick(asyncio.get_running_loop().time())
            except Exception as problem:
                app.engine.fail(problem)
                raise

    app.task(tick)


def _watcher(app: StageApp) -> None:
    async def watch() -> None:
        while not app.should_stop:
            await app.sleep(WATCH_INTERVAL)
            await app.engine.watch()

    app.task(watch)


def _saver(app: StageApp) -> None:
    async def save() -> None:
        while not app.should_stop:
            await app.sleep(SAVE_INTERVAL)
            try:
                await app.engine.save()
            except Exception as problem:
                app.engine.fail(problem)
                raise

    app.task(save)
