"""Windows in panes of 64 values, as earlier releases kept them, come to be what they would be in panes of today."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.former_panes import FormerHead, cut_anew
from streams.parts import MemoryTable, Parts
from streams.windows import CountWindow, Floats

FORMER = 64
SIZES = st.sampled_from([2, 63, 64, 65, 100, 128, 130, 200, 500])


def kept(values: Floats, size: int, table: MemoryTable) -> FormerHead:
    """A window after these values, as it was kept: each block cut into panes from its beginning, the last one short."""
    panes = -(-size // FORMER)
    place = len(values) % size
    for number, value in enumerate(np.split(values, range(size, len(values), size))):
        full = len(value) if len(value) == size else len(value) // FORMER * FORMER
        for at in range(0, full, FORMER):
            slot = number % 2 * panes + at // FORMER
            table[b"w" + slot.to_bytes(4, "big")] = value[at : at + FORMER].astype("<f8").tobytes()
    if len(values) >= size:
        table[b"wf"] = bytes(16 * panes)
    return FormerHead(size, len(values), float(values[0]), open=values[len(values) - place % FORMER :].tobytes())


@given(size=SIZES, pushed=st.integers(1, 1_200), seed=st.integers(0, 100))
def test_a_window_is_what_it_would_have_been(size: int, pushed: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(0.9, 0.01, pushed)
    former, expected = MemoryTable({b"other": b"1"}), MemoryTable({b"other": b"1"})
    head, parts = kept(values, size, former), Parts(former)
    after = cut_anew(head, parts.within(b"w"))
    assert former[b"other"] == b"1"
    parts.write()
    own = Parts(expected)
    window = CountWindow.holding(size, pushed, float(values[0]), values[-size:], own.within(b"w"))
    own.write()
    assert after == window.head
    assert former == expected
    more = np.random.default_rng(seed + 1).normal(0.9, 0.01, 70)
    one, other = CountWindow.of(after, parts.within(b"w")), window
    assert np.array_equal(one.push_many(more).std, other.push_many(more).std)
    assert np.array_equal(one.values, np.concatenate((values, more))[-size:])


def test_a_pane_that_is_missing_or_damaged_is_an_error() -> None:
    table, values = MemoryTable(), np.arange(1.0, 151.0)
    head = kept(values, 100, table)
    table[b"w" + bytes(4)] = bytes(8)
    with pytest.raises(ValueError, match="expected 100 values of a block, got 37"):
        cut_anew(head, Parts(table).within(b"w"))
    del table[b"w" + bytes(4)]
    with pytest.raises(KeyError):
        cut_anew(head, Parts(table).within(b"w"))
