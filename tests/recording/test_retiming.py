"""Times are moved, wherever they are in a message; nothing else is touched."""

from __future__ import annotations

import pytest

from agents.recording.items import SourceRecord
from agents.recording.retiming import key_of, shifted, shifted_headers, time_of


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'{"a": 0.90,"timestamp":1750000000,"b":[ 1 ]}', b'{"a":0.90,"timestamp":1750000100.5,"b":[ 1 ]}'),
        (b'{"timestamp":"2025-06-01T12:00:00Z"}', b'{"timestamp":"2025-06-01T12:01:40.500000Z"}'),
        (b'{"timestamp":"2025-06-01T12:00:00+02:00"}', b'{"timestamp":"2025-06-01T12:01:40.500000+02:00"}'),
        (b'{"timestamps":[1,"2025-06-01T12:00:00Z"]}', b'{"timestamps":[101.5,"2025-06-01T12:01:40.500000Z"]}'),
        (
            b'{"specversion":"1.0","time":"2025-06-01T12:00:00Z","data":{"timestamp":5,"x":1}}',
            b'{"specversion":"1.0","time":"2025-06-01T12:01:40.500000Z","data":{"timestamp":105.5,"x":1}}',
        ),
    ],
)
def test_every_time_of_a_message_is_moved_and_the_rest_stays_to_the_byte(before: bytes, after: bytes) -> None:
    assert shifted(before, 100.5) == after


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"{",
        b"[1]",
        b"null",
        b'{"x": 1}',
        b"\xff",
        b"[" * 9_999,
        b'{"timestamp": "\xff"}',
        b'{"\xed\xa0\x80": 1, "timestamp": 5}',
        b'{"timestamps": [1' + b"0" * 400 + b"]}",
        b'{"specversion":"1.0","data":' * 5_000 + b"1" + b"}" * 5_000,
        b'{"timestamp": "soon"}',
        b'{"timestamp": true}',
    ],
)
def test_what_is_no_message_or_has_no_time_stays_as_it_says(value: bytes | None) -> None:
    moved = shifted(value, 5.0)
    assert moved == value or moved == (value or b"").replace(b": ", b":")


def test_headers_of_cloudevents_are_moved_too() -> None:
    headers = [("ce_time", b"2025-06-01T12:00:00Z"), ("ce_id", b"7"), ("other", b"\xff")]
    assert shifted_headers(headers, 60.0) == [("ce_time", b"2025-06-01T12:01:00Z"), *headers[1:]]


def test_a_record_that_never_was_on_kafka_has_its_events_time_and_its_model_as_its_key() -> None:
    for unreadable in (b'{"timestamp": "\xff"}', b'{"timestamp":' * 9_999):
        assert time_of(SourceRecord("f", 0, 1, 0, None, unreadable)) is None
    bare = SourceRecord("f.jsonl", 0, 1, 0, None, b'{"model_name":"m","timestamp":"1970-01-01T00:00:07Z"}')
    assert (time_of(bare), key_of(bare)) == (7.0, b"m")
    unkeyed = SourceRecord("t", 0, 1, 9_000, None, bare.value)
    assert (time_of(unkeyed), key_of(unkeyed)) == (9.0, None)
    assert (time_of(SourceRecord("f", 0, 1, 0, None, b"{")), key_of(SourceRecord("f", 0, 1, 0, None, b"{"))) == (
        None,
        None,
    )
