"""A recording's lines: what is read is what was written, whatever it was."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.recording.format import Header, NotARecording, header_line, header_of, item_line, item_of, positions_in
from agents.recording.items import SourceRecord, TimePassed

VALUES = st.one_of(
    st.none(),
    st.binary(max_size=30),
    st.text(max_size=20).map(str.encode),
    st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5), st.lists, max_leaves=5).map(
        lambda value: json.dumps(value).encode()
    ),
    st.sampled_from(
        [b"null", b"{}", b' {"a": 1}', b'{"a":\n1}', b'{"a":\r1}', b'"\\ud800"', b"[" * 2_000, b"{}{}", b"1e999"]
    ),
)
HEADERS = st.lists(st.tuples(st.text(max_size=8), st.none() | st.binary(max_size=8)), max_size=3)


@settings(max_examples=60, deadline=None)
@given(VALUES, st.none() | st.binary(max_size=10), HEADERS, st.integers(-1, 2**62))
def test_a_record_is_read_as_it_was_to_the_byte(
    value: bytes | None, key: bytes | None, headers: list[tuple[str, bytes]], timestamp: int
) -> None:
    record = SourceRecord("t.metrics", 3, 2**40, timestamp, key, value, tuple(headers))
    line = item_line(record)
    assert len(line.splitlines()) == 1
    json.loads(line)  # any other program can read it
    assert item_of(line) == record


def test_a_message_stands_in_its_line_as_it_is() -> None:
    line = item_line(SourceRecord("t", 0, 1, 2, b"fraud", b'{"accuracy": 0.90}', (("ce_id", b"7"),)))
    assert json.loads(line) == {
        "topic": "t", "partition": 0, "offset": 1, "timestamp": 2, "key": "fraud",
        "headers": [["ce_id", "7"]], "value": {"accuracy": 0.9},
    }  # fmt: skip
    assert b'"value":{"accuracy": 0.90}' in line


def test_ticks_and_the_header_are_read_as_they_were() -> None:
    tick = TimePassed("monitor", 2, 1_500)
    assert item_of(item_line(tick)) == tick
    header = Header(1, {"p.metrics": 4}, "p.", ("monitor",), "broker:9092")
    assert header_of(header_line(header)) == header


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b'{"recording":1,"topics":{"\xff":1}}',
        b'{"x":' * 9_999,
        b'{"ticks":"x"}',
        b'{"topic":"t","partition":0,"offset":0,"timestamp":0,"value_base64":"*"}',
    ],
)
def test_other_lines_are_refused(line: bytes) -> None:
    with pytest.raises(NotARecording):
        item_of(line)
    with pytest.raises(NotARecording):
        positions_in(b'{"positions":' + (line or b"1"))
    with pytest.raises(NotARecording):
        header_of(line or b'{"recording":99,"topics":{},"topic_prefix":""}')
