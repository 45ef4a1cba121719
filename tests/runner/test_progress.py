"""A runner's progress in one partition: nothing is lost and nothing repeated, whatever order trials end in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agents.runner.progress import MAX_METADATA, Progress


def test_the_first_trial_that_has_not_ended_is_committed_and_beside_it_those_that_have() -> None:
    progress = Progress(10)
    assert [progress.take(offset) for offset in (10, 11, 12, 14)] == [True] * 4
    progress.end(12)
    assert (progress.position, progress.metadata) == (10, "2")
    progress.end(10)
    assert (progress.position, progress.metadata) == (11, "1")
    progress.end(11)
    assert (progress.position, progress.metadata) == (14, "")
    progress.end(14)
    assert (progress.position, progress.metadata) == (15, "")


def test_what_comes_again_after_a_rebalance_is_not_taken_again() -> None:
    progress = Progress(0)
    for offset in range(3):
        progress.take(offset)
    progress.end(1)
    assert [progress.take(offset) for offset in range(4)] == [False, False, False, True]
    assert progress.running == {0, 2, 3}


def test_who_gets_the_partition_next_runs_what_has_not_ended() -> None:
    first = Progress(5)
    for offset in range(5, 10):
        first.take(offset)
    for offset in (6, 9):
        first.end(offset)
    second = Progress(first.position, first.metadata)
    assert [offset for offset in range(5, 11) if second.take(offset)] == [5, 7, 8, 10]


def test_metadata_of_somebody_else_is_passed_over() -> None:
    assert Progress(3, "node-7, since noon").take(3)
    assert Progress(3, "").take(3)


def test_more_than_fits_into_a_commit_is_cut_at_a_number() -> None:
    progress = Progress(0)
    for offset in range(3000):
        progress.take(offset)
    for offset in range(1, 3000):
        progress.end(offset)
    assert len(progress.metadata) <= MAX_METADATA
    again = Progress(progress.position, progress.metadata)
    taken = [offset for offset in range(3000) if again.take(offset)]
    assert taken[0] == 0
    assert taken[1:] == list(range(taken[1], 3000))
    assert taken[1] > 500


@given(st.data())
def test_over_any_number_of_handovers_each_trial_ends_exactly_once(data: st.DataObject) -> None:
    offsets = sorted(data.draw(st.sets(st.integers(0, 60), min_size=1, max_size=25)))
    ended: list[int] = []
    position, metadata = 0, ""
    while len(ended) < len(offsets):
        progress = Progress(position, metadata)
        taken = [offset for offset in offsets if offset >= position and progress.take(offset)]
        for offset in data.draw(st.permutations(taken))[: data.draw(st.integers(1, len(taken)))]:
            progress.end(offset)
            ended.append(offset)
            position, metadata = progress.position, progress.metadata
    assert sorted(ended) == offsets
