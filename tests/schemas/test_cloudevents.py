"""CloudEvents in both of Kafka's modes, on the way out and in."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.cloudevents import headers_of
from schemas.message import InvalidMessage, Message
from schemas.metrics import Heartbeat, Metrics
from schemas.topics import TOPICS
from tests.schemas.refusals import assert_proper, reason_of
from tests.schemas.strategies import JSON_VALUES, MESSAGES

PARSE = TOPICS["metrics"].parser()
ATTRIBUTES = {
    "specversion": "1.0",
    "id": "e1",
    "source": "fleet",
    "type": "com.example.metrics",
    "time": "2024-05-06T07:08:09Z",
    "subject": "fraud",
}
HEADERS = [(f"ce_{name}", value.encode()) for name, value in ATTRIBUTES.items()]
COMPLETE = {"type": "metrics", "event_id": "own", "model_name": "m", "timestamp": 1_700_000_000, "accuracy": 0.5}


def test_an_output_has_the_attributes_as_headers() -> None:
    message = PARSE(json.dumps(COMPLETE).encode())
    assert headers_of(message, "visutility/monitor") == [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"own"),
        ("ce_source", b"visutility/monitor"),
        ("ce_type", b"visutility.metrics"),
        ("ce_subject", b"m"),
        ("ce_time", b"2023-11-14T22:13:20Z"),
        ("content-type", b"application/json"),
    ]


@given(st.one_of(*MESSAGES.values()))
def test_no_header_is_empty(message: Message) -> None:
    assert all(value for _, value in headers_of(message))


@given(MESSAGES[Metrics])
def test_a_message_with_its_own_headers_is_read_as_without(message: Message) -> None:
    assert PARSE(message.to_json(), headers_of(message)) == message


def test_in_binary_mode_headers_fill_what_the_value_lacks() -> None:
    message = PARSE(b'{"accuracy": 0.5}', HEADERS)
    assert isinstance(message, Metrics)
    assert (message.event_id, message.model_name, message.accuracy) == ("e1", "fraud", 0.5)
    assert message.to_dict()["timestamp"] == "2024-05-06T07:08:09Z"


def test_what_the_value_has_goes_before_the_headers() -> None:
    message = PARSE(json.dumps(COMPLETE).encode(), HEADERS)
    assert (message.event_id, message.model_name) == ("own", "m")


def test_a_complete_message_without_an_id_takes_the_one_in_the_headers() -> None:
    message = PARSE(json.dumps({**COMPLETE, "event_id": None}).encode(), HEADERS)
    assert (message.event_id, message.model_name) == ("e1", "m")


def test_a_bad_value_is_refused_with_headers_as_without() -> None:
    with pytest.raises(InvalidMessage, match=r"^accuracy: expected a number in \[0, 1\], got 7$"):
        PARSE(b'{"accuracy": 7}', HEADERS)
    with pytest.raises(InvalidMessage, match=r"^accuracy: expected a number in .*, got NaN$"):
        PARSE(b'{"accuracy": NaN}', HEADERS)
    with pytest.raises(InvalidMessage, match=r"^value: expected UTF-8, got byte 0xff at position 0$"):
        PARSE(b"\xff", HEADERS)


@given(
    st.binary() | JSON_VALUES.map(lambda value: json.dumps(value).encode()),
    st.lists(st.tuples(st.sampled_from([name for name, _ in HEADERS]) | st.text(), st.none() | st.binary())),
)
def test_arbitrary_headers_never_raise_anything_else(value: bytes, headers: list[tuple[str, bytes | None]]) -> None:
    assert_proper(reason_of(PARSE, value, headers))


@pytest.mark.parametrize("data", [COMPLETE, {"accuracy": 0.5}, {"accuracy": 0.5, "event_id": None}])
def test_in_structured_mode_the_data_is_the_message(data: dict[str, Any]) -> None:
    plain = PARSE(json.dumps({**ATTRIBUTES, "data": data}).encode())
    encoded = b64encode(json.dumps(data).encode()).decode()
    assert PARSE(json.dumps({**ATTRIBUTES, "data_base64": encoded}).encode()) == plain
    assert isinstance(plain, Metrics)
    assert plain.accuracy == 0.5
    assert plain.event_id == (data.get("event_id") or "e1")


def test_a_structured_event_may_have_no_data() -> None:
    message = PARSE(json.dumps({**ATTRIBUTES, "type": "heartbeat"}).encode())
    assert isinstance(message, Heartbeat)
    assert message.model_name == "fraud"


def test_a_plain_message_may_have_a_field_called_specversion() -> None:
    message = PARSE(json.dumps({**COMPLETE, "specversion": 3}).encode())
    assert message.event_id == "own"


@given(st.dictionaries(st.sampled_from([*ATTRIBUTES, "data", "data_base64"]), JSON_VALUES))
def test_an_arbitrary_structured_event_never_raises_anything_else(attributes: dict[str, Any]) -> None:
    assert_proper(reason_of(PARSE, json.dumps({"specversion": "1.0", **attributes}).encode()))


@given(st.sampled_from(["[", '{"a":']), st.integers(190, 210))
def test_a_deep_structured_event_never_raises_anything_else(opening: str, depth: int) -> None:
    closing = {"[": "]", '{"a":': "}"}[opening]
    deep = f"{opening * depth}{'1' if closing == '}' else ''}{closing * depth}"
    assert_proper(reason_of(PARSE, f'{{"specversion": "1.0", "type": "heartbeat", "data": {{"x": {deep}}}}}'.encode()))
