"""Topics of others through real workers: each event is taken once, whoever is killed, joins or leaves meanwhile."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import ProducerFenced
from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka import TopicPartition as Offset
from confluent_kafka.admin import AdminClient

from agents.cli import kafka
from agents.inputs import agent
from agents.inputs.agent import InputBridge
from agents.inputs.events import outputs_of
from agents.inputs.ownership import Owned, fence, own, publish, read_positions
from agents.settings import Settings
from agents.worker import engine_settings
from streams.brokers.broker import Broker
from streams.clients import new_consumer
from streams.records import StoredRecord
from streams.settings import EngineSettings
from streams.telemetry import EngineCollector
from streams.topic_log import started
from streams.topics import create_topics, wanted_topics
from tests.engine.live import until
from tests.inputs.making import Logged, create, kserve, label, seldon, write
from tests.loop.driving import PATIENCE, Cluster

RULES = """
agents = ["monitor", "retrain"]
[[monitor]]
metric = "error"
window = { size = 60, min_samples = 20 }
detector = { name = "threshold", breaches = 3, of = 10, limit = 0.5 }
"""
EACH = 700
JUNK = Logged(b"{", [])


@pytest.fixture
def cluster(real_broker: Broker, topic_prefix: str, tmp_path: Path) -> Iterator[Cluster]:
    inputs = "".join(
        f'[[inputs]]\ntopic = "{topic_prefix}{name}-logs"\nlayout = "{name}"\n' for name in ("kserve", "seldon")
    )
    cluster = Cluster(real_broker, topic_prefix, tmp_path, RULES + inputs)
    yield cluster
    cluster.stop()


def predictions(cluster: Cluster) -> list[str]:
    return sorted(each["prediction_id"] for each in cluster.messages("metrics") if each["type"] == "prediction")


@pytest.mark.timeout(400)
def test_events_of_both_servers_meet_their_labels_once_although_workers_die_in_their_transactions(
    cluster: Cluster,
) -> None:
    servers, models = cluster.broker.bootstrap_servers, ("good", "bad")
    topics = [f"{cluster.prefix}{name}-logs" for name in ("kserve", "seldon")]
    create(servers, *topics)
    numbers = [(model, number) for number in range(EACH) for model in models]
    write(servers, topics[0], [JUNK, *(kserve(f"k-{model}", number) for model, number in numbers)])
    write(servers, topics[1], [*(seldon(f"s-{model}", number) for model, number in numbers), JUNK])
    for moment in ("open", "committed"):
        dying = cluster.worker("tests.inputs.dying_worker", DIE=moment, AT="2")
        assert dying.process.wait(60) == -9
    assert 0 < len(predictions(cluster)) < 4 * EACH
    worker = cluster.worker()
    cluster.wait_for("metrics", 4 * EACH)
    cluster.produce(
        label(f"{server}-{model}", number, int(model == "good" or number < EACH - 50))
        for model, number in numbers
        for server in "ks"
    )
    cluster.wait_for("drift", 2)
    cluster.wait_idle()
    assert worker.terminate() == 0

    assert predictions(cluster) == sorted(f"{s}-{model}-{number}" for s in "ks" for model, number in numbers)
    letters = cluster.messages("dead-letter")
    assert sorted((each["stage"], each["topic"]) for each in letters) == [("inputs", topic) for topic in topics]
    assert {each["model_name"] for each in cluster.messages("drift")} == {"k-bad", "s-bad"}
    newest = {each["model_name"]: each for each in cluster.messages("status")}
    for server in "ks":
        # Told when the third wrong one of the last fifty made it drift: nothing is missing, and nothing counted twice.
        counts = newest[f"{server}-bad"]["counts"]
        assert (counts["prediction"], counts["joined"]) == (EACH, EACH - 50 + 3)
        assert newest[f"{server}-good"]["state"] == "ok"
    # Each prediction went to its model's partition: the monitor had none to send on (cuts have no key).
    assert {key for key, _ in cluster.records("monitor-internal")} <= {None}


class Kafka:
    """One topic prefix, with one topic of KServe's and one of Seldon's named in the settings, and none of them made."""

    def __init__(self, broker: Broker, prefix: str, delivery: str = "exactly_once", **keys: Any) -> None:
        self.servers, self.topics = broker.bootstrap_servers, [f"{prefix}kserve-logs", f"{prefix}seldon-logs"]
        self.settings = Settings(
            bootstrap_servers=self.servers,
            topic_prefix=prefix,
            partitions=2,
            delivery=delivery,
            **keys,
            inputs=[
                {"topic": topic, "layout": topic.rpartition(".")[2].removesuffix("-logs")} for topic in self.topics
            ],
        )
        self.engine: EngineSettings = engine_settings(self.settings)

    async def make_ours(self) -> None:
        await create_topics(self.engine.connection, wanted_topics(self.engine, ["monitor"], self.settings.topic_states))

    @asynccontextmanager
    async def bridge(self) -> AsyncIterator[InputBridge]:
        bridge = InputBridge(self.settings, self.engine)
        await bridge.start()
        try:
            yield bridge
        finally:
            await bridge.stop()

    async def taken(self, count: int) -> list[str]:
        """Wait for so many predictions; returns the ids of all."""
        async with asyncio.timeout(PATIENCE):
            while True:
                found: list[Any] = [json.loads(each.value) async for each in kafka.read_all(self.settings, "metrics")]
                if len(found) >= count:
                    return sorted(each["prediction_id"] for each in found)
                await asyncio.sleep(0.1)


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
async def test_a_topic_that_is_not_there_holds_up_no_other_and_is_read_when_it_is(
    delivery: str, real_broker: Broker, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "LOOK_AGAIN", 0.3)
    there = Kafka(real_broker, topic_prefix, delivery)
    await there.make_ours()
    create(there.servers, there.topics[0])
    write(there.servers, there.topics[0], [kserve("k", number) for number in range(4)])
    async with there.bridge():
        first = [f"k-{number}" for number in range(4)]
        assert await there.taken(4) == first
        create(there.servers, there.topics[1])
        write(there.servers, there.topics[1], [seldon("s", 0)])
        assert await there.taken(5) == [*first, "s-0"]


async def test_workers_that_join_and_leave_take_each_event_once(real_broker: Broker, topic_prefix: str) -> None:
    there = Kafka(real_broker, topic_prefix)
    await there.make_ours()
    create(there.servers, *there.topics, partitions=3)

    def send(begin: int, end: int) -> None:
        write(there.servers, there.topics[0], [kserve("k", number) for number in range(begin, end)], partitions=3)
        write(there.servers, there.topics[1], [seldon("s", number) for number in range(begin, end)], partitions=3)

    send(0, 300)
    async with there.bridge():
        await there.taken(100)
        async with there.bridge():
            for begin in range(300, 600, 30):
                send(begin, begin + 30)
                await asyncio.sleep(0.3)
        send(600, 700)
        expected = sorted(f"{model}-{number}" for model in "ks" for number in range(700))
        assert await there.taken(1_400) == expected


async def test_a_worker_that_lost_a_partition_without_knowing_publishes_nothing_more(
    real_broker: Broker, topic_prefix: str
) -> None:
    there = Kafka(real_broker, topic_prefix)
    await there.make_ours()
    create(there.servers, there.topics[0])
    place = TopicPartition(there.topics[0], 0)
    write(there.servers, place.topic, [kserve("k", number) for number in range(2)], partitions=1)

    def outputs(number: int) -> list[Any]:
        logged = kserve("k", number)
        return outputs_of(StoredRecord(place.topic, 0, number, 0, None, logged.value, logged.headers), "kserve")

    consumer = new_consumer(there.engine.connection, group_id=there.engine.group("inputs"), enable_auto_commit=False)
    async with started(consumer):
        consumer.assign([place])

        async def take_over() -> Owned:
            (owned,) = await own(consumer, there.engine, await fence(consumer, there.engine, [place]))
            return owned

        zombie = await take_over()
        assert zombie.position == 0
        await publish(zombie, outputs(0), 1)
        owner = await take_over()
        assert owner.position == 1
        with pytest.raises(ProducerFenced):
            await publish(zombie, outputs(1), 2)
        await publish(owner, outputs(1), 2)
        successor = await take_over()
        assert successor.position == 2
        for each in (zombie, owner, successor):
            await each.outbox.stop()
    assert await there.taken(2) == ["k-0", "k-1"]
    gc.collect()  # the fenced producer complains now, and not while another test is at work


async def test_events_that_went_by_retention_are_told_of_and_what_is_left_is_taken(
    real_broker: Broker, topic_prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    there = Kafka(real_broker, topic_prefix)
    await there.make_ours()
    create(there.servers, there.topics[0], partitions=1)
    write(there.servers, there.topics[0], [kserve("k", number) for number in range(3)], partitions=1)
    async with there.bridge():
        await there.taken(3)
    write(there.servers, there.topics[0], [kserve("k", number) for number in range(3, 7)], partitions=1)
    admin = AdminClient({"bootstrap.servers": there.servers})
    for deleted in admin.delete_records([Offset(there.topics[0], 0, 5)]).values():
        deleted.result()
    async with there.bridge():
        assert await there.taken(5) == ["k-0", "k-1", "k-2", "k-5", "k-6"]
    assert f"{there.topics[0]} [0] at 3 was next, and 2 records went by retention; read on from 5" in caplog.text


async def test_what_was_taken_and_what_is_left_is_told(
    real_broker: Broker, topic_prefix: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(agent, "_MOST_RECORDS", 2)
    monkeypatch.setattr(agent, "_LOOK_AT_LAG", 0.0)
    there = Kafka(real_broker, topic_prefix, lag_warning=3)
    await there.make_ours()
    create(there.servers, there.topics[0], partitions=1)
    write(there.servers, there.topics[0], [JUNK, *(kserve("k", number) for number in range(9))], partitions=1)
    goes_on = asyncio.Event()

    async def held_up(*given: Any) -> None:
        await goes_on.wait()
        await publish(*given)

    monkeypatch.setattr(agent, "publish", held_up)
    async with there.bridge() as bridge:
        worker: Any = SimpleNamespace(engines=dict, ready=True)
        collector = EngineCollector(worker, topic_prefix, lambda: 4_000_000_000.0, {"inputs": bridge})

        def told() -> dict[tuple[str, ...], float]:
            families = [family for family in collector.collect() if family.name != "visutility_ready"]
            return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}

        await until(lambda: told().get(("visutility_lag_records", "inputs", "kserve-logs")) == 10)
        assert told()["visutility_records_total", "inputs"] == 0
        goes_on.set()
        await there.taken(9)
        await until(lambda: told()["visutility_records_total", "inputs"] == 10)
        last = told()
    assert last["visutility_lag_records", "inputs", "kserve-logs"] == 0
    assert last["visutility_outputs_total", "inputs", "metrics"] == 9
    assert last["visutility_outputs_total", "inputs", "dead-letter"] == 1
    assert (last["visutility_partitions", "inputs"], last["visutility_delay_seconds", "inputs"]) == (1, 0)
    assert last["visutility_transaction_seconds_count", "inputs"] == 5
    assert bridge.partitions == []
    assert f"{there.topics[0]} [0]: consumer lagged by 8 records" in caplog.messages


async def test_offsets_that_a_broker_tells_from_before_or_not_at_all_make_nothing_be_taken_twice(
    real_broker: Broker, topic_prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    there = Kafka(real_broker, topic_prefix)
    await there.make_ours()
    create(there.servers, there.topics[0], partitions=3)  # more than our changelog has

    def send(*numbers: int) -> None:
        records = [each for n in numbers for each in (JUNK, kserve("k", n, "request"), kserve("k", n))]
        write(there.servers, there.topics[0], [each for each in records for _ in range(3)], partitions=3)

    async def taken(count: int) -> None:
        async with there.bridge():
            found = await there.taken(3 * count)
        assert found == sorted(f"k-{n}" for n in range(count) for _ in range(3))
        assert len([each async for each in kafka.read_all(there.settings, "dead-letter")]) == 3 * count

    send(0, 1, 2)
    await taken(3)
    admin, group = AdminClient({"bootstrap.servers": there.servers}), there.engine.group("inputs")
    back = [Offset(there.topics[0], number, number) for number in range(3)]
    for altered in admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, back)]).values():
        altered.result()
    send(3)
    await taken(4)
    assert f"{there.topics[0]} [2] 2 for 9" in caplog.text
    for deleted in admin.delete_consumer_groups([group]).values():
        deleted.result()
    send(4)
    await taken(5)
    assert f"{there.topics[0]} [2] none for 12" in caplog.text


async def test_of_a_topic_that_was_made_again_everything_is_taken(real_broker: Broker, topic_prefix: str) -> None:
    there = Kafka(real_broker, topic_prefix)
    await there.make_ours()
    admin = AdminClient({"bootstrap.servers": there.servers})
    for numbers in (range(5), range(5, 12)):
        create(there.servers, there.topics[0], partitions=1)
        write(there.servers, there.topics[0], [kserve("k", number) for number in numbers], partitions=1)
        async with there.bridge():
            assert await there.taken(numbers.stop) == sorted(f"k-{number}" for number in range(numbers.stop))
        for deleted in admin.delete_topics([there.topics[0]]).values():
            deleted.result()


async def test_what_was_taken_is_known_although_another_owner_has_a_transaction_open_before_it(
    real_broker: Broker, topic_prefix: str
) -> None:
    there = Kafka(real_broker, topic_prefix)
    await there.make_ours()
    create(there.servers, there.topics[0], partitions=3)
    slow, quick = (there.topics[0], 0), (there.topics[0], 2)  # in one partition of the changelog
    consumer = new_consumer(there.engine.connection, group_id=there.engine.group("inputs"), enable_auto_commit=False)
    async with started(consumer):
        owned = {
            each.place: each
            for each in await own(consumer, there.engine, await fence(consumer, there.engine, [slow, quick]))
        }
        producer = owned[slow].outbox._producer  # type: ignore[attr-defined]
        await producer.begin_transaction()
        await producer.send_and_wait(there.engine.changelog("inputs"), b"never", key=b"committed", partition=0)
        await publish(owned[quick], [], 7)
        reading = asyncio.create_task(read_positions(there.engine))
        await asyncio.sleep(0.5)
        assert not reading.done()
        await producer.abort_transaction()
        assert {place: kept.position for place, kept in (await reading).items()} == {quick: 7}
        for each in owned.values():
            await each.outbox.stop()


async def test_nothing_is_taken_while_it_is_not_known_what_was(
    real_broker: Broker, topic_prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    there = Kafka(real_broker, topic_prefix)
    await create_topics(there.engine.connection, wanted_topics(there.engine, ["monitor"]))
    create(there.servers, there.topics[0])
    write(there.servers, there.topics[0], [kserve("k", 0)])
    async with there.bridge() as bridge:
        await until(lambda: bridge.tally.failures > 0)
        assert f"no topic {there.engine.changelog('inputs')}" in caplog.text
        await there.make_ours()
        assert await there.taken(1) == ["k-0"]


async def test_that_inputs_cannot_be_read_is_counted(unused_tcp_port: int) -> None:
    settings = Settings(
        bootstrap_servers=f"127.0.0.1:{unused_tcp_port}", inputs=[{"topic": "kserve-logs", "layout": "kserve"}]
    )
    bridge = InputBridge(settings, engine_settings(settings))
    await bridge.start()
    try:
        await until(lambda: bridge.tally.failures > 0)
    finally:
        await bridge.stop()
