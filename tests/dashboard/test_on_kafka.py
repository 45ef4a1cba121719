"""The dashboard on real Kafka: it tells what the topics hold, and what is done in it is on the topics."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from aiokafka.errors import KafkaError
from confluent_kafka import Producer

from agents.cli import kafka
from agents.cli.kafka import ToSend
from agents.dashboard.access import Access, hashed
from agents.dashboard.publisher import Publisher
from agents.dashboard.server import kafka_app
from agents.dashboard.source import KafkaSource
from agents.registry.actions import Change
from agents.registry.client import record_of
from agents.settings import Settings
from agents.settings.dashboard import DashboardToken
from agents.worker import engine_settings
from schemas.message import OutputMessage
from schemas.models import alias_key, version_key
from streams.brokers.broker import Broker
from streams.topics import create_topics, wanted_topics
from tests.dashboard.making import MODEL, drift, letter, status
from tests.dashboard.serving import Client, served
from tests.registry.making import alias, version

ADA = DashboardToken(name="ada", role="operate", sha256=hashed("ada's"))


@pytest.fixture
def settings(real_broker: Broker, topic_prefix: str) -> Settings:
    """Settings of topics that are there."""
    made = Settings(bootstrap_servers=real_broker.bootstrap_servers, topic_prefix=topic_prefix)
    create(made)
    return made


def create(settings: Settings) -> None:
    engine = engine_settings(settings)
    asyncio.run(create_topics(engine.bootstrap_servers, wanted_topics(engine, settings.topic_stages)))


@contextmanager
def dashboard(settings: Settings) -> Iterator[Client]:
    """A dashboard, asked by somebody who may act."""
    app = kafka_app(KafkaSource(settings), Access(settings.dashboard, ADA), settings.topic_prefix)
    with served(app) as port:
        yield Client(port, "ada's")


def until(true: Callable[[], object], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def ready(client: Client) -> bool:
    return client.ask("health/ready").status == 200


def publish(settings: Settings, topic: str, *messages: OutputMessage) -> None:
    records = [kafka.message_record(settings, topic, message) for message in messages]
    asyncio.run(kafka.publish(settings, records))


def register(settings: Settings) -> None:
    keyed = [
        (version_key(MODEL, "1"), version("1", MODEL)),
        (version_key(MODEL, "2"), version("2", MODEL)),
        (alias_key(MODEL, "champion"), alias("champion", "2", MODEL, previous=["1"])),
    ]
    topic = f"{settings.topic_prefix}models"
    asyncio.run(kafka.publish(settings, [record_of(Change(key, MODEL, message), topic) for key, message in keyed]))


def on(settings: Settings, topic: str) -> list[dict[str, object]]:
    """The committed messages of a topic."""

    async def read() -> list[dict[str, object]]:
        return [json.loads(record.value or b"{}") async for record in kafka.read_all(settings, topic)]

    return asyncio.run(read())


def test_a_dashboard_that_is_started_anew_tells_what_the_former_one_told(settings: Settings) -> None:
    register(settings)
    publish(settings, "dead-letter", letter(1, topic=f"{settings.topic_prefix}metrics"))
    with dashboard(settings) as client:
        until(lambda: ready(client))
        publish(settings, "status", status("ok"), status("drift"), status("warning", "other"))
        publish(settings, "drift", drift())
        asked = [("models", {}), ("model", {"model_name": MODEL}), ("findings", {}), ("dead-letters", {})]
        until(lambda: client.ask("findings").json["findings"] and client.ask("models").json["total"] == 2)
        until(lambda: client.ask("model", model_name=MODEL).json["model"]["state"] == "drift")
        former = [client.ask(path, None, **query).json for path, query in asked]
    with dashboard(settings) as client:
        until(lambda: ready(client))
        assert [client.ask(path, None, **query).json for path, query in asked] == former
    assert former[0]["models"][0]["champion"] == "2"


def test_what_is_done_is_on_the_topics_with_its_audit_record(settings: Settings) -> None:
    register(settings)
    publish(settings, "dead-letter", letter(1, b"\xff{", topic=f"{settings.topic_prefix}metrics"))
    with dashboard(settings) as client:
        until(lambda: ready(client))
        assert client.act("retrain", model_name=MODEL, note="new labels").status == 200
        assert client.act("rollback", model_name=MODEL).status == 200
        until(lambda: client.ask("model", model_name=MODEL).json["model"]["champion"] == "1")
        letter_id = client.ask("dead-letters").json["dead_letters"][0]["event_id"]
        assert client.act("retry-dead-letter", event_id=letter_id).status == 200
        until(lambda: len(client.ask("actions").json["actions"]) == 3)
    assert [each["reason"] for each in on(settings, "retrain")] == ["manual: asked for by ada: new labels"]
    assert {each["action"] for each in on(settings, "audit")} == {"retrain", "rollback", "retry_dead_letter"}

    async def retried() -> list[tuple[bytes | None, bytes | None]]:
        return [(record.key, record.value) async for record in kafka.read_all(settings, "metrics")]

    assert asyncio.run(retried()) == [(b"digits", b"\xff{")]


def test_of_records_that_cannot_all_be_written_none_is_there(settings: Settings) -> None:
    async def half() -> None:
        publisher = Publisher(settings.bootstrap_servers or "", settings.topic_prefix, transactional=True)
        good = ToSend(f"{settings.topic_prefix}audit", b"m", b'{"good": true}')
        with pytest.raises(KafkaError):
            await publisher.publish([good, ToSend(f"{settings.topic_prefix}retrain", b"m", b"x" * 40_000_000)])
        await publisher.publish([ToSend(f"{settings.topic_prefix}retrain", b"m", b'{"second": true}')])
        await publisher.close()

    asyncio.run(half())
    assert on(settings, "audit") == []
    assert on(settings, "retrain") == [{"second": True}]


def test_a_models_newest_values_are_found_wherever_its_fleet_wrote_them_and_go_on(settings: Settings) -> None:
    topic = f"{settings.topic_prefix}metrics"

    def fleet(partitioner: str, *values: float, key: str | None = MODEL) -> None:
        producer = Producer({"bootstrap.servers": settings.bootstrap_servers, "partitioner": partitioner})
        for value in values:
            about = {"type": "metrics", "model_name": MODEL, "timestamp": time.time(), "accuracy": value}
            producer.produce(topic, key=key, value=json.dumps(about))
            producer.produce(topic, key="other", value=json.dumps(about | {"model_name": "other"}))
        assert producer.flush(10) == 0

    publish(settings, "status", status("ok"))
    fleet("murmur2_random", 0.1, 0.2)
    fleet("consistent_random", 0.3)
    fleet("murmur2_random", 0.4, key=None)

    def seen() -> set[float]:
        return {point["value"] for point in client.ask("points", model_name=MODEL).json["points"]}

    with dashboard(settings) as client:
        until(lambda: ready(client))
        assert seen() == {0.1, 0.2, 0.3, 0.4}
        fleet("murmur2_random", 0.5)
        until(lambda: seen() == {0.1, 0.2, 0.3, 0.4, 0.5})
        flow = client.ask("flow").json
        assert flow["stages"][0] == {"stage": "monitor", "records_per_second": None, "lag": None}


def test_of_a_model_that_is_seldom_heard_of_more_of_the_past_is_read(settings: Settings) -> None:
    topic = f"{settings.topic_prefix}metrics"
    producer = Producer({"bootstrap.servers": settings.bootstrap_servers})
    for number, name in enumerate(["rare", *["other"] * 2_500, "often", *["other"] * 10]):
        about = {"type": "metrics", "model_name": name, "timestamp": time.time(), "accuracy": number / 10_000}
        producer.produce(topic, key=name, value=json.dumps(about), partition=1)
    assert producer.flush(30) == 0
    publish(settings, "status", status("ok", "rare"), status("ok", "often"))
    with dashboard(settings) as client:
        until(lambda: ready(client))
        for name, value in (("rare", 0.0), ("often", 0.2501)):
            assert [each["value"] for each in client.ask("points", model_name=name).json["points"]] == [value]


def test_it_says_why_it_is_not_ready_and_is_once_the_topics_are_there(real_broker: Broker, topic_prefix: str) -> None:
    settings = Settings(bootstrap_servers=real_broker.bootstrap_servers, topic_prefix=topic_prefix)
    with dashboard(settings) as client:
        until(lambda: "visutility topics create" in str(client.ask("health/ready").json["reasons"]))
        create(settings)
        until(lambda: ready(client))
