"""A topic as a log, for programs that are no stage."""

from __future__ import annotations

from streams.brokers.broker import Broker
from streams.settings import EngineSettings
from streams.topic_log import TopicFollower, ToSend, publish
from streams.topics import create_topics, wanted_topics


async def test_a_follower_from_the_end_gets_what_is_written_from_then_on(
    embedded_broker: Broker, topic_prefix: str
) -> None:
    servers = embedded_broker.bootstrap_servers
    await create_topics(
        servers, wanted_topics(EngineSettings(bootstrap_servers=servers, topic_prefix=topic_prefix), [])
    )
    topic, heard = f"{topic_prefix}trial-requests", list[bytes]()
    await publish(servers, [ToSend(topic, str(number).encode(), b"before") for number in range(8)])
    async with TopicFollower(servers, topic, lambda record: heard.append(record.value), from_end=True) as follower:
        for place, offset in await publish(servers, [ToSend(topic, str(n).encode(), b"after") for n in range(8)]):
            await follower.passed(place, offset)
    assert heard == [b"after"] * 8
