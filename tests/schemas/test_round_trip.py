"""Every message survives the way to the wire and back, whatever is in it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.metrics import Heartbeat, Metrics
from schemas.parse import Parser, type_of
from schemas.topics import TOPICS, TopicSpec, internal_topic
from tests.schemas.strategies import MESSAGES

SPECS: list[TopicSpec] = [*TOPICS.values(), internal_topic("monitor")]
PARSERS: dict[str, Parser] = {spec.name: spec.parser() for spec in SPECS}


def test_every_class_of_every_topic_is_covered_here() -> None:
    assert {each for spec in SPECS for each in spec.classes} == set(MESSAGES)


def test_types_are_the_class_names_in_snake_case() -> None:
    for message_class in MESSAGES:
        words = [word.capitalize() for word in type_of(message_class).split("_")]
        assert "".join(words) == message_class.__name__


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
@given(data=st.data())
def test_a_message_that_is_written_and_read_is_the_same(spec: TopicSpec, data: st.DataObject) -> None:
    for message_class in spec.classes:
        message = data.draw(MESSAGES[message_class])
        wire = message.to_json()
        again = PARSERS[spec.name](wire)
        assert type(again) is message_class
        assert again == message
        assert again.to_json() == wire


@pytest.mark.parametrize("message_class", MESSAGES, ids=lambda each: each.__name__)
@given(data=st.data())
def test_the_wire_form_is_strict_json_with_a_utc_timestamp(message_class: type, data: st.DataObject) -> None:
    message = data.draw(MESSAGES[message_class])

    def refuse(literal: str) -> None:
        pytest.fail(f"{literal} is no JSON")

    document = json.loads(message.to_json(), parse_constant=refuse)
    assert document["timestamp"].endswith("Z")
    assert document == message.to_dict()
    assert {"type", "event_id", "model_name", "model_version", "timestamp"} <= set(document)


def test_messages_cannot_be_changed() -> None:
    heartbeat = PARSERS["metrics"](b'{"type": "heartbeat", "model_name": "m", "timestamp": 1700000000}')
    assert isinstance(heartbeat, Heartbeat)
    with pytest.raises(ValidationError, match="frozen"):
        heartbeat.model_name = "other"  # type: ignore[misc]


def test_values_of_metrics_come_in_the_order_of_the_fields_and_without_absent_ones() -> None:
    body = b'{"type": "metrics", "model_name": "m", "timestamp": 1700000000, "recall": 0.5, "accuracy": 0.9,'
    metrics = PARSERS["metrics"](body + b'"extras": {"auc": 3, "lift": -1.5}, "precision": null}')
    assert isinstance(metrics, Metrics)
    assert list(metrics.values().items()) == [
        ("accuracy", 0.9),
        ("recall", 0.5),
        ("extras.auc", 3.0),
        ("extras.lift", -1.5),
    ]


def test_unknown_fields_are_ignored_at_every_level() -> None:
    body = b'{"type": "external_drift", "model_name": "m", "timestamp": 1700000000, "p_value": 0.5, "x": [{}],'
    message = PARSERS["drift"](
        body + b'"cause": {"event_id": "e", "topic": "t", "partition": 0, "offset": 1, "more": 1}}'
    )
    assert "x" not in message.to_dict()
    assert message.to_dict()["cause"] == {"event_id": "e", "topic": "t", "partition": 0, "offset": 1}
