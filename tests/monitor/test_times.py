"""When the values of a window came, as messages tell it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.monitor.times import Times, stride
from agents.settings import Settings
from schemas.drift import DriftDetected, ThresholdBreached
from tests.monitor.driving import Driven, accuracies, at, of_type, small

CALM = [0.9, 0.91, 0.92, 0.9, 0.91]


@given(st.integers(2, 200), st.lists(st.integers(0, 90), min_size=1, max_size=12))
def test_a_window_begins_with_its_first_value_or_less_than_an_eighth_of_it_earlier(size: int, parts: list[int]) -> None:
    came, data, step = [number * 3 + number % 2 for number in range(sum(parts))], b"", stride(size)
    begin = 0
    for count in parts:
        times = Times.of(size, data).after(begin, begin + count, lambda numbers: [came[at] for at in numbers])
        for number in range(begin, begin + count):
            span, first = times.span(number, came[number]), max(number + 1 - size, 0)
            assert span.begin in came[max(first - step + 1, 0) : first + 1]
            assert span.end == came[number]
        data, begin = times.encode(), begin + count
    assert len(data) <= 8 * 17


def test_a_begin_is_not_known_while_values_are_in_the_window_that_came_before_marks_were_kept() -> None:
    later = Times.of(20, Times.of(20, b"").after(31, 40, list).encode())
    assert later.span(39, 39) == (None, 39)
    assert later.after(40, 60, list).span(51, 51) == (32, 51)


def test_times_that_are_not_in_order_are_all_in_the_range() -> None:
    came = [50, 10, 90, 40]
    assert Times.of(4, b"").after(0, 4, lambda numbers: [came[at] for at in numbers]).span(3, 40) == (10, 90)


@pytest.mark.parametrize("together", [1, 7, 1000])
def test_drift_and_breaches_tell_when_their_window_began_and_ended(together: int) -> None:
    asked = Settings(monitor=small().monitor, retrain=[{"min": {"accuracy": 0.6}}])
    driven, messages = Driven(asked), accuracies([*CALM * 10, 0.9, 0.5])
    for first in range(0, len(messages), together):
        driven.feed(*messages[first : first + together])
    (drift,), (breach,) = of_type(DriftDetected, driven.outputs), of_type(ThresholdBreached, driven.outputs)
    assert (drift.window.begin, drift.window.end) == (at(32), at(51))  # of 20 values, those numbered 32 to 51
    assert breach.window == drift.window
