"""Columns hold what the parser gives one by one, or leave it: on whatever bytes come."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.columns import decoder as module
from schemas.columns.decoder import ColumnDecoder, LateColumnDecoder
from schemas.compact import CompactMessage, compact_parser
from schemas.fields import EPOCH
from schemas.kernel import COMPILED
from schemas.message import InvalidMessage, Message
from schemas.metrics import Metrics, MetricsMessage
from schemas.parse import parser_for
from tests.schemas.malformed import MALFORMED, Malformed
from tests.schemas.test_compact import PLAIN, messages

if not COMPILED:
    pytest.skip("columns are decoded by kernels, which need numba", allow_module_level=True)

parse = parser_for(MetricsMessage)
compact = compact_parser(parse)
decoder = ColumnDecoder(compact)


DAY = datetime.fromisoformat("2000-01-01")


def full(value: bytes | None) -> Message | None:
    try:
        found: Message | CompactMessage = compact(value)
    except InvalidMessage:
        return None
    return found.full() if isinstance(found, CompactMessage) else found


def agree(values: Sequence[bytes | None]) -> list[int]:
    """Compare what is in columns with the parser's; returns the places of what is left."""
    columns, left = decoder.decode(values)
    assert sorted([*left, *(int(place) for each in columns for place in each.places)]) == list(range(len(values)))
    for each in columns:
        assert [*each.places] == sorted(each.places)
        for at, place in enumerate(each.places):
            message = full(values[place])
            assert isinstance(message, Metrics)
            assert not message.labels
            assert (message.model_name, message.model_version) == (each.kind.model_name, each.kind.model_version)
            assert EPOCH + timedelta(microseconds=int(each.times[at])) == message.timestamp
            assert dict(zip(each.kind.metrics, each.values[:, at].tolist(), strict=True)) == message.values()
            assert list(each.kind.metrics) == list(message.values())
    return left


def as_json(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode()


@pytest.mark.parametrize(
    "usual",
    [
        {},
        {"event_id": "a-1"},
        {"event_id": None, "recall": None, "precision": 1, "f1_score": 0.0},
        {"timestamp": "2024-02-29T23:59:59.123456Z"},
        {"timestamp": "2099-12-31T00:00:00Z", "extras": {}},
        {"timestamp": 1_700_000_000.1234567},
        {"extras": {f"x{number}": number / 7 - 0.5 for number in range(11)}},
        {"accuracy": 1e-5, "extras": {"loss": -1.5e300 / 1e250}},
    ],
)
def test_what_fleets_send_is_taken(usual: dict[str, Any]) -> None:
    message = as_json(PLAIN | usual)
    assert agree([message, message.replace(b": ", b":").replace(b", ", b","), message]) == []


@pytest.mark.parametrize(
    "unusual",
    [
        {"labels": {"region": "eu"}},
        {"anything": 1},
        {"accuracy": -0.0},
        {"accuracy": 1.0000000000000002},
        {"accuracy": 5e-324},
        {"event_id": "é"},
        {"event_id": "\\"},
        {"model_name": ""},
        {"model_name": "m" * 300},
        {"timestamp": "2023-02-29T00:00:00Z"},
        {"timestamp": "2024-01-01T24:00:00Z"},
        {"timestamp": 1},
        {"extras": {f"x{number}": number for number in range(12)}},
        {"type": "outcomes"},
    ],
)
def test_what_is_unusual_is_left(unusual: dict[str, Any]) -> None:
    assert agree([as_json(PLAIN), as_json(PLAIN | unusual), as_json(PLAIN)]) == [1]


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"metrics","model_name":"m","timestamp":1.7e9,"accuracy":0.9,"accuracy":0.8}',
        '{"type":"metrics","model_name":"m","timestamp":1.7e9,"extras":{"a":1,"a":2}}',
        '{"type":"metrics","model_name":"m","timestamp":1.7e9}',
        '{"type":"metrics","model_name":"m","timestamp":1.7e9,"accuracy":0.9}}',
        '{"type":"metrics","model_name":"m","timestamp":1.7e9,"accuracy":0.9,}',
        '{"type":"metrics","model_name":"m","timestamp":1.7e9,"accuracy":00.9}',
        '{"type":"metrics","model_name":"m","timestamp":1.7e9,"accuracy":.9}',
        '{"type":"metrics","model_name":"m","timestamp":1.7e9,"accuracy":0.}',
        '{"type":"metrics","model_name":"m","timestamp":1.7e9,"accuracy":+0.9}',
        '{"type":"metrics","model_name":"m","timestamp":1.7e9,"accuracy":1e}',
        '{"type":"metrics","model_name":"m","timestamp":"2024-01-01T00:00:00Z',
        '{"type":"metrics","model_name":"m\n","timestamp":1.7e9,"accuracy":0.9}',
        '{"type":"metrics","model_name":"m","timestamp":1.7e9,\n"accuracy":0.9}',
        '{"type":"metrics","model_name":"m","timestamp":1.7e9,"accuracy":0.9',
        "",
    ],
)
def test_what_is_no_plain_json_is_left_to_the_parser(text: str) -> None:
    assert agree([as_json(PLAIN), text.encode(), as_json(PLAIN)]) == [1]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(messages, st.booleans()), max_size=6))
