"""Windows by event time: the numbers of exact arithmetic, whatever the order within grace; what is late; the bound."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.event_windows import EventPanes, EventWindow, Result

FINITE = (
    st.floats(allow_nan=False, allow_infinity=False) | st.floats(0, 1) | st.sampled_from([0.1, 0.9, 1e300, -1e-300])
)
STREAM = st.lists(st.tuples(st.integers(0, 300), FINITE), max_size=40)


def run(
    records: list[tuple[int, float]], panes: int, grace: int, restart: bool = False
) -> tuple[list[Result], int, EventPanes]:
    """Results and late values of records as they came, and at last of all that is left."""
    state, now, results, late = EventPanes(), 0, list[Result](), 0
    for time, value in records:
        now = max(now, time)
        if restart:
            state = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=EventPanes)
        window = EventWindow(state, 10, panes, grace)
        results += window.complete(now)
        late += not window.add(time, [value])
        assert len(state.panes) <= panes + grace // 10 + 2
    results += EventWindow(state, 10, panes, grace).complete(10_000)
    return results, late, state


@settings(max_examples=200, deadline=None)
@given(STREAM, st.integers(1, 4), st.sampled_from([0, 5, 10, 40]), st.randoms(use_true_random=False))
def test_any_order_within_grace_gives_the_same_windows_and_nothing_is_late(
    records: list[tuple[int, float]], panes: int, grace: int, random: object
) -> None:
    ordered = sorted(records)
    shuffle = random.uniform  # type: ignore[attr-defined]
    shuffled = sorted(ordered, key=lambda record: record[0] + shuffle(0, grace))
    expected, late, _ = run(ordered, panes, grace)
    assert run(shuffled, panes, grace, restart=True)[:2] == (expected, late) == (expected, 0)


@settings(max_examples=200, deadline=None)
@given(STREAM, st.integers(1, 4))
def test_windows_have_the_numbers_of_exact_arithmetic(records: list[tuple[int, float]], panes: int) -> None:
    results, _, _ = run(sorted(records), panes, 0)
    by_pane = defaultdict(list)
    for time, value in records:
        by_pane[time // 10].append(value)
    assert [result.pane for result in results] == sorted(by_pane)
    for result in results:
        inside = [Fraction(v) for at in range(result.pane - panes + 1, result.pane + 1) for v in by_pane.get(at, ())]
        mean = sum(inside) / len(inside)
        assert (result.window.count, result.window.mean) == (len(inside), float(mean))
        assert (result.window.min, result.window.max) == (float(min(inside)), float(max(inside)))
        newest = [Fraction(v) for v in by_pane[result.pane]]
        assert (result.size, result.mean) == (len(newest), float(sum(newest) / len(newest)))
        if len(inside) > 1 and max(map(abs, inside)) < 1e150 and all(abs(v) > 1e-150 for v in inside if v):
            assert math.isclose(result.window.std, statistics.stdev(inside), rel_tol=1e-12)


@pytest.mark.parametrize(("time", "taken"), [(19, False), (20, True), (69, True)])
def test_a_value_is_late_once_the_watermark_has_reached_the_end_of_its_pane(time: int, taken: bool) -> None:
    window = EventWindow(EventPanes(), 10, 3, 30)
    window.complete(50)  # the watermark is 20
    assert window.add(time, [1.0]) is taken


def test_a_window_is_complete_when_the_watermark_reaches_its_end_and_not_before() -> None:
    window = EventWindow(EventPanes(), 10, 2, 5)
    window.add(12, [1.0, 3.0])
    assert window.due == 25
    assert window.complete(24) == []
    (result,) = window.complete(25)
    assert (result.pane, result.size, result.mean, result.window.std) == (1, 2, 2.0, math.sqrt(2))
    assert window.due is None
    assert window.span(1) == (0, 20)


def test_what_waits_may_be_completed_without_making_what_comes_for_later_panes_late() -> None:
    window = EventWindow(EventPanes(), 10, 2, 5)
    window.add(12, [1.0])
    window.add(25, [2.0])
    assert window.complete_waiting(24) == []
    assert [result.pane for result in window.complete_waiting(25)] == [1]
    assert [result.pane for result in window.complete_waiting(1_000)] == [2]
    assert (window.add(29, [3.0]), window.add(30, [3.0])) == (False, True)


def test_a_window_holds_nothing_that_is_older_than_its_duration_however_sparse_the_values() -> None:
    results, _, _ = run([(5, 1.0), (45, 2.0), (205, 3.0)], 5, 0)
    assert [result.window.count for result in results] == [1, 2, 1]


def test_replaying_year_old_values_gives_what_they_gave_live() -> None:
    year = 31_536_000 // 10 * 10
    records = [(number * 7, number / 9) for number in range(40)]
    live, _, _ = run(records, 3, 10)
    later = EventPanes()
    replayed, now = list[Result](), 0
    for time, value in records:
        now = max(now, time + year)
        window = EventWindow(later, 10, 3, 10)
        replayed += window.complete(now)
        window.add(time + year, [value])
    replayed += EventWindow(later, 10, 3, 10).complete(year + 10_000)
    assert [result._replace(pane=result.pane - year // 10) for result in replayed] == live
