"""The registry on Kafka: what one program registers all see, from the topic alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiokafka import TopicPartition

from agents.registry.actions import ActionRefused, By
from agents.registry.artifacts import ArtifactStore
from agents.registry.client import ModelRegistry
from agents.registry.view import ModelNotFound
from schemas.message import Message
from schemas.models import ModelAlias
from streams.brokers.broker import Broker
from streams.partitioner import partition_of
from streams.settings import EngineSettings
from streams.topic_log import TopicFollower, TopicMissing, ToSend, publish, read_to_end
from streams.topics import create_topics, wanted_topics
from tests.registry.making import at

BY = By("ada", at(1))

Open = Callable[[], ModelRegistry]


@pytest.fixture
async def registry(broker: Broker, topic_prefix: str, tmp_path: Path) -> Open:
    """How each program opens the registry; the topics are there."""
    settings = EngineSettings(bootstrap_servers=broker.bootstrap_servers, topic_prefix=topic_prefix, partitions=4)
    await create_topics(broker.bootstrap_servers, wanted_topics(settings, []))
    store = ArtifactStore(tmp_path / "artifacts")
    return lambda: ModelRegistry(broker.bootstrap_servers, topic_prefix=topic_prefix, artifacts=store)


async def within(seconds: float, true: Callable[[], bool]) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 (what another consumer has read tells nobody)
            await asyncio.sleep(0.02)


async def test_what_was_registered_is_there_for_who_comes_later(registry: Open) -> None:
    async with registry() as one:
        made = await one.register("digits", "1", b"the model", BY)
        assert one.view.latest("digits") == made
        await one.promote("digits", "1", BY)
        assert one.view.champion("digits") == made
    async with registry() as other:
        assert other.view.champion("digits") == made
        assert await other.load(made) == b"the model"


async def test_a_view_follows_what_others_do(registry: Open) -> None:
    told: list[tuple[str, Message | None]] = []
    async with registry() as watching, registry() as acting:
        with pytest.raises(ModelNotFound):
            watching.view.latest("digits")
        stop = watching.subscribe(lambda key, message: told.append((key, message)))
        for number in "12":
            await acting.register("digits", number, number.encode(), BY)
            await acting.promote("digits", number, BY)
        await within(20, lambda: len(told) == 4)
        assert watching.view.champion("digits").version == "2"
        await acting.rollback("digits", BY)
        await within(20, lambda: len(told) == 5)
        stop()
        await acting.retire("digits", BY)
        await within(20, lambda: watching.view.is_retired("digits"))
    assert [key for key, _ in told] == ["digits/1", "digits@champion", "digits/2", "digits@champion", "digits@champion"]
    rolled_back = told[-1][1]
    assert isinstance(rolled_back, ModelAlias)
    assert (rolled_back.version, rolled_back.previous, rolled_back.actor) == ("1", [], "ada")


async def test_records_of_a_model_meet_in_the_partition_of_its_name(
    registry: Open, broker: Broker, topic_prefix: str
) -> None:
    async with registry() as one:
        for number in "12345":
            await one.register("digits", number, number.encode(), BY)
        await one.promote("digits", "5", BY)
    records = [record async for record in read_to_end(broker.bootstrap_servers, f"{topic_prefix}models")]
    assert {record.partition for record in records} == {partition_of("digits", 4)}
    assert [record.key for record in records] == [*(f"digits/{n}".encode() for n in "12345"), b"digits@champion"]
    assert all(dict(record.headers)["ce_type"] for record in records)


async def test_what_is_refused_leaves_no_record(registry: Open, broker: Broker, topic_prefix: str) -> None:
    async with registry() as one:
        await one.register("digits", "1", b"the model", BY)
        refused: list[Awaitable[object]] = [one.register("digits", "1", b"another", BY), one.rollback("other", BY)]
        for each in refused:
            with pytest.raises((ActionRefused, ModelNotFound)):
                await each
    assert len([record async for record in read_to_end(broker.bootstrap_servers, f"{topic_prefix}models")]) == 1


async def test_what_is_no_record_of_the_registry_is_left_out(registry: Open, broker: Broker, topic_prefix: str) -> None:
    topic = f"{topic_prefix}models"
    foreign = [(b"digits/1", b"{"), (b"\xff", None), (b"digits", None)]
    await publish(broker.bootstrap_servers, [ToSend(topic, key, value) for key, value in foreign])
    async with registry() as one:
        assert one.view.models() == []
        await one.register("digits", "1", b"the model", BY)


async def test_a_subscriber_that_fails_does_not_stop_the_others(registry: Open) -> None:
    told: list[str] = []

    def fails(key: str, message: Message | None) -> None:
        raise RuntimeError(key)

    async with registry() as one:
        one.subscribe(fails)
        one.subscribe(lambda key, message: told.append(key))
        await one.register("digits", "1", b"the model", BY)
    assert told == ["digits/1"]


async def test_a_missing_topic_is_named_and_not_created(broker: Broker, topic_prefix: str) -> None:
    for _ in range(2):
        with pytest.raises(TopicMissing, match=f"no topic {topic_prefix}models"):
            async with ModelRegistry(broker.bootstrap_servers, topic_prefix=topic_prefix):
                pass


async def test_who_waits_for_a_reader_that_failed_gets_its_error(
    registry: Open, broker: Broker, topic_prefix: str
) -> None:
    def fails(record: object) -> None:
        raise RuntimeError("cannot apply")

    topic = f"{topic_prefix}models"
    async with TopicFollower(broker.bootstrap_servers, topic, fails) as follower:
        ((place, offset),) = await publish(broker.bootstrap_servers, [ToSend(topic, b"k", b"v")])
        with pytest.raises(RuntimeError, match="cannot apply"):
            await follower.passed(place, offset)
    with pytest.raises(RuntimeError, match="cannot apply"):
        await follower.passed(TopicPartition(topic, 0), 10_000)
