"""Whatever bytes come, the parser gives a message or one line that says which field is wrong and what was expected."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.fields import EPOCH
from schemas.message import InvalidMessage
from schemas.metrics import Heartbeat, Label, MetricsMessage, Outcomes
from schemas.parse import Parser, classes_in, parser_for
from schemas.retrain import RetrainRequest
from schemas.topics import TOPICS, internal_topic
from tests.schemas.malformed import MALFORMED, Malformed
from tests.schemas.refusals import assert_proper, reason_of
from tests.schemas.strategies import INSTANTS, JSON_VALUES, MESSAGES

PARSERS: dict[str, Parser] = {spec.name: spec.parser() for spec in (*TOPICS.values(), internal_topic("monitor"))}
PARSE = PARSERS["metrics"]
HEARTBEAT = '{"type": "heartbeat", "model_name": "m", "timestamp": %s}'


@pytest.mark.parametrize("malformed", MALFORMED, ids=lambda each: each.name)
def test_a_malformed_value_is_refused_with_its_field_and_what_was_expected(malformed: Malformed) -> None:
    reason = reason_of(PARSE, malformed.value)
    assert_proper(reason)
    assert reason is not None
    assert reason.startswith(f"{malformed.field}: expected {malformed.expected}")
    assert malformed.got in reason.rsplit(", got ", maxsplit=1)[-1]


@given(st.binary())
def test_arbitrary_bytes_are_refused_and_never_raise_anything_else(value: bytes) -> None:
    for parse in PARSERS.values():
        assert_proper(reason_of(parse, value))


@given(JSON_VALUES)
def test_arbitrary_json_never_raises_anything_else(value: Any) -> None:
    for parse in PARSERS.values():
        assert_proper(reason_of(parse, json.dumps(value).encode()))


@pytest.mark.parametrize("name", PARSERS)
@given(data=st.data())
def test_a_message_with_one_thing_replaced_never_raises_anything_else(name: str, data: st.DataObject) -> None:
    classes = (TOPICS.get(name) or internal_topic("monitor")).classes
    document = json.loads(data.draw(MESSAGES[data.draw(st.sampled_from(classes))]).to_json())
    place, key = document, data.draw(st.sampled_from(list(document)))
    while isinstance(place[key], dict) and place[key] and data.draw(st.booleans()):
        place = place[key]
        key = data.draw(st.sampled_from(list(place)))
    place[data.draw(st.just(key) | st.text())] = data.draw(JSON_VALUES)
    assert_proper(reason_of(PARSERS[name], json.dumps(document).encode()))


@given(data=st.data())
def test_a_truncated_message_is_refused(data: st.DataObject) -> None:
    wire = data.draw(st.one_of(*(MESSAGES[each] for each in classes_in(MetricsMessage)))).to_json()
    with pytest.raises(InvalidMessage):
        PARSE(wire[: data.draw(st.integers(0, len(wire) - 1))])


@given(data=st.data())
def test_a_message_with_flipped_bytes_never_raises_anything_else(data: st.DataObject) -> None:
    wire = bytearray(data.draw(st.one_of(*(MESSAGES[each] for each in classes_in(MetricsMessage)))).to_json())
    for _ in range(data.draw(st.integers(1, 4))):
        wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    assert_proper(reason_of(PARSE, bytes(wire)))


@given(st.integers(1, 6000), st.sampled_from(["-", ""]), st.sampled_from(["", ".5", "e5", "e-9000"]))
def test_numbers_of_any_length_are_read_or_refused_by_their_field(digits: int, sign: str, tail: str) -> None:
    body = '{"type": "validation_score", "model_name": "m", "timestamp": 1700000000, "score": %s}'
    number = f"{sign}{'7' * digits}{tail}"
    wire = (body % number).encode()
    reason = reason_of(PARSE, wire)
    if reason is None:
        assert PARSE(wire).to_dict()["score"] == float(number)
    else:
        assert reason.startswith("score: expected")
        assert digits > 300


@given(INSTANTS, st.integers(-23 * 60, 23 * 60))
def test_a_time_is_read_with_any_offset_and_kept_in_utc(moment: datetime, minutes: int) -> None:
    local = moment.astimezone(timezone(timedelta(minutes=minutes)))
    message = PARSE((HEARTBEAT % json.dumps(local.isoformat())).encode())
    assert message.timestamp == moment
    assert message.timestamp.tzinfo is UTC


@given(st.integers(946_684_800_000_000, 4_102_444_799_999_999))
@example(946_684_800_000_000)
def test_epoch_seconds_are_read_to_the_microsecond(microseconds: int) -> None:
    seconds = microseconds / 1_000_000
    message = PARSE((HEARTBEAT % repr(seconds)).encode())
    assert message.timestamp == EPOCH + timedelta(microseconds=microseconds)


@pytest.mark.parametrize(
    "text",
    ["2024-05-06T07:08:09Z", "2024-05-06t07:08:09z", "2024-05-06 07:08:09+00:00", "2024-05-06T07:08:09.000000000Z",
     "2024-05-06T09:08:09+02:00"],
)  # fmt: skip
def test_the_forms_of_rfc_3339_are_read(text: str) -> None:
    message = PARSE((HEARTBEAT % json.dumps(text)).encode())
    assert message.timestamp == datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


def test_the_words_nan_and_infinity_in_a_string_are_only_words() -> None:
    body = b'{"type": "inference_failure", "model_name": "m", "timestamp": 1700000000, "error": "NaN, Infinity"}'
    assert PARSE(body).to_dict()["error"] == "NaN, Infinity"


def test_class_labels_keep_their_types() -> None:
    body = b'{"type": "outcomes", "model_name": "m", "timestamp": 1700000000, "y_true": %s, "y_pred": %s}'
    message = PARSE(body % (b'[1, 1.0, true, "1"]', b'["a", "b", "c", "d"]'))
    assert isinstance(message, Outcomes)
    assert [type(item) for item in message.y_true] == [int, float, bool, str]


def test_the_largest_message_is_still_read() -> None:
    body = (HEARTBEAT % "1700000000").encode()
    assert isinstance(PARSE(body + b" " * (10 * 1024 * 1024 - len(body))), Heartbeat)


def test_a_topic_of_one_kind_still_asks_for_its_type() -> None:
    parse = parser_for(RetrainRequest)
    common = '"event_id": "e", "model_name": "m", "timestamp": 1700000000'
    rest = '"rule": "r", "reason": "", "metric": "accuracy", "cause_ids": []'
    assert isinstance(parse(f'{{"type": "retrain_request", {common}, {rest}}}'.encode()), RetrainRequest)
    with pytest.raises(InvalidMessage, match=r"^type: expected 'retrain_request', got nothing$"):
        parse(f"{{{common}, {rest}}}".encode())
    with pytest.raises(InvalidMessage, match=r"^type: expected 'retrain_request', got 'alert'$"):
        parse(f'{{"type": "alert", {common}, {rest}}}'.encode())


def test_a_parser_can_be_made_of_any_union_of_messages() -> None:
    parse = parser_for(RetrainRequest | MetricsMessage)
    body = b'{"type": "label", "model_name": "m", "timestamp": 1700000000, "prediction_id": "p", "y_true": 1}'
    assert isinstance(parse(body), Label)


def test_the_last_moment_of_the_range_is_a_message_again() -> None:
    """Rounded to microseconds it would be beyond."""
    parse = parser_for(MetricsMessage)
    message = parse(b'{"type": "metrics", "model_name": "m", "timestamp": 4102444799.9999995, "accuracy": 1}')
    assert parse(message.to_json()) == message
