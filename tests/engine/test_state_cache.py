from __future__ import annotations

import gc

import pytest

from streams import state_cache
from streams.parts import MemoryTable, Parts
from streams.state_cache import StateCache

PARTS = Parts(MemoryTable())


def kept(cache: StateCache[int], keys: range, size: int = 10) -> list[int]:
    """The keys that are there after each of them had two steps in a row; they are no more then."""
    for key in keys:
        for _ in range(2):
            cache.take(str(key))
            cache.keep(str(key), key, PARTS, size)
    return [key for key in keys if cache.take(str(key)) is not None]


@pytest.fixture(autouse=True)
def hundred_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    gc.collect()  # caches of other tests share the room until they are gone
    monkeypatch.setattr(state_cache, "_SHARING", type(state_cache._SHARING)())
    monkeypatch.setattr(state_cache, "CACHE_BYTES", 100)
    monkeypatch.setattr(state_cache, "REMEMBERED", 4)


def test_what_was_used_last_stays_within_the_bytes() -> None:
    assert kept(StateCache(), range(15)) == [*range(5, 15)]


def test_a_state_is_taken_once_so_that_a_failed_step_leaves_none() -> None:
    cache = StateCache[int]()
    for _ in range(2):
        cache.keep("a", 1, PARTS, 10)
    assert cache.take("a") == (1, PARTS)
    assert cache.take("a") is None


def test_a_key_has_two_steps_within_a_while_before_its_state_stays() -> None:
    cache = StateCache[int]()
    for round_ in range(2):
        for key in range(20):  # each comes back after the others: none would be there still
            assert cache.take(str(key)) is None, round_
            cache.keep(str(key), key, PARTS, 10)


def test_partitions_share_the_bytes_until_one_is_closed() -> None:
    first, second = StateCache[int](), StateCache[int]()
    assert len(kept(first, range(15))) == 5
    second.close()
    assert len(kept(first, range(15))) == 10
    assert kept(second, range(15)) == []


def test_a_state_larger_than_the_share_does_not_stay() -> None:
    assert kept(StateCache(), range(2), size=101) == []
