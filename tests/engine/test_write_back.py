"""What is committed and not yet in RocksDB: it is bounded, nothing of it is overtaken, and a crash loses none of it."""

from __future__ import annotations

import pytest
from faust.types import TP
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams import overlay
from streams.changed import Changed
from streams.overlay import Overlay, most_waiting
from streams.store import CheckpointedTable

KEYS = [b"a", b"b", b"c", b"d"]

Log = list[tuple[bytes, bytes | None]]


def commit(table: CheckpointedTable, partition: int, changes: dict[bytes, bytes | None], log: Log) -> None:
    """A checkpoint of these changes; the changelog is a list."""
    for key, value in changes.items():
        table.store.change(partition, key, value)
    log += table.store.freeze(partition).items()
    table.store.settle(partition, len(log))


def crash(table: CheckpointedTable) -> None:
    """Memory is gone, RocksDB is not."""
    table.store._overlays.clear()


def restore(table: CheckpointedTable, partition: int, log: Log) -> None:
    position = table.store.position(partition)
    table.store.write_committed(partition, log[position:], len(log))


def on_disk(table: CheckpointedTable, partition: int = 0) -> dict[bytes, bytes]:
    database = table.store._db_for_partition(partition)
    return {key: value for key, value in database.items() if key in KEYS}


