"""Runs on the topic: keyed by the model, seen by every program as they happen, whoever wrote them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from agents.tracking import StoreError, Tracker
from agents.tracking.kafka import KafkaStore
from agents.tracking.runs import Record
from schemas.experiments import EpochEnd
from streams.brokers.broker import Broker
from streams.settings import EngineSettings
from streams.topic_log import TopicMissing, ToSend, publish, read_to_end
from streams.topics import create_topics, wanted_topics


@pytest.fixture
async def prefix(broker: Broker, topic_prefix: str) -> str:
    """A prefix whose topics are there."""
    settings = EngineSettings(bootstrap_servers=broker.bootstrap_servers, topic_prefix=topic_prefix)
    await create_topics(broker.bootstrap_servers, wanted_topics(settings, []))
    return topic_prefix


async def within(seconds: float, true: Callable[[], bool]) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 (another consumer tells nobody what it has read)
            await asyncio.sleep(0.02)


async def test_every_call_is_one_message_keyed_by_the_model(broker: Broker, prefix: str) -> None:
    tracker = Tracker(await KafkaStore.open(broker.bootstrap_servers, prefix))
    run_id = await tracker.start_run({"lr": 0.1}, model_name="digits")
    await tracker.log_epoch_metrics(run_id, 0, {"loss": 0.7})
    await tracker.end_run(run_id)
    await tracker.close()
    records = [record async for record in read_to_end(broker.bootstrap_servers, f"{prefix}experiments")]
    assert {record.key for record in records} == {b"digits"}
    assert [dict(record.headers)["ce_type"] for record in records] == [
        b"visutility.run_start", b"visutility.epoch_end", b"visutility.training_end",
    ]  # fmt: skip


async def test_subscribers_are_told_of_what_other_programs_record(broker: Broker, prefix: str) -> None:
    watching = Tracker(await KafkaStore.open(broker.bootstrap_servers, prefix))
    training = Tracker(await KafkaStore.open(broker.bootstrap_servers, prefix))
    told: list[Record] = []
    watching.subscribe(told.append)
    run_id = await training.start_run(model_name="digits")
    await training.log_epoch_metrics(run_id, 0, {"loss": 0.7})
    await within(20, lambda: len(told) == 2)
    assert isinstance(told[1], EpochEnd)
    assert (await watching.get_run(run_id)).epochs == {0: {"loss": 0.7}}
    for each in (watching, training):
        await each.close()


async def test_trainers_in_any_language_write_the_same_runs(broker: Broker, prefix: str) -> None:
    lines = [
        b'{"type": "run_start", "run_id": "r1", "model_name": "digits", "timestamp": 1748779200, "params": {"a": 1}}',
        b"not a message",
        b'{"type": "epoch_end", "run_id": "r1", "model_name": "m", "timestamp": 1748779201, "epoch": 0, "metrics": {}}',
    ]
    await publish(broker.bootstrap_servers, [ToSend(f"{prefix}experiments", b"digits", line) for line in lines])
    tracker = Tracker(await KafkaStore.open(broker.bootstrap_servers, prefix))
    run = await tracker.get_run("r1")
    assert (run.params, run.epochs) == ({"a": 1}, {0: {}})
    await tracker.end_run("r1")
    await tracker.close()


async def test_a_missing_topic_is_named(broker: Broker, topic_prefix: str) -> None:
    with pytest.raises(TopicMissing, match=f"no topic {topic_prefix}experiments"):
        await KafkaStore.open(broker.bootstrap_servers, topic_prefix)


async def test_a_closed_store_keeps_nothing_more(broker: Broker, prefix: str) -> None:
    tracker = Tracker(await KafkaStore.open(broker.bootstrap_servers, prefix))
    run_id = await tracker.start_run(model_name="digits")
    await tracker.close()
    with pytest.raises((StoreError, RuntimeError)):
        await tracker.log_epoch_metrics(run_id, 0, {"loss": 0.7})
