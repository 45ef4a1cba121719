"""Entries that are kept for a time: what is in the map, in which order it goes, and that nothing is left behind."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.expiring import CHUNK, Expiring, ExpiringHead
from streams.parts import MemoryTable, Parts

NAMES = st.integers(0, 60).map(str)
ACTIONS = st.lists(st.tuples(st.sampled_from(["enter"] * 4 + ["take", "replace"]), NAMES), max_size=300)


def reopened(expiring: Expiring, table: MemoryTable, parts: Parts) -> tuple[Expiring, Parts]:
    """As after a restart: what was written, and no more."""
    parts.write()
    fresh = Parts(table)
    head = msgspec.msgpack.decode(msgspec.msgpack.encode(expiring.head), type=ExpiringHead)
    return Expiring(head, fresh), fresh


@settings(max_examples=150, deadline=None)
@given(ACTIONS, st.sets(st.integers(0, 300), max_size=5))
def test_what_entered_first_goes_first_and_restarts_make_no_difference(
    actions: list[tuple[str, str]], restarts: set[int]
) -> None:
    table = MemoryTable()
    parts = Parts(table)
    expiring, queue, held = Expiring(ExpiringHead(), parts), list[tuple[int, str]](), dict[str, tuple[int, bytes]]()
    for now, (action, name) in enumerate(actions):
        value = str(now).encode()
        if action == "enter":
            expiring.enter(name, value, now)
            queue.append((now, name))
            held[name] = now, value
        elif action == "take" and queue:
            entered, oldest = queue.pop(0)
            expected = held.pop(oldest)[1] if oldest in held and held[oldest][0] == entered else None
            assert expiring.take_oldest() == expected
            assert expiring.get(oldest) == held.get(oldest)
        elif action == "replace" and name in held:
            held[name] = held[name][0], value
            expiring.replace(name, *held[name])
        assert expiring.get(name) == held.get(name)
        assert len(expiring.head) == len(queue)
        assert not queue or expiring.head.oldest == queue[0][0]
        if now in restarts:
            expiring, parts = reopened(expiring, table, parts)
    expiring.discard()
    parts.write()
    assert table == {}


def test_the_head_holds_less_than_a_chunk_however_many_wait() -> None:
    table = MemoryTable()
    parts = Parts(table)
    expiring = Expiring(ExpiringHead(), parts)
    for number in range(10_000):
        expiring.enter(str(number), b"x", number)
    parts.write()
    assert len(expiring.head.open) == 10_000 % CHUNK
    changes = Parts(table)
    Expiring(expiring.head, changes).take_oldest()
    assert len(changes._changes) == 1
