from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.store import CheckpointedTable, PartitionTable


def test_a_key_that_lives_in_the_overlay_alone_is_found(table: CheckpointedTable) -> None:
    part = PartitionTable(table, 0)
    part[b"k"] = b"v"
    assert b"k" in part
    assert part[b"k"] == b"v"
    assert len(part) == 1
    table.store.freeze(0)
    assert (b"k" in part, part[b"k"]) == (True, b"v")


def test_a_deleted_key_is_gone_before_and_after_the_checkpoint(table: CheckpointedTable) -> None:
    part = PartitionTable(table, 0)
    part[b"k"] = b"v"
    table.store.freeze(0)
    table.store.settle(0, 1)
    del part[b"k"]
    assert b"k" not in part
    assert list(part) == []
    with pytest.raises(KeyError):
        part[b"k"]
    table.store.freeze(0)
    table.store.settle(0, 2)
    assert b"k" not in part


def test_partitions_do_not_see_each_other(table: CheckpointedTable) -> None:
    PartitionTable(table, 0)[b"k"] = b"0"
    PartitionTable(table, 1)[b"k"] = b"1"
    assert PartitionTable(table, 0)[b"k"] == b"0"
    table.store.drop(0)
    assert b"k" not in PartitionTable(table, 0)
    assert PartitionTable(table, 1)[b"k"] == b"1"


def test_two_checkpoints_of_a_partition_at_once_are_refused(table: CheckpointedTable) -> None:
    PartitionTable(table, 0)[b"k"] = b"v"
    table.store.freeze(0)
    with pytest.raises(RuntimeError, match="already"):
        table.store.freeze(0)


def test_the_store_is_rocksdb_on_disk(table: CheckpointedTable) -> None:
    PartitionTable(table, 0)[b"k"] = b"v"
    table.store.freeze(0)
    table.store.settle(0, 5)
    table.store.write_all(0)
    assert table.store.position(0) == 5
    assert list(table.store.partition_path(0).glob("*.log"))


operations = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["put", "put many"]), st.sampled_from([b"a", b"b", b"c"]), st.binary(max_size=3)),
        st.tuples(st.just("delete"), st.sampled_from([b"a", b"b", b"c"]), st.just(b"")),
        st.tuples(st.sampled_from(["freeze", "commit", "drop"]), st.just(b""), st.just(b"")),
    ),
    max_size=30,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(operations)
def test_reads_see_the_overlay_over_what_is_committed(
    table: CheckpointedTable, steps: list[tuple[str, bytes, bytes]]
) -> None:
    part, store = PartitionTable(table, 0), table.store
    for key in list(part):
        del part[key]
    store.drop(0)
    committed = {key: part[key] for key in part}
    frozen: dict[bytes, bytes] | None = None
    model = dict(committed)
    for step, key, value in steps:
        if step == "put":
            part[key] = model[key] = value
        elif step == "put many":
            part.update({key: value, b"c": value})
            model |= {key: value, b"c": value}
        elif step == "delete" and key in model:
            del part[key], model[key]
        elif step == "freeze" and frozen is None and store.freeze(0):
            frozen = dict(model)
        elif step == "commit" and frozen is not None:
            store.settle(0, 1)
            committed, frozen = frozen, None
        elif step == "drop":
            store.drop(0)
            model, frozen = dict(committed), None
        assert dict(part.items()) == model
        assert part.get_many([b"a", b"b", b"c", b"a"]) == [model.get(key) for key in (b"a", b"b", b"c", b"a")]
        assert {key: part.get(key) for key in (b"a", b"b", b"c")} == {k: model.get(k) for k in (b"a", b"b", b"c")}
