"""A state that is damaged is refused, rather than believed."""

from __future__ import annotations

import msgspec
import pytest

from agents.monitor.joining import Waiting
from agents.monitor.state import FORMAT, decode_state, encode_state
from streams.panes import LARGEST, PANE, WindowHead
from streams.parts import MemoryTable, Parts
from tests.monitor.driving import CALM, Driven, accuracies, small


@pytest.fixture
def written() -> bytes:
    driven = Driven(small())
    driven.feed(*accuracies(CALM))
    assert driven.data is not None
    return driven.data


@pytest.mark.parametrize(
    "head",
    [
        WindowHead(LARGEST + 1),
        WindowHead(0),
        WindowHead(20, -1),
        WindowHead(200, 1, open=bytes(8 * PANE + 1)),
        WindowHead(200, 201, trailing=bytes(8 * PANE + 1)),
    ],
)
def test_a_window_of_a_size_that_cannot_be_is_refused(written: bytes, head: WindowHead) -> None:
    state = decode_state(written)
    state.versions[0].series["accuracy"].window = head
    with pytest.raises(ValueError, match=r"Expected `(int|bytes)`"):
        decode_state(encode_state(state))


def test_a_pane_that_ends_within_a_value_comes_to_an_end() -> None:
    head = WindowHead(200, 63, open=bytes(8 * PANE - 1))
    head.take_many([0.5] * 3, lambda: Parts(MemoryTable(), b""))
    assert head.pushed == 66


def test_a_state_that_is_nested_too_deeply_is_refused(written: bytes) -> None:
    fields = [msgspec.msgpack.encode(each) for each in msgspec.msgpack.decode(written[1:])]
    deep = b"\x91" * 100_000 + b"\xc0"  # one field more, which no release has written
    data = FORMAT + b"\xdc" + (len(fields) + 1).to_bytes(2, "big") + b"".join(fields) + deep
    with pytest.raises(ValueError, match="nested too deeply"):
        decode_state(data)


def test_more_gone_than_there_ever_was_is_refused(written: bytes) -> None:
    state = decode_state(written)
    state.waiting = Waiting()
    state.waiting.queue.gone = 1
    with pytest.raises(ValueError, match="at most 0 gone, got 1"):
        decode_state(encode_state(state))
