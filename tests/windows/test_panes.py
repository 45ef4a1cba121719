"""Heads and panes: the same digits whichever way values are taken in, and a head that stays small."""

from __future__ import annotations

import random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.panes import PANE, WindowHead
from streams.parts import MemoryTable, Parts
from streams.windows import CountWindow

SIZES = st.sampled_from([2, 3, 5, PANE - 1, PANE, PANE + 1, 100, 2 * PANE, 2 * PANE + 2, 200])
KINDS = {
    "ratios": lambda rng: rng.gauss(0.9, 0.01),
    "levels": lambda rng: rng.choice([0.1, 0.7]),
    "wide": lambda rng: rng.uniform(-1e6, 1e6),
    "huge": lambda rng: rng.choice([1e300, -1.7e308, 0.0, 1.0]),
}


def stream(kind: str, size: int, seed: int) -> list[float]:
    rng = random.Random(seed)
    return [KINDS[kind](rng) for _ in range(rng.randrange(5 * size))]


@settings(max_examples=200, deadline=None)
@given(SIZES, st.sampled_from(sorted(KINDS)), st.integers(0, 10_000))
def test_a_few_values_after_the_others_give_the_digits_of_a_push(size: int, kind: str, seed: int) -> None:
    values, rng, found, at = stream(kind, size, seed), random.Random(seed), [], 0
    expected = CountWindow(size)
    pushed = expected.push_many(values)
    table = MemoryTable()
    window = CountWindow(size, Parts(table))
    while at < len(values):
        head, parts = window.head, Parts(table)
        window = CountWindow.of(msgspec.msgpack.decode(msgspec.msgpack.encode(head), type=WindowHead), parts)
        few = values[at : at + min(window.head.reach, rng.choice([1, 1, 5, 100]))]
        if few and rng.random() < 0.7 and (measured := window.head.measure(few)):
            if window.head.take(few[: len(measured)]):
                window.head.turn_over(parts)
            found += measured
            at += len(measured)
        else:
            some = window.push_many(values[at : at + rng.randrange(1, size + 5)])
            found += list(zip(some.count.tolist(), some.mean.tolist(), some.std.tolist(), strict=True))
            at += len(some.mean)
        parts.write()
    assert found == list(zip(pushed.count.tolist(), pushed.mean.tolist(), pushed.std.tolist(), strict=True))
    if values:
        assert window.head == expected.head
        assert window.summary() == expected.summary() == pushed.summary(len(values) - 1)


@settings(max_examples=200, deadline=None)
@given(SIZES, st.sampled_from(sorted(KINDS)), st.integers(0, 10_000))
def test_values_taken_in_unmeasured_are_all_there(size: int, kind: str, seed: int) -> None:
    values, rng, at = stream(kind, size, seed), random.Random(seed), 0
    window = CountWindow(size)
    parts = window._panes
    while at < len(values):
        if (room := window.head.room) and rng.random() < 0.7:
            taken = min(room, rng.randrange(1, 200))
            window.head.take_many(values[at : at + taken], lambda: parts)
        else:
            taken = 7
            window.extend(values[at : at + taken])
        at += taken
    assert window.values.tolist() == values[-size:]
    if values:
        measured = CountWindow(size)
        measured.push_many(values)
        assert window.summary() == measured.summary()
        assert window.push_many([0.5]).std == measured.push_many([0.5]).std  # and may be measured from now on


def test_the_head_does_not_grow_with_the_window() -> None:
    sizes = []
    for size in (500, 50_000):
        window = CountWindow(size)
        window.push_many(np.random.default_rng(1).normal(0.9, 0.01, 2 * size + PANE - 1))
        sizes.append(len(msgspec.msgpack.encode(window.head)))
    assert max(sizes) < 2 * PANE * 8 + 100
    assert abs(sizes[1] - sizes[0]) < 20


def test_one_value_changes_the_head_alone_until_a_pane_is_full() -> None:
    table = MemoryTable()
    window = CountWindow(50_000, Parts(table))
    window.push_many(np.random.default_rng(1).normal(0.9, 0.01, 120_000))
    window._panes.write()
    changed = 0
    for value in np.random.default_rng(2).normal(0.9, 0.01, 10 * PANE):
        parts = Parts(table)
        window = CountWindow.of(window.head, parts)
        window.push_many([value])
        changed += len(parts._changes)
        parts.write()
    assert changed == 10


def test_a_discarded_window_leaves_nothing_behind() -> None:
    table = MemoryTable()
    parts = Parts(table, b"model\0")
    window = CountWindow(1_000, parts.within(b"1"))
    window.push_many(np.arange(5_000.0))
    parts.write()
    assert len(table) > 30
    window.discard()
    parts.write()
    assert table == {}


def test_parts_wait_until_they_are_written() -> None:
    table = MemoryTable()
    parts = Parts(table, b"k\0")
    parts.within(b"a")[b"1"] = b"x"
    assert table == {}
    assert parts[b"a1"] == b"x"
    parts.write()
    assert table == {b"k\0a1": b"x"}
    parts.discard(b"a1")
    with pytest.raises(KeyError):
        parts[b"a1"]


def test_doubles_are_little_endian_whatever_the_machine() -> None:
    window = CountWindow(3)
    window.push_many([1.0])
    assert window.head.open == b"\0\0\0\0\0\0\xf0\x3f"
