"""Batches are byte for byte what aiokafka's builder makes of the same records."""

from __future__ import annotations

import pytest
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from schemas.kernel import COMPILED
from streams import changelog_batch, changelog_records
from streams.changed import Changes
from streams.changelog_batch import ChangelogBatch, changelog_batches
from streams.changelog_records import sizes_of

LIMIT = 100_000
PRODUCER = (2**40 + 7, 3, 2**31 - 9)

compiled = pytest.mark.skipif(not COMPILED, reason="kernels need numba")

#: With lengths around those at which another byte is needed.
sizes = st.sampled_from([0, 1, 63, 64, 8_191, 8_192, 70_000]) | st.integers(0, 300)
values = st.none() | sizes.map(lambda size: b"\x80" * size)
changes = st.dictionaries(st.binary(max_size=200), values, min_size=1, max_size=20)


def built(batch: ChangelogBatch, producer: tuple[int, int, int] = PRODUCER) -> bytes:
    batch._set_producer_state(*producer)
    return batch._build()


def as_aiokafka_builds(changes: Changes, milliseconds: int, *, is_transactional: bool = True) -> bytes:
    builder = DefaultRecordBatchBuilder(2, 0, int(is_transactional), *PRODUCER, 10**9)
    for number, (key, value) in enumerate(changes.items()):
        assert builder.append(number, milliseconds, key=key, value=value, headers=[])
    return bytes(builder.build())


@given(changes, st.booleans())
def test_one_batch(changes: Changes, is_transactional: bool) -> None:
    (batch,) = changelog_batches(changes, 10**9, is_transactional=is_transactional)
    size = batch.size()  # asked before the producer is known
    assert built(batch) == as_aiokafka_builds(changes, batch._milliseconds, is_transactional=is_transactional)
    assert batch.record_count() == len(changes)
    assert size == len(built(batch))


@given(changes)
def test_together_batches_hold_every_record_once_and_none_is_too_large(changes: Changes) -> None:
    read, batches = [], list(changelog_batches(changes, LIMIT, is_transactional=True))
    for batch in batches:
        assert batch.size() <= LIMIT or batch.record_count() == 1
        parsed = DefaultRecordBatch(bytearray(built(batch)))
        assert parsed.validate_crc()
        records = list(parsed)
        assert [record.offset for record in records] == list(range(batch.record_count()))
        read += [(record.key, record.value) for record in records]
    assert read == list(changes.items())


def test_a_record_that_is_larger_than_a_batch_has_one_of_its_own() -> None:
    changes = {b"large": b"1" * LIMIT, b"small": b"2", b"larger": b"3" * 2 * LIMIT, b"after": b"4"}
    assert [batch.record_count() for batch in changelog_batches(changes, LIMIT, is_transactional=True)] == [1, 1, 1, 1]


def test_what_records_have_beside_keys_and_values_counts_too() -> None:
    changes = {b"%d" % number: b"" for number in range(5_000)}
    batches = list(changelog_batches(changes, 1_000, is_transactional=True))
    assert all(batch.size() <= 1_000 for batch in batches)
    assert all(batch.size() > 300 for batch in batches[:-1])


def test_what_a_batch_begins_with_counts_too() -> None:
    changes = {b"a": bytes(475), b"b": bytes(475)}
    assert [batch.size() <= 1_000 for batch in changelog_batches(changes, 1_000, is_transactional=True)] == [True, True]


def test_many_records() -> None:
    changes = {b"%d" % number: b"" for number in range(70_000)}
    (batch,) = changelog_batches(changes, 10**7, is_transactional=True)
    assert built(batch) == as_aiokafka_builds(changes, batch._milliseconds)
    assert len(changelog_records._VARINTS) <= 2**16 + 1  # and -1


@compiled
@given(changes)
def test_the_kernel_writes_what_the_interpreter_writes(changes: Changes) -> None:
    keys, values = [*changes], [*changes.values()]
    given = keys, values, sizes_of(keys), sizes_of(values)
    assert changelog_records._by_kernel(*given) == changelog_records._by_interpreter(*given)


@compiled
def test_the_kernel_numbers_many() -> None:
    keys, values = [b"%d" % number for number in range(20_000)], [None] * 20_000
    given = keys, values, sizes_of(keys), sizes_of(values)
    assert changelog_records._by_kernel(*given) == changelog_records._by_interpreter(*given)


def test_nothing_is_no_batch() -> None:
    assert list(changelog_batches({}, LIMIT, is_transactional=True)) == []


def test_a_batch_takes_no_more_and_is_sent_again_as_it_was() -> None:
    (batch,) = changelog_batches({b"k": b"v"}, LIMIT, is_transactional=True)
    batch.append(key=b"l", value=b"w", timestamp=None)
    assert batch.closed()
    assert built(batch) is batch._build()
    assert batch.record_count() == 1


def test_without_a_wheel_the_checksum_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    (batch,) = changelog_batches({b"k": b"v" * 1_000}, LIMIT, is_transactional=True)
    expected = built(batch)
    monkeypatch.setattr(changelog_batch, "_IS_QUICK", False)
    assert built(batch) == expected