checkpoints = st.dictionaries(st.sampled_from(KEYS), st.none() | st.binary(max_size=40), min_size=1)
steps = st.lists(
    st.tuples(st.sampled_from(["commit", "fail", "lose"]), st.integers(0, 1), checkpoints)
    | st.tuples(st.sampled_from(["crash", "scan"]), st.integers(0, 1), st.just({})),
    min_size=3,
    max_size=30,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(steps, st.sampled_from([0, 700, 3_000]), st.sampled_from([400, 2_000]), st.integers(0, 2))
def test_what_is_committed_is_there_after_any_crash(
    table: CheckpointedTable,
    monkeypatch: pytest.MonkeyPatch,
    steps: list[tuple[str, int, dict[bytes, bytes | None]]],
    waiting: int,
    logged: int,
    pace: int,
) -> None:
    monkeypatch.setattr("streams.store._PACE", pace)
    monkeypatch.setattr(overlay, "WAITING_BYTES", waiting)
    monkeypatch.setattr(overlay, "LOGGED_BYTES", logged)
    logs: list[Log] = [[], []]
    crash(table)
    for partition, log in enumerate(logs):  # of the former example
        table.store.write_committed(partition, [(key, None) for key in KEYS], None)
        table.store._db_for_partition(partition).delete(table.store.offset_key)
        assert table.store.position(partition) == len(log)
    for step, partition, changes in steps:
        if step == "commit":
            commit(table, partition, changes, logs[partition])
        elif step == "fail":
            for key, value in changes.items():
                table.store.change(partition, key, value)
            table.store.drop(partition)
        elif step == "lose":  # to a worker that commits, and have it back
            logs[partition] += changes.items()
            restore(table, partition, logs[partition])
        elif step == "scan":
            expected = {key: value for key, value in dict(logs[partition]).items() if value is not None}
            assert dict(table.store.scan(partition)) == expected
        elif step == "crash":
            crash(table)
            restore(table, 0, logs[0])
            restore(table, 1, logs[1])
        for each, log in enumerate(logs):
            known = dict(log)
            assert table.store.read_many(each, KEYS) == [known.get(key) for key in KEYS]
            assert [table.store.read(each, key) for key in KEYS] == [known.get(key) for key in KEYS]
            assert table.store.position(each) == len(log)


def test_a_change_that_is_overtaken_is_not_written(table: CheckpointedTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlay, "WAITING_BYTES", 500)  # one, and not three
    log: Log = []
    for number in range(3):
        commit(table, 0, {b"a": b"%d" % number}, log)
    assert on_disk(table) == {}
    table.store.write_all(0)
    assert (on_disk(table), table.store.position(0)) == ({b"a": b"2"}, 3)


def test_where_too_much_waits_some_is_written_with_each_checkpoint(
    table: CheckpointedTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: Log = []
    commit(table, 0, dict.fromkeys(KEYS, b"old"), log)
    monkeypatch.setattr(overlay, "WAITING_BYTES", 1_000)
    commit(table, 0, {b"a": b"new"}, log)
    assert on_disk(table) == {b"a": b"new", b"b": b"old"}  # two for the one that came
    assert table.store._db_for_partition(0).get(table.store.offset_key) is None  # a restore reads all again
    commit(table, 0, {b"a": b"newest"}, log)
    assert on_disk(table) == {b"a": b"new", b"b": b"old", b"c": b"old", b"d": b"old"}
    assert table.store._db_for_partition(0).get(table.store.offset_key) == b"5"
    assert table.store.read(0, b"a") == b"newest"
    assert table.store._overlays[0]._newest.values == {b"a": b"newest"}  # nothing of what is written stays in memory


def test_what_is_dropped_uncovers_the_newest_commit_and_not_the_one_being_written(
    table: CheckpointedTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlay, "WAITING_BYTES", 0)
    monkeypatch.setattr("streams.store._PACE", 0)
    log: Log = []
    commit(table, 0, {b"d": b"old"}, log)
    commit(table, 0, {b"d": b"new"}, log)
    table.store.change(0, b"d", b"uncommitted")
    table.store.drop(0)
    assert table.store.read(0, b"d") == b"new"


def test_the_partition_with_most_is_written_whichever_commits(
    table: CheckpointedTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs: list[Log] = [[], []]
    commit(table, 1, dict.fromkeys(KEYS, b"much"), logs[1])
    monkeypatch.setattr(overlay, "WAITING_BYTES", 1_000)
    commit(table, 0, {b"a": b"1", b"b": b"2"}, logs[0])
    assert (on_disk(table, 0), len(on_disk(table, 1))) == ({}, len(KEYS))


def committed(overlay: Overlay, changes: dict[bytes, bytes | None], position: int) -> None:
    overlay.change_many(changes)
    overlay.freeze()
    overlay.settle(position)


def test_the_log_after_what_is_written_is_bounded_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlay, "LOGGED_BYTES", 4_500)  # ten such changes
    every = {0: Overlay(), 1: Overlay()}
    for number in range(10):
        assert most_waiting(every) is None
        committed(every[1], {b"k": bytes(50)}, number)
    committed(every[0], {b"k": b""}, 1)
    assert most_waiting(every) == 1
    every[1].waiting.begin()
    assert most_waiting(every) is None


def test_what_is_not_committed_takes_memory_too_and_what_waits_is_written_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(overlay, "WAITING_BYTES", 1_000)
    every = {0: Overlay(), 1: Overlay()}
    every[0].change(b"k", bytes(2_000))
    assert most_waiting(every) is None  # nothing can be written
    committed(every[1], {b"k": bytes(10)}, 1)
    assert most_waiting(every) == 1


steps_of_one = st.lists(
    st.tuples(st.sampled_from(["change", "commit", "drop", "write"]), checkpoints | st.just({})), max_size=30
)


@given(steps_of_one, st.booleans())
def test_the_size_is_of_what_is_newest_and_nothing_else(
    steps: list[tuple[str, dict[bytes, bytes | None]]], is_counted: bool
) -> None:
    """Where it is not counted after each change, it is that of values of the same length all the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlay, "_FRESH_BYTES", -1 if is_counted else 1_000_000)
        patch.setattr(overlay, "_NEWEST_BYTES", -1 if is_counted else 1_000_000)
        _check_sizes(steps if is_counted else [(step, dict.fromkeys(changes, b"alike")) for step, changes in steps])


def _check_sizes(steps: list[tuple[str, dict[bytes, bytes | None]]]) -> None:
    one, known, uncommitted = Overlay(), dict[bytes, bytes | None](), dict[bytes, bytes | None]()
    for position, (step, changes) in enumerate(steps):
        one.change_many(changes)
        uncommitted.update(changes)
        if step == "commit":
            one.freeze()
            one.settle(position)
            known.update(uncommitted)
            uncommitted.clear()
        elif step == "drop":
            one.drop()
            uncommitted.clear()
        elif step == "write" and one.waiting:
            one.waiting.begin()
            one.note_written(len(one.waiting.next(len(KEYS))[0]))
            known.clear()
        newest = known | uncommitted
        assert one.changed == size_of(uncommitted)
        assert one.size == size_of(newest) + overlay._OVERHEAD * len(newest)
        assert one.get_many(KEYS) == [newest.get(key) for key in KEYS]


def size_of(values: dict[bytes, bytes | None]) -> int:
    return sum(len(value or b"") for value in values.values())


def test_values_that_grow_are_counted_in_the_end() -> None:
    grown = Changed(1_000)
    for length in range(1, 60):
        grown.take({b"k": bytes(length)}, length)
    assert 40 < grown.size < 60


async def test_what_waits_is_written_when_a_partition_goes_and_when_the_worker_stops(table: CheckpointedTable) -> None:
    logs: list[Log] = [[], []]
    for partition in (0, 1):
        commit(table, partition, {b"a": b"%d" % partition}, logs[partition])
        table.store._db_for_partition(partition)
    (topic,) = table.changelog_topic.topics
    table.store.revoke_partitions(table, {TP(topic, 0)})
    await table.store.stop()
    crash(table)
    assert [on_disk(table, partition) for partition in (0, 1)] == [{b"a": b"0"}, {b"a": b"1"}]
    assert [table.store.position(partition) for partition in (0, 1)] == [1, 1]
