"""Who owns a partition, and what happens when something fails or a rebalance comes in between."""

from __future__ import annotations

import asyncio
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiokafka.errors import ProducerFenced, TopicAuthorizationFailedError
from faust.types import TP

import streams.engine
from schemas.metrics import ValidationScore
from streams.owner import PartitionOwner
from tests.engine.bench import BOTH, Bench
from tests.engine.counting import Sum
from tests.engine.fakes import INTERNAL, METRICS, FakeOutbox, batch
from tests.engine.live import until


async def test_a_first_start_commits_the_beginning_before_it_reads(bench: Bench) -> None:
    bench.kafka.starts[METRICS] = 7
    await bench.assign()
    assert bench.kafka.offsets == {METRICS: 7, INTERNAL: 0}
    assert bench.engine.expected_positions() == {METRICS: 7, INTERNAL: 0}


async def test_a_later_start_reads_from_what_is_committed(bench: Bench) -> None:
    bench.kafka.has_begun({METRICS: 5, INTERNAL: 3})
    await bench.assign()
    assert bench.engine.expected_positions() == {METRICS: 5, INTERNAL: 3}


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries give memory back as they please")
async def test_what_a_restore_took_of_memory_is_given_back(bench: Bench) -> None:
    kept, highest = [], []

    def fetch() -> None:
        pieces = [b"%d" % number * 1_000 for number in range(10_000, 26_000)]  # 80 MB
        highest.append(resident_bytes())
        kept.append(pieces[-1])  # at the heap's end, which cannot shrink

    bench.before_restore = fetch
    await bench.assign()
    assert highest[0] - resident_bytes() > 2**25


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def test_batches_of_a_partition_that_is_not_open_are_dropped(bench: Bench) -> None:
    await bench.engine.process(batch(0, 3))
    await bench.engine.fence(BOTH)
    await bench.engine.process(batch(0, 3))
    await bench.engine.open([0])
    assert bench.engine.expected_positions()[METRICS] == 0


async def test_a_batch_that_begins_too_late_makes_the_consumer_read_again_once(bench: Bench) -> None:
    await bench.assign()
    await bench.engine.process(batch(0, 3))
    await bench.engine.process(batch(5, 7))
    await bench.engine.process(batch(7, 9))  # fetched before the seek
    assert bench.consumer.sought == [(METRICS, 3)]
    assert bench.owner.processor.state("a").count == 3


async def test_a_gap_of_a_partition_that_is_being_revoked_is_no_failure(bench: Bench) -> None:
    await bench.assign()
    bench.consumer.assigned = False
    await bench.engine.process(batch(5, 7))
    assert not bench.engine.failure.done()


async def test_what_the_engine_cannot_process_stops_the_worker_and_is_not_committed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.assign()
    await bench.engine.process(batch(0, 3))

    def broken(*_: object) -> None:
        raise KeyError("no such thing")

    monkeypatch.setattr(bench.owner.processor, "process", broken)
    with pytest.raises(KeyError):
        await bench.engine.process(batch(3, 5))
    assert isinstance(bench.engine.failure.exception(), KeyError)
    await bench.engine.stop(1)
    assert bench.kafka.offsets[METRICS] == 0


async def test_a_failed_checkpoint_is_done_again_from_what_is_committed(bench: Bench) -> None:
    await bench.assign()
    await bench.engine.process(batch(0, 2))
    await bench.owner.checkpoint()
    bench.outbox.problem = ConnectionError("gone")
    await bench.engine.process(batch(2, 6))  # tells something at 3 and 6: a checkpoint comes at once
    await until(lambda: len(bench.kafka.outboxes) == 2, 5)
    assert await bench.count_again() == 2
    await until(lambda: (METRICS, 2) in bench.consumer.sought, 5)
    await bench.engine.process(batch(2, 6))
    await until(lambda: bench.kafka.offsets[METRICS] == 6, 5)
    assert len(bench.kafka.outputs) == 2
    assert bench.kafka.outboxes[0].stopped


