from __future__ import annotations

import socket

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from schemas.topics import TOPICS
from streams.brokers.broker import Broker
from streams.settings import EngineSettings
from streams.topics import TopicsUnfit, WantedTopic, check_topics, create_topics, faults, wanted_topics

STAGES = ("monitor", "retrain")


def settings_for(broker: Broker, prefix: str, partitions: int = 4) -> EngineSettings:
    return EngineSettings(broker.bootstrap_servers, topic_prefix=prefix, partitions=partitions)


def test_every_topic_of_the_registry_is_wanted_and_two_for_each_stage() -> None:
    names = {topic.name for topic in wanted_topics(EngineSettings("x:1", topic_prefix="p."), STAGES)}
    own = {"p.monitor-internal", "p.monitor-changelog", "p.retrain-internal", "p.retrain-changelog"}
    assert names == {f"p.{name}" for name in TOPICS} | own


async def test_creating_twice_creates_once_and_the_check_is_content(broker: Broker, topic_prefix: str) -> None:
    wanted = wanted_topics(settings_for(broker, topic_prefix), STAGES)
    created = await create_topics(broker.bootstrap_servers, wanted)
    assert sorted(created) == sorted(topic.name for topic in wanted)
    assert await create_topics(broker.bootstrap_servers, wanted) == []
    assert await check_topics(broker.bootstrap_servers, wanted) == []


async def test_the_check_names_what_is_missing_and_creates_nothing(broker: Broker, topic_prefix: str) -> None:
    wanted = [WantedTopic(f"{topic_prefix}metrics", 4)]
    for _ in range(2):
        problems = await check_topics(broker.bootstrap_servers, wanted)
        assert problems == [f"topic {topic_prefix}metrics does not exist; `visutility topics create` makes it"]


async def test_another_number_of_partitions_is_refused_with_the_remedy(broker: Broker, topic_prefix: str) -> None:
    await create_topics(broker.bootstrap_servers, [WantedTopic(f"{topic_prefix}metrics", 4)])
    with pytest.raises(TopicsUnfit, match=r"metrics has 4 partitions, the settings say 8.*set partitions = 4"):
        await create_topics(broker.bootstrap_servers, [WantedTopic(f"{topic_prefix}metrics", 8)])


@pytest.mark.embedded_gap("topics cannot be created by request; one that is asked for has four partitions")
async def test_topics_get_the_number_of_partitions_of_the_settings(broker: Broker, topic_prefix: str) -> None:
    wanted = wanted_topics(settings_for(broker, topic_prefix, partitions=3), STAGES)
    await create_topics(broker.bootstrap_servers, wanted)
    assert await check_topics(broker.bootstrap_servers, wanted) == []


@pytest.mark.embedded_gap("topics have no settings")
async def test_state_is_compacted_and_logs_have_a_retention(broker: Broker, topic_prefix: str) -> None:
    await create_topics(broker.bootstrap_servers, wanted_topics(settings_for(broker, topic_prefix), STAGES))
    for name in ("models", "status", "monitor-changelog"):
        assert await config_of(broker, topic_prefix + name, "cleanup.policy") == "compact"
    assert await config_of(broker, f"{topic_prefix}metrics", "cleanup.policy") == "delete"
    assert await config_of(broker, f"{topic_prefix}metrics", "retention.ms") == str(7 * 24 * 3_600_000)


def test_a_topic_that_need_not_match_may_have_any_number_of_partitions() -> None:
    assert faults([WantedTopic("alerts", 4, exact=False)], {"alerts": 1}) == []


async def test_a_name_that_kafka_refuses_is_reported(real_broker: Broker) -> None:
    with pytest.raises(TopicsUnfit, match=r"topic a/b could not be created: .*invalid"):
        await create_topics(real_broker.bootstrap_servers, [WantedTopic("a/b", 4)])


async def test_an_address_without_a_broker_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(TopicsUnfit, match=f"no Kafka broker answers at 127.0.0.1:{port}"):
        await check_topics(f"127.0.0.1:{port}", [])


async def config_of(broker: Broker, topic: str, setting: str) -> str:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    await admin.start()
    try:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs={setting: None})
        answer = (await admin.describe_configs([resource]))[0].to_object()
    finally:
        await admin.close()
    (entry,) = answer["resources"][0]["config_entries"]
    return str(entry["config_value"])