def test_columns_agree_with_the_parser_on_anything(drawn: list[tuple[dict[str, Any], bool]]) -> None:
    agree([as_json(PLAIN | message if plain else message) for message, plain in drawn])


def test_messages_alike_but_for_one_thing_are_told_apart() -> None:
    """Each is compared with those before it, of which the first here have names that end alike."""
    value = PLAIN | {"model_name": "one-of-many-models", "extras": {"auc": 0.5, "loss": 1.5}, "event_id": "7"}
    others: list[dict[str, Any]] = [
        {"model_name": "two-of-many-models"},
        {"model_version": "another-one-of-many"},
        {"extras": {"auk": 0.5, "loss": 1.5}},
        {"extras": {"auc": 0.5}},
        {"extras": {"loss": 1.5, "auc": 0.5}},
        {"accuracy": None, "f1_score": 1},
        {"event_id": None},
        {"timestamp": "2026-05-06T07:08:09Z"},
    ]
    texts = [as_json(value | other) for other in ({}, *others)]
    spaced = [text.replace(b", ", b",").replace(b"}", b" }") for text in texts]
    for turns in (1, 2):  # one after the other, then each twice
        assert agree([text for text in [*texts, *spaced, *texts] for _ in range(turns)]) == []


def test_no_byte_of_a_message_like_another_is_passed_over() -> None:
    value = as_json(PLAIN | {"extras": {"auc": 0.5}, "event_id": "7"})
    agree([value, *(value[:at] + byte + value[at + 1 :] for at in range(len(value)) for byte in (b"~", b"}"))])


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=30), st.integers(0, 130), st.integers(0, 10))
def test_columns_agree_on_damaged_bytes(noise: bytes, at: int, gone: int) -> None:
    value = as_json(PLAIN | {"extras": {"auc": 0.5}, "event_id": "7"})
    agree([value, value[:at] + noise + value[at + gone :], None, value])


@pytest.mark.parametrize("case", MALFORMED)
def test_columns_agree_on_what_is_malformed(case: Malformed) -> None:
    agree([as_json(PLAIN), case.value, as_json(PLAIN)])


@settings(max_examples=500, deadline=None)
@given(
    st.datetimes(DAY.replace(year=1999), DAY.replace(year=2101)),
    st.integers(0, 9),
    st.sampled_from(["Z", "+00:00", "+00:01", "-00:00", "+00:0", "z", ""]),
)
@example(DAY, 0, "Z")
@example(DAY.replace(year=2100), 0, "Z")
@example(DAY, 3, "+00:00")
def test_times_in_text_are_those_of_the_parser(moment: datetime, digits: int, zone: str) -> None:
    text = (
        moment.strftime("%Y-%m-%dT%H:%M:%S") + ("." + f"{moment.microsecond:06}789"[:digits] if digits else "") + zone
    )
    left = agree([as_json(PLAIN | {"timestamp": text})])
    assert (left == []) == (2000 <= moment.year < 2100 and zone in ("Z", "+00:00"))


