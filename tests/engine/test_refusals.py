"""State, topics and committed offsets that do not belong together are refused, and the refusal names the remedy."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError
from faust.types import TP

import streams.app
from streams.brokers.broker import Broker
from streams.identity import TOPICS_KEY, StateMismatch, TopicOnBroker, TopicsChanged, remembered
from streams.store import PartitionTable
from tests.engine.bench import BOTH, Bench
from tests.engine.fakes import INTERNAL, METRICS, batch, internal_batch
from tests.engine.live import Live, count_in, engine_of, eventually, until

CHANGELOG = "p.summing-changelog"


def test_ids_that_no_worker_wrote_are_an_error_of_one_kind() -> None:
    for data in (b"{", b"[" * 100_000):
        with pytest.raises(ValueError):
            remembered(data)


async def test_a_committed_offset_beyond_the_end_is_refused(bench: Bench) -> None:
    bench.kafka.has_begun({METRICS: 1_001, INTERNAL: 0})
    with pytest.raises(
        StateMismatch, match=r"p\.metrics \[0\] ends at 1000, but 1001 is committed.*visutility rebuild"
    ):
        await bench.assign()


@pytest.mark.parametrize("topic", [METRICS.topic, INTERNAL.topic])
async def test_an_input_that_was_made_again_is_refused(bench: Bench, topic: str) -> None:
    bench.kafka.has_begun({METRICS: 5, INTERNAL: 3})
    bench.kafka.topics[topic] = TopicOnBroker("another id", 1)
    with pytest.raises(StateMismatch, match=f"topic {topic} was deleted and made again.*visutility rebuild"):
        await bench.assign()


async def test_a_disk_whose_changelog_was_made_again_is_refused_before_it_is_read(bench: Bench) -> None:
    await bench.assign()
    await bench.engine.revoke(BOTH, 1)
    bench.kafka.topics[CHANGELOG] = TopicOnBroker("another id", 1)
    bench.before_restore = lambda: pytest.fail("restored")
    with pytest.raises(StateMismatch, match=rf"topic {CHANGELOG} was deleted and made again.*Remove .*summing-0\.db"):
        await bench.assign()


async def test_offsets_without_a_state_are_refused(bench: Bench) -> None:
    bench.kafka.offsets = {METRICS: 5, INTERNAL: 0}
    with pytest.raises(
        StateMismatch, match=f"offsets are committed, but {CHANGELOG} holds no state.*visutility rebuild"
    ):
        await bench.assign()


async def test_a_state_without_offsets_is_refused(bench: Bench) -> None:
    bench.kafka.has_begun({METRICS: 5})
    with pytest.raises(StateMismatch, match=r"no offset of p\.summing-internal.*offsets\.retention\.minutes"):
        await bench.assign()


async def test_offsets_from_before_are_not_believed_for_the_state_says_what_is_in_it(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    await bench.assign()
    before = dict(bench.kafka.offsets)
    await bench.engine.process(batch(0, 5))
    await bench.engine.revoke(BOTH, 1)
    assert bench.kafka.offsets != before
    bench.kafka.offsets |= before  # as a broker tells that has just come back
    await bench.assign()
    assert bench.owner.expected[METRICS] == 5
    assert "p.metrics [0] 0 for 5" in caplog.text
    await bench.engine.process(batch(0, 7))
    assert bench.owner.processor.state("a").count == 7


async def test_without_transactions_offsets_from_before_are_believed_for_outputs_may_be_missing(bench: Bench) -> None:
    await bench.assign()
    before = dict(bench.kafka.offsets)
    await bench.engine.process(batch(0, 5))
    await bench.engine.revoke(BOTH, 1)
    bench.kafka.offsets |= before
    await bench.assign()
    for delivery, expected in (("exactly_once", 5), ("at_least_once", 0)):
        bench.engine.settings = replace(bench.engine.settings, delivery=delivery)  # type: ignore[arg-type]
        start, table = bench.engine._beginning(0), bench.engine._table
        positions = await start.positions(bench.outbox, table.store, PartitionTable(table, 0))
        assert positions[METRICS] == expected


async def test_a_first_start_remembers_its_topics_with_the_offsets_it_commits(bench: Bench) -> None:
    await bench.assign()
    assert bench.kafka.offsets == {METRICS: 0, INTERNAL: 0}
    (first,) = bench.kafka.changelog
    assert first[0] == TOPICS_KEY
    assert json.loads(first[1] or b"")[CHANGELOG] == f"id of {CHANGELOG}"


async def test_a_state_from_before_topics_were_remembered_is_taken_over_and_remembers_them(bench: Bench) -> None:
    bench.kafka.offsets, bench.kafka.changelog = {METRICS: 5, INTERNAL: 0}, [(b"a", b"5 5.0 ")]
    await bench.assign()
    await bench.engine.process(batch(5, 6))
    await bench.engine.revoke(BOTH, 1)
    assert json.loads(dict(bench.kafka.changelog)[TOPICS_KEY] or b"")[METRICS.topic] == "id of p.metrics"


async def test_brokers_that_have_no_ids_are_no_reason_to_refuse(bench: Bench) -> None:
    bench.kafka.topics = {name: TopicOnBroker(None, 1) for name in bench.kafka.topics}
    await bench.assign()
    await bench.engine.revoke(BOTH, 1)
    bench.kafka.topics = {name: TopicOnBroker("an id, since the broker is newer", 1) for name in bench.kafka.topics}
    await bench.assign()
    assert bench.engine.ready


@pytest.mark.parametrize("topic", [METRICS.topic, INTERNAL.topic, CHANGELOG])
@pytest.mark.parametrize("found", [0, 2])
async def test_another_number_of_partitions_is_refused_at_the_start_and_while_running(
    bench: Bench, topic: str, found: int
) -> None:
    await bench.assign()
    changed = dict(bench.kafka.topics)
    del changed[topic]
    bench.kafka.topics = changed | ({topic: TopicOnBroker(f"id of {topic}", found)} if found else {})
    await bench.engine.watch()
    problem = bench.engine.failure.exception()
    assert isinstance(problem, TopicsChanged)
    assert f"topic {topic} " in str(problem)
    await bench.engine.revoke(BOTH, 1)
    with pytest.raises(TopicsChanged, match="is gone" if not found else r"has 2 partitions, the settings say 1"):
        await bench.assign()


async def test_a_topic_that_is_made_again_while_running_stops_the_worker(bench: Bench) -> None:
    await bench.assign()
    await bench.engine.watch()
    assert not bench.engine.failure.done()
    bench.kafka.topics[METRICS.topic] = TopicOnBroker("another id", 1)
    await bench.engine.watch()
    assert isinstance(bench.engine.failure.exception(), StateMismatch)


async def test_a_broker_that_is_away_says_nothing_about_topics(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(names: object) -> None:
        raise KafkaConnectionError("away")

    await bench.assign()
    monkeypatch.setattr(bench.consumer, "describe_topics", away)
    await bench.engine.watch()
    assert not bench.engine.failure.done()


async def test_a_partition_that_the_settings_do_not_know_is_refused(bench: Bench) -> None:
    with pytest.raises(TopicsChanged, match=r"assigned partition 1, but the settings say partitions = 1"):
        await bench.engine.fence([*BOTH, TP("p.metrics", 1)])


async def test_records_that_retention_took_are_refused_or_told_of(bench: Bench) -> None:
    bench.kafka.has_begun({METRICS: 5, INTERNAL: 0})
    bench.kafka.starts[METRICS] = 9
    with pytest.raises(StateMismatch, match=r"begins at 9, and 5 was next: 4 records went.*on_lost_records"):
        await bench.assign()
    bench.engine.settings = replace(bench.engine.settings, on_lost_records="continue")
    await bench.assign()
    await until(lambda: bool(bench.kafka.outputs), 5)
    assert alerts_of(bench) == [("records_lost", "firing")]
    assert bench.kafka.offsets[METRICS] == 9


async def test_records_that_go_while_the_worker_reads_are_refused(bench: Bench) -> None:
    await bench.assign()
    await bench.engine.process(batch(0, 2))
    bench.kafka.starts[METRICS] = 6
    with pytest.raises(StateMismatch, match=r"begins at 6, and 2 was next"):
        await bench.engine.process(batch(2, 8, {6: 1.0, 7: 1.0}))
    await bench.engine.stop(1)
    assert bench.kafka.offsets[METRICS] <= 2


@pytest.mark.parametrize("begin", [2, 6])
async def test_records_that_go_while_the_worker_reads_are_told_of_and_counted(bench: Bench, begin: int) -> None:
    bench.engine.settings = replace(bench.engine.settings, on_lost_records="continue")
    await bench.assign()
    await bench.engine.process(batch(0, 2))
    bench.kafka.starts[METRICS] = 6
    await bench.engine.process(batch(begin, 8, {6: 1.0, 7: 1.0}))
    assert bench.owner.processor.state("a").count == 4
    await until(lambda: ("records_lost", "firing") in alerts_of(bench), 5)


async def test_all_records_may_have_gone(bench: Bench) -> None:
    await bench.assign()
    bench.kafka.starts[METRICS] = 6
    with pytest.raises(StateMismatch, match=r"begins at 6, and 0 was next"):
        await bench.engine.process(batch(0, 6, {}))


async def test_markers_and_aborted_records_are_no_loss(bench: Bench) -> None:
    await bench.assign()
    await bench.engine.process(batch(0, 20, {0: 1.0, 19: 1.0}))
    await bench.engine.process(batch(20, 30, {}))
    assert bench.engine.expected_positions()[METRICS] == 30


async def test_the_last_cut_may_go_for_it_is_unread_and_as_old_as_the_partition_is_idle(bench: Bench) -> None:
    bench.kafka.has_begun({METRICS: 5, INTERNAL: 3})
    bench.kafka.starts[INTERNAL] = 5
    await bench.assign()
    assert bench.engine.expected_positions()[INTERNAL] == 5
    await bench.engine.process(internal_batch(5, 6))
    assert bench.owner.processor.state("a").count == 1
    await bench.engine.revoke(BOTH, 1)
    bench.kafka.starts[INTERNAL] = 9
    with pytest.raises(StateMismatch, match="3 records went"):
        await bench.assign()


def alerts_of(bench: Bench) -> list[tuple[str, str]]:
    messages = [getattr(output, "message", None) for output in bench.kafka.outputs]
    return [(each.kind, each.state) for each in messages if each is not None and each.kind == "records_lost"]


# --- on real Kafka


@pytest.fixture
async def live(real_broker: Broker, topic_prefix: str, tmp_path: Path) -> Live:
    live = await Live.on(real_broker.bootstrap_servers, topic_prefix, tmp_path)
    async with live.worker() as worker:
        await live.send([1.0] * 3)
        await until(lambda: count_in(worker) == 3)
    return live


@pytest.mark.parametrize("topic", ["metrics", "summing-internal"])
async def test_kafka_tells_of_an_input_that_was_made_again_though_it_has_as_many_records(
    live: Live, topic: str
) -> None:
    await live.recreate(topic)
    if topic == "metrics":
        await live.send([1.0] * 4)
    assert f"{topic} was deleted and made again" in await live.refusal()


@pytest.mark.parametrize("disk", ["kept", "wiped"])
async def test_kafka_tells_of_a_changelog_that_was_made_again(live: Live, disk: str, tmp_path: Path) -> None:
    await live.recreate("summing-changelog")
    if disk == "wiped":
        shutil.rmtree(tmp_path / "one")
        assert "summing-changelog holds no state" in await live.refusal()
    else:
        assert "summing-changelog was deleted and made again" in await live.refusal()


async def test_kafka_tells_of_more_partitions_at_the_start_and_while_a_worker_runs(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams.app, "WATCH_INTERVAL", 0.2)
    async with live.worker() as worker:
        await live.add_partition("metrics")
        with pytest.raises(TopicsChanged, match="metrics has 2 partitions"):
            await worker.wait()
    assert "partition 1, but the settings say partitions = 1" in await live.refusal()


async def test_records_that_kafkas_retention_took_stop_a_worker_unless_it_is_to_go_on(live: Live) -> None:
    await live.send([1.0] * 10)
    await live.cut("metrics", 8)
    for _ in range(2):  # each time: it is not forgotten by starting again
        assert "begins at 8, and 3 was next: 5 records went" in await live.refusal()
    live.settings = replace(live.settings, on_lost_records="continue")
    async with live.worker() as worker:
        await until(lambda: count_in(worker) == 8)
    assert sum("5 records went" in text for text in await live.alerts()) == 1


async def test_records_that_go_while_a_worker_is_behind_are_noticed(live: Live) -> None:
    live.settings = replace(live.settings, on_lost_records="continue")
    async with live.worker() as worker:
        engine = engine_of(worker)
        tp = TP(live.settings.topic("metrics"), 0)
        await live.send([1.0] * 10)
        await until(lambda: count_in(worker) == 13)
        owner = engine.owner(0)
        assert owner is not None
        await owner.checkpoint()
        await live.cut("metrics", 9)
        owner.expected[tp] = 4  # as if it had read no farther
        await engine._consumer().seek_to(tp, 4)
        await until(lambda: engine.expected_positions()[tp] == 13)
    await eventually(lambda: _count(live, "5 records went"), 1)


async def _count(live: Live, text: str) -> int:
    return sum(text in alert for alert in await live.alerts())


async def test_topics_are_asked_for_by_name_and_not_made(live: Live) -> None:
    async with live.worker() as worker:
        found = await engine_of(worker)._consumer().describe_topics([f"{live.settings.topic_prefix}none"])
        assert found == {}
        known = await engine_of(worker)._consumer().describe_topics([live.settings.topic("metrics")])
        assert known[live.settings.topic("metrics")].partitions == 1
        assert known[live.settings.topic("metrics")].id
