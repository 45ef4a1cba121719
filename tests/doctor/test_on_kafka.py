"""`visutility doctor` on a real Kafka, and without any."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from agents.doctor.checks import examine
from agents.doctor.gather import gather
from agents.settings import Settings
from agents.worker import engine_settings
from schemas.dead_letter import dead_letter_of
from streams.brokers.broker import Broker
from streams.partitioner import partition_of
from streams.topic_log import group_lag, started
from streams.topics import create_topics, wanted_topics
from tests.cli.running import visutility
from tests.inputs.making import Logged, create, kserve
from tests.inputs.making import write as write_logs

NOW = datetime.now(UTC)


def event(model: str, time: datetime = NOW) -> bytes:
    return json.dumps({"type": "metrics", "model_name": model, "timestamp": time.isoformat(), "accuracy": 0.9}).encode()


def told(settings: Settings) -> dict[str, str]:
    """What is wrong, by check."""
    found = asyncio.run(gather(settings, NOW, pause=0.0))
    return {each.check: each.found for each in examine(found) if each.state == "problem"}


@pytest.fixture
def settings(real_broker: Broker, topic_prefix: str, tmp_path: Path) -> Settings:
    return Settings(
        bootstrap_servers=real_broker.bootstrap_servers, topic_prefix=topic_prefix, data_dir=tmp_path, partitions=2
    )


def test_topics_of_inference_servers_are_looked_at(settings: Settings, topic_prefix: str) -> None:
    asyncio.run(make_topics(settings))
    servers, topics = settings.bootstrap_servers or "", [f"{topic_prefix}{name}" for name in ("good", "other", "none")]
    create(servers, *topics[:2])
    write_logs(servers, topics[0], [kserve("m", number, "request") for number in range(3)] + [kserve("m", 9)])
    write_logs(servers, topics[1], [Logged(b"{", []), kserve("m", 1, "unheard-of")])
    inputs = [{"topic": topic, "layout": "kserve"} for topic in topics]
    given = Settings(**settings.model_dump(exclude={"inputs"}, exclude_unset=True), inputs=inputs)
    facts = asyncio.run(gather(given, NOW, pause=0.0))
    good, other, none = facts.inputs
    assert (good.read, good.wrong, good.predictions, good.problem) == (4, (), 1, "")
    assert (other.read, len(other.wrong), other.missing) == (2, 2, False)
    assert (none.missing, none.problem) == (True, f"no topic {topics[2]}")
    told = [(each.check, each.found) for each in examine(facts) if each.check in ("inputs", "lag")]
    assert ("lag", f"no worker has read {topics[0]} yet") in told
    assert len([check for check, found in told if check == "inputs" and found]) == 2


async def write(settings: Settings, *records: tuple[str, bytes | None, bytes, int]) -> None:
    """Topic without prefix, key, value, partition."""
    async with started(AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers)) as producer:
        for topic, key, value, partition in records:
            await producer.send_and_wait(settings.topic_prefix + topic, value, key=key, partition=partition)


async def make_topics(settings: Settings) -> None:
    engine = engine_settings(settings)
    await create_topics(engine.bootstrap_servers, wanted_topics(engine, ["monitor", "retrain", "tuner"]))


def test_mistakes_are_seen_on_the_broker(settings: Settings) -> None:
    asyncio.run(make_topics(settings))
    letter = dead_letter_of(
        reason="no JSON", stage="monitor", topic="metrics", partition=0, offset=0, timestamp=0, key=None, value=b""
    )
    wrong = 1 - partition_of("a", 2)
    future = event("a", NOW + timedelta(days=2))
    asyncio.run(write(settings, ("metrics", None, future, wrong), ("dead-letter", None, letter.to_json(), 0)))
    found = told(settings)
    found.pop("data folder", None)  # the disk of the machine that runs the tests may be full
    assert found == {
        "clocks": "100% of the events are more than 5 min ahead of this machine's clock",
        "dead letters": "1 dead letters in the last hour; 1 of them: no JSON",
        "lag": "no worker has read metrics yet",
        "placement": "100% of the records are in the wrong partition (1 of them have no key): each is sent on once",
    }
    assert "topics" in told(settings.model_copy(update={"partitions": 3}))


def test_a_lag_is_told_once_anything_is_committed(settings: Settings) -> None:
    topic, group = f"{settings.topic_prefix}metrics", f"{settings.topic_prefix}monitor"
    servers = settings.bootstrap_servers or ""

    async def look() -> list[int | None]:
        await make_topics(settings)
        await write(settings, *[("metrics", b"a", event("a"), partition) for partition in (0, 0, 1)])
        lags = [await group_lag(servers, group, [topic])]
        consumer = AIOKafkaConsumer(bootstrap_servers=servers, group_id=group, enable_auto_commit=False)
        async with started(consumer):
            consumer.assign([TopicPartition(topic, 0)])
            await consumer.commit({TopicPartition(topic, 0): 1})
        return [*lags, await group_lag(servers, group, [topic])]

    assert asyncio.run(look()) == [None, 2]


def test_the_command_says_what_to_do_and_fails(
    unused_tcp_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VISUTILITY_BOOTSTRAP_SERVERS", f"127.0.0.1:{unused_tcp_port}")
    ran = visutility("doctor", "--json")
    assert (ran.status, ran.json["healthy"]) == (1, False)
    assert "amiss; the first: broker: no Kafka broker answers" in ran.err
    assert ran.json["findings"][0]["found"].startswith(f"no Kafka broker answers at 127.0.0.1:{unused_tcp_port}")
    assert "set bootstrap_servers" in visutility("doctor").out