async def test_a_disk_is_noted_as_saved_when_it_has_all_that_waited(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, on_disk, opened = bench.engine._table.store, list[bytes | None](), PartitionOwner.open

    def look(owner: PartitionOwner[Sum], positions: dict[TP, int]) -> None:
        assert store.saved_at(0)
        on_disk.append(store._db_for_partition(0).get(b"a"))
        opened(owner, positions)

    monkeypatch.setattr(PartitionOwner, "open", look)
    await bench.assign()
    await bench.engine.process(batch(0, 2))
    await bench.owner.checkpoint()
    bench.outbox.problem = ConnectionError("gone")
    await bench.engine.process(batch(2, 6))
    await until(lambda: len(bench.kafka.outboxes) == 2, 5)
    assert await bench.count_again() == 2
    assert on_disk[0] is None
    assert on_disk[1] is not None


async def test_a_commit_whose_answer_was_lost_counts(bench: Bench) -> None:
    await bench.assign()
    outbox = bench.outbox
    publish = outbox.publish

    async def publish_and_lose_the_answer(*what: object) -> int | None:
        await publish(*what)  # type: ignore[arg-type]
        raise ConnectionError("no answer")

    outbox.publish = publish_and_lose_the_answer  # type: ignore[method-assign, assignment]
    await bench.engine.process(batch(0, 4))
    await until(lambda: len(bench.kafka.outboxes) == 2, 5)
    assert await bench.count_again() == 4
    assert bench.engine.expected_positions()[METRICS] == 4
    assert len(bench.kafka.outputs) == 1


async def test_a_partition_that_fails_again_and_again_stops_the_worker(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(FakeOutbox):
        async def publish(self, *_: object) -> int | None:
            raise ConnectionError("gone for good")

    await bench.assign()
    monkeypatch.setattr(streams.engine, "TransactionalOutbox", lambda *_: Broken(bench.kafka))
    bench.outbox.problem = ConnectionError("gone for good")
    while not bench.engine.failure.done():
        await bench.engine.process(batch(0, 3))
        await asyncio.sleep(0.01)
    assert isinstance(bench.engine.failure.exception(), ConnectionError)
    assert len(bench.kafka.outboxes) <= streams.engine.RETRIES + 1


async def test_a_fenced_partition_is_taken_back_only_if_the_group_leaves_it_here(bench: Bench) -> None:
    await bench.assign()
    bench.outbox.problem = ProducerFenced()
    await bench.engine.process(batch(0, 3))
    await until(lambda: bench.engine.owner(0) is None, 5)
    await bench.engine.revoke(BOTH, 1)
    await asyncio.sleep(0.4)  # twice the session timeout
    assert len(bench.kafka.outboxes) == 1
    assert bench.engine.partitions == []


async def test_a_fenced_partition_that_stays_is_opened_again_after_the_session_timeout(bench: Bench) -> None:
    await bench.assign()
    bench.outbox.problem = ProducerFenced()
    await bench.engine.process(batch(0, 3))
    await until(lambda: len(bench.kafka.outboxes) == 2, 5)
    assert await bench.count_again() == 0


async def test_a_partition_that_is_revoked_while_it_is_taken_back_is_let_go(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams.engine, "RETRY_DELAY", 0.2)
    await bench.assign()
    bench.outbox.problem = ConnectionError("gone")
    former = bench.outbox
    stop_gate = asyncio.Event()

    async def slow_stop() -> None:
        await stop_gate.wait()

    await bench.engine.process(batch(0, 3))
    await until(lambda: bench.engine.owner(0) is None, 5)
    former.stop = slow_stop  # type: ignore[method-assign]
    await asyncio.sleep(0.4)  # the new owner is registered, and waits for the former to end
    await bench.engine.revoke(BOTH, 1)
    stop_gate.set()
    await asyncio.sleep(0.1)
    assert bench.engine.partitions == []
    assert not any(outbox.running for outbox in bench.kafka.outboxes)
    assert not bench.engine.failure.done()


async def test_a_restore_that_fails_because_the_partition_was_revoked_is_no_failure(bench: Bench) -> None:
    def revoke_and_fail() -> None:
        bench.engine._owners.clear()
        raise ConnectionError("closed meanwhile")

    bench.before_restore = revoke_and_fail
    await bench.assign()
    assert not bench.engine.failure.done()


async def test_a_restore_that_fails_is_raised(bench: Bench) -> None:
    def fail() -> None:
        raise ConnectionError("broken")

    bench.before_restore = fail
    with pytest.raises(ConnectionError):
        await bench.assign()


async def test_a_partition_revoked_while_it_is_restored_is_not_opened(bench: Bench) -> None:
    owners: list[PartitionOwner[Sum]] = []

    def revoke() -> None:
        owners.append(bench.engine._owners.pop(0))

    bench.before_restore = revoke
    await bench.assign()
    assert not owners[0].is_open


async def test_a_reopened_partition_that_is_revoked_before_the_seek_is_no_failure(bench: Bench) -> None:
    await bench.assign()
    bench.consumer.assigned = False
    bench.outbox.problem = ConnectionError("gone")
    await bench.engine.process(batch(0, 3))
    await until(lambda: len(bench.kafka.outboxes) == 2, 5)
    await bench.count_again()
    await asyncio.sleep(0.05)
    assert not bench.engine.failure.done()


async def test_revoking_makes_a_last_checkpoint_and_forgets_the_partition(bench: Bench) -> None:
    await bench.assign()
    await bench.engine.process(batch(0, 2))
    await bench.engine.revoke(BOTH, 5)
    assert bench.kafka.offsets[METRICS] == 2
    assert bench.engine.partitions == []
    assert bench.outbox.stopped


@pytest.mark.parametrize("end", ["revoke", "stop"])
async def test_a_transaction_that_neither_ends_nor_aborts_does_not_hold_up_the_end(bench: Bench, end: str) -> None:
    await bench.assign()
    bench.outbox.gate.clear()
    bench.outbox.stubborn = True
    await bench.engine.process(batch(0, 2))
    ending = bench.engine.revoke(BOTH, 0.05) if end == "revoke" else bench.engine.stop(0.05)
    await asyncio.wait_for(ending, 5)
    assert bench.engine.partitions == []
    bench.outbox.gate.set()


async def test_a_partition_assigned_while_the_worker_stops_is_not_taken(bench: Bench) -> None:
    await bench.assign()
    await bench.engine.stop(1)
    await bench.engine.fence(BOTH)
    assert len(bench.kafka.outboxes) == 1
    assert bench.engine.partitions == []


async def test_time_passes_only_where_a_key_waits_and_everything_is_read(bench: Bench) -> None:
    await bench.assign()
    bench.engine.tick(10.0)
    bench.engine.tick(11.0)
    assert bench.owner.processor._clock == 0  # nobody waits
    await bench.engine.process(batch(0, 1, {0: -500.0}))
    bench.engine.tick(12.0)
    assert bench.owner.processor._clock == 0  # there is more to read
    bench.kafka.ends = {METRICS: 1, INTERNAL: 0}
    bench.engine.tick(12.25)
    assert bench.owner.processor._clock == 250
    bench.engine.tick(12.5)
    await until(lambda: len(bench.kafka.outputs) == 1, 5)


async def test_a_message_for_a_partition_that_is_elsewhere_is_not_taken(bench: Bench) -> None:
    score = ValidationScore(model_name="a", timestamp=datetime(2025, 1, 1, tzinfo=UTC), score=1.0)
    assert bench.engine.feed(0, score) is False
    await bench.assign()
    assert bench.engine.feed(0, score) is True
    assert bench.owner.processor.state("a").count == 1


async def test_only_an_illegal_seek_is_taken_for_a_rebalance(bench: Bench) -> None:
    await bench.assign()

    async def broken(tp: object, offset: int) -> None:
        raise ConnectionError("no broker")

    bench.consumer.seek_to = broken  # type: ignore[method-assign]
    with pytest.raises(ConnectionError):
        await bench.engine.process(batch(5, 7))


async def test_what_an_acl_denies_stops_the_worker_at_once(bench: Bench) -> None:
    await bench.assign()
    bench.outbox.problem = TopicAuthorizationFailedError("p.drift")
    await bench.engine.process(batch(0, 3))
    with pytest.raises(TopicAuthorizationFailedError):
        await asyncio.wait_for(bench.engine.failure, 5)
    assert len(bench.kafka.outboxes) == 1
