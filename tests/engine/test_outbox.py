"""A checkpoint on a real broker: outputs, changelog and offsets together or not at all, from one owner at a time."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiokafka.errors import ProducerFenced
from faust.types import TP

from schemas.alerts import Alert
from streams.brokers.broker import Broker
from streams.outbox import TransactionalOutbox
from streams.partitioner import partition_of
from streams.records import Forward, Output
from tests.engine.live import Live


@pytest.fixture
async def live(real_broker: Broker, topic_prefix: str, tmp_path: Path) -> Live:
    return await Live.on(real_broker.bootstrap_servers, topic_prefix, tmp_path, partitions=4)


def alert(text: str, model: str = "a") -> Output:
    moment = datetime(2025, 1, 1, tzinfo=UTC)
    return Output(
        "alerts",
        model,
        Alert(
            event_id=text, model_name=model, timestamp=moment, kind="sum", severity="info", state="firing", message=text
        ),
    )


def outbox_of(live: Live, partition: int = 0) -> TransactionalOutbox:
    return TransactionalOutbox(live.settings, "summing", partition)


async def test_outputs_changelog_and_offsets_come_together(live: Live) -> None:
    outbox, metrics = outbox_of(live), TP(live.settings.topic("metrics"), 0)
    await outbox.start()
    position = await outbox.publish({b"k": b"v", b"gone": None}, [alert("one")], {metrics: 5})
    assert position == 2
    assert await outbox.publish({}, [], {metrics: 6}) is None
    await outbox.stop()
    assert await live.alerts() == ["one"]
    assert [(r.key, r.value, r.partition) for r in await live.read("summing-changelog")] == [
        (b"k", b"v", 0),
        (b"gone", None, 0),
    ]
    assert await live.committed() == 6


async def test_a_checkpoint_that_fails_leaves_nothing_to_be_read(live: Live) -> None:
    outbox, metrics = outbox_of(live), TP(live.settings.topic("metrics"), 0)
    await outbox.start()
    no_such_partition = Forward("summing-internal", 99, b"a", b"x", (), 0)
    with pytest.raises(AssertionError):
        await outbox.publish({b"k": b"v"}, [alert("lost"), no_such_partition], {metrics: 5})
    await outbox.publish({b"k": b"w"}, [alert("kept")], {metrics: 6})
    await outbox.stop()
    assert await live.alerts() == ["kept"]
    assert [r.value for r in await live.read("summing-changelog")] == [b"w"]


async def test_a_cancelled_checkpoint_leaves_nothing_to_be_read(live: Live) -> None:
    outbox, metrics = outbox_of(live), TP(live.settings.topic("metrics"), 0)
    await outbox.start()
    publishing = asyncio.create_task(outbox.publish({b"k": b"v"}, [alert("lost")], {metrics: 5}))
    while not outbox._producer._txn_manager.is_in_transaction():  # noqa: ASYNC110 - the producer has no event for it
        await asyncio.sleep(0)
    publishing.cancel()
    await asyncio.wait({publishing})
    assert publishing.cancelled()
    await outbox.publish({}, [alert("kept")], {metrics: 6})
    await outbox.stop()
    assert await live.alerts() == ["kept"]
    assert await live.read("summing-changelog") == []


@pytest.mark.parametrize("changes", [1, 5_000])
async def test_the_next_owner_refuses_the_former_whatever_it_has_to_publish(live: Live, changes: int) -> None:
    former, owner, metrics = outbox_of(live), outbox_of(live), TP(live.settings.topic("metrics"), 0)
    await former.start()
    await former.publish({}, [alert("one")], {metrics: 1})
    await owner.start()
    with pytest.raises(ProducerFenced):
        await former.publish({b"%d" % n: b"v" * 100 for n in range(changes)}, [alert("zombie")], {metrics: 2})
    await owner.publish({}, [alert("two")], {metrics: 3})
    await former.stop()
    await owner.stop()
    assert await live.alerts() == ["one", "two"]
    assert await live.committed() == 3


async def test_owners_of_different_partitions_do_not_fence_each_other(live: Live) -> None:
    outboxes = [outbox_of(live, partition) for partition in (0, 1)]
    for partition, outbox in enumerate(outboxes):
        await outbox.start()
        await outbox.publish({}, [], {TP(live.settings.topic("metrics"), partition): 1})
    for partition, outbox in enumerate(outboxes):
        await outbox.publish({}, [], {TP(live.settings.topic("metrics"), partition): 2})
        await outbox.stop()
    assert [await live.committed(partition) for partition in (0, 1)] == [2, 2]


async def test_a_forwarded_record_arrives_as_it_was(live: Live) -> None:
    outbox = outbox_of(live)
    await outbox.start()
    forward = Forward("summing-internal", 2, b"a", b"\xff", (("h", b"\x00"), ("n", b"")), 1_700_000_000_123)
    await outbox.publish({}, [forward], {TP(live.settings.topic("metrics"), 0): 1})
    await outbox.stop()
    (record,) = await live.read("summing-internal")
    assert (record.partition, record.key, record.value, record.timestamp) == (2, b"a", b"\xff", 1_700_000_000_123)
    assert list(record.headers) == [("h", b"\x00"), ("n", b"")]


async def test_outputs_are_placed_by_their_key_as_javas_producers_place_them(live: Live) -> None:
    outbox = outbox_of(live)
    await outbox.start()
    names = [f"m{number}" for number in range(8)]
    await outbox.publish({}, [alert("x", name) for name in names], {TP(live.settings.topic("metrics"), 0): 1})
    version = alert("v", "m5").message
    await outbox.publish({}, [Output("models", "m5/1", version, "m5")], {TP(live.settings.topic("metrics"), 0): 2})
    await outbox.stop()
    alerts = {record.key.decode(): record for record in await live.read("alerts")}
    assert {name: record.partition for name, record in alerts.items()} == {
        name: partition_of(name, 4) for name in names
    }
    assert dict(alerts["m5"].headers)["ce_type"] == b"visutility.alert"
    (model,) = await live.read("models")
    assert (model.key, model.partition) == (b"m5/1", partition_of("m5", 4))
    assert json.loads(model.value)["event_id"] == "v"
