"""A dead letter can be made of any record, and says enough to retry it."""

from __future__ import annotations

from base64 import b64decode
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.dead_letter import KIB, DeadLetter, dead_letter_of
from schemas.ids import dead_letter_id
from schemas.topics import TOPICS

PARSE = TOPICS["dead-letter"].parser()
TIME = 1_700_000_000_000


def letter(value: bytes | None, key: bytes | None = b"fraud", reason: str = "accuracy: expected …") -> DeadLetter:
    return dead_letter_of(
        reason=reason, stage="monitor", topic="metrics", partition=3, offset=17, timestamp=TIME, key=key, value=value
    )


@given(
    reason=st.text(st.characters()),
    timestamp=st.integers(-1, 2**63 - 1),
    key=st.none() | st.binary(),
    value=st.none() | st.binary(),
    headers=st.lists(st.tuples(st.text(), st.none() | st.binary()), max_size=100),
)
def test_any_record_has_a_dead_letter_that_can_be_read_again(
    reason: str, timestamp: int, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    made = dead_letter_of(
        reason=reason,
        stage="monitor",
        topic="metrics",
        partition=0,
        offset=0,
        timestamp=timestamp,
        key=key,
        value=value,
        headers=headers,
    )
    assert PARSE(made.to_json()) == made
    assert (None if made.key is None else b64decode(made.key)) == key
    assert (None if made.value is None else b64decode(made.value)) == value
    assert made.value_size == len(value or b"")


def test_it_says_where_the_record_was_and_when() -> None:
    made = letter(b"{")
    assert (made.stage, made.topic, made.partition, made.offset) == ("monitor", "metrics", 3, 17)
    assert made.to_dict()["timestamp"] == "2023-11-14T22:13:20Z"
    assert made.event_id == dead_letter_id("metrics", 3, 17)
    assert made.reason == "accuracy: expected …"


@pytest.mark.parametrize("size", [0, 1, 512 * KIB - 1, 512 * KIB])
def test_a_value_of_up_to_512_kib_is_whole(size: int) -> None:
    made = letter(b"x" * size)
    assert made.value is not None
    assert b64decode(made.value) == b"x" * size
    assert made.value_sha256 is None


@pytest.mark.parametrize("size", [512 * KIB + 1, 10 * KIB * KIB])
def test_of_a_larger_value_the_first_64_kib_and_the_hash_of_all_are_kept(size: int) -> None:
    value = b"ab" * (size // 2) + b"c" * (size % 2)
    made = letter(value)
    assert made.value is not None
    assert b64decode(made.value) == value[: 64 * KIB]
    assert made.value_sha256 == sha256(value).hexdigest()
    assert made.value_size == size


def test_a_dead_letter_stays_below_one_mebibyte_whatever_the_record() -> None:
    headers = [(f"{n}" * 5_000, b"\xff" * 5_000) for n in range(100)]
    made = dead_letter_of(
        reason="r" * 1_000_000,
        stage="monitor",
        topic="metrics",
        partition=0,
        offset=0,
        timestamp=TIME,
        key=b"k" * 1_000_000,
        value=b"\0" * (512 * KIB),
        headers=headers,
    )
    assert len(made.to_json()) < KIB * KIB
    assert PARSE(made.to_json()) == made


@pytest.mark.parametrize(
    ("key", "name"),
    [(b"fraud", "fraud"), ("Übel".encode(), "Übel"), (None, ""), (b"", ""), (b"\xff", ""), (b"a\nb", ""), (b"a\n", ""),
     (b"m" * 249, "m" * 249), (b"m" * 250, "")],
)  # fmt: skip
def test_the_model_is_the_key_where_the_key_is_a_name(key: bytes | None, name: str) -> None:
    assert letter(b"", key).model_name == name


def test_a_timestamp_that_no_message_may_have_is_brought_into_range() -> None:
    def year(timestamp: int) -> int:
        return dead_letter_of(
            reason="", stage="s", topic="t", partition=0, offset=0, timestamp=timestamp, key=None, value=None
        ).timestamp.year

    assert (year(-1), year(0), year(TIME), year(2**63 - 1)) == (2000, 2000, 2023, 2099)
