"""A replay on Kafka: its pace, and what it says of itself when it is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from agents.backtest.sources import Item, SourceRecord
from agents.recording.replayer import Plan, Sent, replay
from streams.brokers.broker import Broker
from streams.topic_log import read_to_end
from streams.topics import WantedTopic, create_topics

START = 1_750_000_000_000


def record(number: int, milliseconds: int = 0) -> SourceRecord:
    partition = number % 3
    return SourceRecord("old.metrics", partition, number, START + milliseconds, b"k%d" % number, b"%d" % number)


@pytest.fixture
async def topic(real_broker: Broker, topic_prefix: str) -> str:
    name = f"{topic_prefix}metrics"
    await create_topics(real_broker.bootstrap_servers, [WantedTopic(name, 3)])
    return name


async def written(broker: Broker, topic: str) -> list[tuple[int, bytes, bytes]]:
    found = [each async for each in read_to_end(broker.bootstrap_servers, topic)]
    return sorted((each.partition, each.key, each.value) for each in found)


def plan_for(broker: Broker, topic: str, partitions: int = 3, **options: float | None) -> Plan:
    return Plan(broker.bootstrap_servers, {"old.metrics": topic}, {"old.metrics": partitions}, **options)  # type: ignore[arg-type]


async def test_stopped_in_the_middle_all_that_was_taken_is_on_kafka_and_skip_goes_on_there(
    real_broker: Broker, topic: str
) -> None:
    stop, told = asyncio.Event(), list[int]()

    def items(stop_at: int) -> Iterator[Item]:
        for number in range(5_000):
            if number == stop_at:
                stop.set()
            yield record(number)

    plan = plan_for(real_broker, topic, speed=None)
    first = await replay(items(2_000), plan, stop, lambda sent: told.append(sent.records))
    assert (first.records, first.finished, told[-1]) == (2_000, False, 2_000)
    stop.clear()
    rest = plan_for(real_broker, topic, speed=None, skip=first.records)
    second = await replay(items(-1), rest, stop, lambda sent: None)
    assert (second.records, second.finished, second.moved) == (5_000, True, set())
    assert await written(real_broker, topic) == sorted(
        (number % 3, b"k%d" % number, b"%d" % number) for number in range(5_000)
    )


async def test_records_leave_at_the_pace_of_their_times(real_broker: Broker, topic: str) -> None:
    clock = asyncio.get_running_loop().time
    left: list[float] = []

    def items() -> Iterator[Item]:
        for number, at in enumerate((0, 40_000, 20_000, 80_000)):
            left.append(clock())  # asked for when the one before has left
            yield record(number, at)

    sent = await replay(items(), plan_for(real_broker, topic, speed=100.0), asyncio.Event(), lambda sent: None)
    assert sent.time == START / 1000 + 80
    assert clock() - left[0] >= 0.79  # 80 seconds, a hundred times as fast
    assert left[2] - left[1] >= 0.38  # the second waits for its time


async def test_keys_decide_where_the_topic_has_other_partitions_than_were_recorded(
    real_broker: Broker, topic: str
) -> None:
    plan = plan_for(real_broker, topic, partitions=8, speed=None)
    same_key = [SourceRecord("old.metrics", number, 0, START, b"k", b"v") for number in range(8)]
    sent = await replay(same_key, plan, asyncio.Event(), lambda sent: None)
    assert sent == Sent(8, START / 1000, START / 1000, {topic}, True)
    assert len({partition for partition, _, _ in await written(real_broker, topic)}) == 1
