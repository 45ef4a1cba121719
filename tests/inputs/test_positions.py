"""Where a partition begins: where the group says, or further on, where more was taken of this very topic."""

from __future__ import annotations

import pytest

from agents.inputs.positions import Kept, kept_bytes, kept_of, key_of, start_of

PLACE = ("kserve.logs-1", 11)


@pytest.mark.parametrize(
    ("committed", "kept", "topic_id", "expected"),
    [
        pytest.param(5, None, "a", 5, id="nothing kept"),
        pytest.param(5, Kept(9, "a"), "a", 9, id="told from before"),
        pytest.param(9, Kept(5, "a"), "a", 9, id="set forward by a person"),
        pytest.param(None, Kept(9, "a"), "a", 9, id="expired"),
        pytest.param(None, None, "a", None, id="never taken"),
        pytest.param(None, Kept(9, "a"), "b", None, id="made again"),
        pytest.param(5, Kept(9, "a"), "b", 5, id="made again and taken from"),
        pytest.param(5, Kept(9, ""), "", 9, id="told from before by an old broker"),
        pytest.param(None, Kept(9, ""), "", None, id="made again on an old broker"),
    ],
)
def test_the_later_counts_of_the_same_topic(
    committed: int | None, kept: Kept | None, topic_id: str, expected: int | None
) -> None:
    start = start_of(PLACE, committed, kept, topic_id)
    assert start.position == expected
    assert start.is_ahead == (expected != committed)


def test_what_is_kept_comes_back() -> None:
    assert kept_of(key_of(PLACE), kept_bytes(Kept(2**40, "id"))) == (PLACE, Kept(2**40, "id"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, b"{}"),
        (b"t/0", None),
        (b"t/0", b"{}"),
        (b"t/0", b"[]"),
        (b"t/0", b"[" * 100_000),
        (b"t/0", b'{"position": "1", "topic_id": ""}'),
        (b"t/0", b'{"position": 1, "topic_id": null}'),
        (b"0", b'{"position": 1, "topic_id": ""}'),
        (b"t/x", b'{"position": 1, "topic_id": ""}'),
        (b"\xff/0", b'{"position": 1, "topic_id": ""}'),
    ],
)
def test_anything_else_is_refused(key: bytes | None, value: bytes | None) -> None:
    with pytest.raises(ValueError, match="is no position of a partition"):
        kept_of(key, value)