@settings(max_examples=500, deadline=None)
@given(st.floats(946_684_800.0, 4_102_444_800.0, exclude_max=True))
@example(4_102_444_799.9999995)
def test_epoch_seconds_are_those_of_the_parser(seconds: float) -> None:
    left = agree([as_json(PLAIN | {"timestamp": seconds})])
    assert (left == []) == (seconds < 4_102_444_799.999999)


def decimals(seed: int) -> Iterator[str]:
    """Numbers as programs write them, and ties between two doubles."""
    rng = random.Random(seed)
    while True:
        (any_double,) = struct.unpack("<d", rng.randbytes(8))
        yield repr(any_double)
        yield repr(rng.gauss(0, 1))
        yield f"{rng.uniform(-1e9, 1e9):.{rng.randrange(12)}f}"
        yield f"{rng.randrange(10**19)}e{rng.randrange(-70, 70)}"
        yield f"{rng.randrange(2**53, 2**60) | 1}.5"
        yield f"{(rng.randrange(2**52, 2**53) << 1 | 1) << rng.randrange(9)}"


def test_numbers_are_the_nearest_doubles() -> None:
    source = decimals(5)
    texts = [text for text in (next(source) for _ in range(60_000)) if "n" not in text]
    head = '{"type":"metrics","model_name":"m","timestamp":1.7e9,"extras":{"a":'
    columns, left = decoder.decode([f"{head}{text}}}}}".encode() for text in texts])
    (only,) = columns
    assert only.values[0].tolist() == [float(texts[place]) for place in only.places]
    usual = [place for place in left if 1e-30 < abs(float(texts[place])) < 1e30 and len(texts[place].lstrip("-")) < 19]
    assert usual == []


def test_kinds_beyond_the_first_room_are_told_apart_and_those_beyond_the_last_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_FIRST_KINDS", 4)
    monkeypatch.setattr(module, "_MOST_KINDS", 64)
    small = ColumnDecoder(compact)
    values = [as_json(PLAIN | {"model_name": f"model-{number}"}) for number in range(100)]
    taken = set[str]()
    for _ in range(8):
        columns, left = small.decode(values)
        names = {each.kind.model_name for each in columns}
        assert names | {f"model-{place}" for place in left} == {f"model-{number}" for number in range(100)}
        assert taken <= names
        taken = names
    assert len(taken) == 63  # one is the sample's


def test_models_whose_kinds_are_remembered_in_the_same_place_are_told_apart() -> None:
    names = [f"fraud-{number}" for number in range(3_000)]  # of 2¹⁷ places some 34 are those of two models
    assert agree([as_json({**PLAIN, "model_name": name}) for name in names * 2]) == []


def test_names_that_the_schema_refuses_stay_refused() -> None:
    refused = as_json(PLAIN | {"model_name": "m" * 250})
    for _ in range(3):
        assert agree([as_json(PLAIN), refused, refused]) == [1, 2]


def test_a_decoder_is_loaded_beside_and_only_where_it_is_worth_it() -> None:
    late, values = LateColumnDecoder(compact, worth_it=10_000), [as_json(PLAIN)] * 5_000
    for _ in range(4):
        assert late.decode(values[1:]) is None  # who keeps up needs none
    assert late.decode(values) is None
    assert late._loading is None
    assert late.decode(values) is None
    assert late._loading is not None
    late._loading.join()
    taken = late.decode(values)
    assert taken is not None
    assert [len(each) for each in taken[0]] == [5_000]
    assert late.decode(values[:5]) is None


def test_parts_of_columns_are_counted_from_their_beginning() -> None:
    other = as_json(PLAIN | {"model_name": "other"})
    (columns, _), _ = decoder.decode([as_json(PLAIN), other, as_json(PLAIN), as_json(PLAIN), other])
    part = columns.between(1, 4)
    assert part is not None
    assert part.places.tolist() == [1, 2]
    assert np.array_equal(part.values, columns.values[:, 1:])
    assert columns.between(1, 2) is None
    assert datetime.fromtimestamp(part.times[0] / 1e6, UTC).year == 2023
