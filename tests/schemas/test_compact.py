"""The quick way takes nothing that the schema refuses, and gives the same message for what it takes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.compact import CompactMessage, CompactMetrics, CompactOutcomes, compact_parser
from schemas.message import InvalidMessage, Message
from schemas.metrics import MetricsMessage
from schemas.parse import parser_for
from tests.schemas.malformed import MALFORMED, Malformed

PLAIN: dict[str, Any] = {
    "type": "metrics",
    "model_name": "m",
    "model_version": "1",
    "timestamp": 1.7e9,
    "accuracy": 0.9,
}

parse = parser_for(MetricsMessage)

Parsed = Callable[..., Message | CompactMessage]


def knowing() -> Parsed:
    """A parser that has seen the names of `PLAIN` and an extra."""
    parser = compact_parser(parse)
    parser(json.dumps(PLAIN | {"extras": {"auc": 0.5}}).encode())
    return parser


def test_a_name_of_an_extra_is_shown_to_the_schema_once() -> None:
    shown = []

    def watched(value: bytes | None, headers: Sequence[tuple[str, bytes | None]] = ()) -> Message:
        shown.append(value)
        return parse(value, headers)

    parser, value = compact_parser(watched), json.dumps(PLAIN | {"extras": {"auc": 0.5}}).encode()
    for _ in range(3):
        assert isinstance(parser(value), CompactMetrics)
    assert shown == [value]


@pytest.mark.parametrize("field", ["model_name", "model_version"])
@pytest.mark.parametrize("name", ["line\u0085break", "n" * 250])
def test_a_name_that_the_schema_refuses_is_refused_each_time(field: str, name: str) -> None:
    parser, value = knowing(), json.dumps(PLAIN | {field: name}).encode()
    for _ in range(2):
        with pytest.raises(InvalidMessage, match=field):
            parser(value)


@pytest.mark.parametrize(
    "unusual",
    [
        {"labels": {"region": "eu"}},
        {"anything": 1},
        {"timestamp": "2025-01-01T00:00:00Z"},
    ],
)
def test_what_is_unusual_goes_the_schemas_way(unusual: dict[str, Any]) -> None:
    value = json.dumps(PLAIN | unusual).encode()
    assert knowing()(value) == parse(value)


@pytest.mark.parametrize(
    "new",
    [{"model_name": "other"}, {"model_version": "2"}, {"extras": {"new": 1.0}}, {"event_id": "line\u2028separator"}],
)
def test_what_is_new_is_shown_to_the_schema_and_compact_all_the_same(new: dict[str, Any]) -> None:
    value = json.dumps(PLAIN | new).encode()
    found = knowing()(value)
    assert isinstance(found, CompactMetrics)
    assert found.full() == parse(value)


def test_attributes_in_the_headers_are_the_schemas_to_read() -> None:
    value = json.dumps(PLAIN).encode()
    headers = (("ce_id", b"from-header"), ("ce_specversion", b"1.0"))
    assert knowing()(value, headers) == parse(value, headers)


numbers = st.one_of(
    st.floats(), st.floats(0, 1), st.integers(), st.integers(-2, 2), st.just(10**400), st.floats(9e8, 5e9)
)
values = st.one_of(numbers, st.none(), st.booleans(), st.text(max_size=3), st.lists(st.just(1), max_size=2))
texts = st.one_of(st.sampled_from(["m", "1", "", "\x00", "a\n", "x" * 300, "é", "\ud800"]), st.text(max_size=4))
messages = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["metrics", "heartbeat", "x"]),
        "model_name": st.one_of(st.just("m"), texts),
        "model_version": st.one_of(st.just("1"), texts),
        "timestamp": st.one_of(st.floats(1.6e9, 1.8e9), st.sampled_from([946684800, 4102444800, "2025-01-01"]), values),
        "event_id": st.one_of(texts, values),
        "accuracy": values,
        "precision": values,
        "recall": values,
        "f1_score": values,
        "extras": st.one_of(values, st.dictionaries(st.sampled_from(["auc", "", "z"]), values, max_size=2)),
        "labels": values,
        "unknown": values,
    },
)


@settings(max_examples=600, deadline=None)
@given(messages, st.booleans())
@example({"event_id": ""}, True)
@example({"extras": {"auc": 1e308 * 10}}, True)
def test_both_ways_agree_on_anything(message: dict[str, Any], plain: bool) -> None:
    value = json.dumps(PLAIN | message if plain else message).encode()
    agree(value)


OUTCOMES: dict[str, Any] = {
    "type": "outcomes",
    "model_name": "m",
    "timestamp": 1.7e9,
    "y_true": [0, 1.5],
    "y_pred": ["a", True],
}

items: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(
        [0, 1, True, False, 0.5, -0.0, "a", "", "x" * 1_001, None, [], 2**63 - 1, 2**63, -(2**63) - 1, 1e308]
    ),
    st.floats(),
)
columns = st.one_of(st.lists(items, max_size=3), st.just([0, 1]), st.just([]), values)
outcomes = st.fixed_dictionaries(
    {},
    optional={
        "y_true": columns,
        "y_pred": columns,
        "scores": st.one_of(columns, st.lists(st.floats(0, 1), min_size=2, max_size=2)),
        "timestamps": st.one_of(st.just([1.7e9, 1.7e9]), values),
        "model_version": st.one_of(st.just("1"), texts),
        "event_id": st.one_of(texts, values),
        "timestamp": st.one_of(st.floats(1.6e9, 1.8e9), values),
        "labels": values,
        "accuracy": values,
    },
)


@settings(max_examples=400, deadline=None)
@given(outcomes)
@example({"y_true": [1, 2], "y_pred": [1]})
def test_both_ways_agree_on_outcomes(message: dict[str, Any]) -> None:
    agree(json.dumps(OUTCOMES | message).encode())


def test_outcomes_go_the_quick_way() -> None:
    scored = OUTCOMES | {"scores": [0, 1]}
    found = knowing()(json.dumps(scored).encode())
    assert isinstance(found, CompactOutcomes)


@pytest.mark.parametrize("case", MALFORMED)
def test_both_ways_agree_on_what_is_malformed(case: Malformed) -> None:
    agree(case.value)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=30), st.integers(0, 90), st.integers(0, 10))
def test_both_ways_agree_on_damaged_bytes(noise: bytes, at: int, gone: int) -> None:
    value = json.dumps(PLAIN).encode()
    agree(value[:at] + noise + value[at + gone :])


def agree(value: bytes | None) -> None:
    """Compare the quick way with the schema's on one value."""
    assert outcome(knowing(), value) == outcome(parse, value)


def outcome(parser: Callable[..., Message | CompactMessage], value: bytes | None) -> Message | str:
    """The message, or why there is none."""
    try:
        found = parser(value)
    except InvalidMessage as refused:
        return str(refused)
    return found.full() if isinstance(found, CompactMessage) else found
