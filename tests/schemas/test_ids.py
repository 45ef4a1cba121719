"""Ids come from what they identify: the same each time, and different for anything else."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from schemas.ids import dead_letter_id, output_id

PARTS = st.tuples(*[st.text(max_size=4)] * 7, st.integers(0, 2**63))


def test_ids_never_change_from_one_release_to_the_next() -> None:
    assert (
        output_id("monitor", "fraud", "1", "accuracy", "", "r", "drift_detected", 601)
        == "9df0cdcc-55cc-5be0-8785-1bec0a9f1f61"
    )
    assert dead_letter_id("metrics", 3, 17) == "3b4c1c1e-59f4-575c-8507-cd1c887e8964"


@given(PARTS, PARTS)
def test_two_outputs_have_one_id_only_if_all_their_parts_are_equal(
    one: tuple[str, ...], other: tuple[str, ...]
) -> None:
    assert (output_id(*one) == output_id(*other)) == (one == other)  # type: ignore[arg-type]


def test_parts_do_not_run_into_each_other() -> None:
    ids = {
        output_id("s", "a", "b", "", "", "", "", 1),
        output_id("s", "ab", "", "", "", "", "", 1),
        output_id("s", "", "ab", "", "", "", "", 1),
        output_id("s", 'a","b', "", "", "", "", "", 1),
    }
    assert len(ids) == 4


def test_an_id_is_a_name_based_uuid() -> None:
    assert UUID(dead_letter_id("t", 0, 0)).version == 5
