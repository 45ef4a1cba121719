"""The window by count: equal to numpy on any sequence, and bit for bit the same however the values arrive."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.windows import CountWindow, Floats, Pushed

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=64)
MODERATE = st.floats(-1e6, 1e6)
RATIOS = st.floats(0, 1)
MIXED = st.one_of(
    RATIOS,
    MODERATE,
    st.sampled_from([0.0, 1.0, 0.93, 1e9, -1e9, 1e15, -1e15, 1e-9, 1e-300]),
    st.floats(-1e100, 1e100),
)
SIZES = st.integers(2, 12)


def in_batches(
    size: int, values: list[float], cuts: list[int], through_bytes: bool = False
) -> tuple[CountWindow, Floats]:
    """The window after all values, pushed in pieces that end at `cuts`, and count, mean and std after each value."""
    window, rows = CountWindow(size), []
    edges = [0, *sorted(cut % (len(values) + 1) for cut in cuts), len(values)]
    for begin, end in pairwise(edges):
        if through_bytes:
            window = CountWindow.decode(window.encode())
        pushed = window.push_many(values[begin:end])
        rows.append(np.stack([pushed.count, pushed.mean, pushed.std]))
    return window, np.concatenate(rows, axis=1)


def reference(size: int, values: list[float]) -> list[tuple[int, float, float, float]]:
    """Count, mean, std and largest magnitude of each window, with numpy, from nothing but the values."""
    rows = []
    for end in range(1, len(values) + 1):
        inside = np.array(values[max(0, end - size) : end])
        std = float(np.std(inside, ddof=1)) if len(inside) > 1 else 0.0
        rows.append((len(inside), float(np.mean(inside)), std, float(np.abs(inside).max())))
    return rows


@given(SIZES, st.lists(FINITE, max_size=60), st.lists(st.integers(0, 60), max_size=8))
@settings(max_examples=300, deadline=None)
def test_values_taken_in_unmeasured_leave_the_same_window(size: int, values: list[float], cuts: list[int]) -> None:
    measured, unmeasured = CountWindow(size), CountWindow(size)
    measured.push_many(values)
    edges = [0, *sorted(cut % (len(values) + 1) for cut in cuts), len(values)]
    for begin, end in pairwise(edges):
        unmeasured.extend(values[begin:end])
    assert unmeasured.encode() == measured.encode()


@given(SIZES, st.lists(FINITE, max_size=60), st.lists(st.integers(0, 60), max_size=8), st.booleans())
@settings(max_examples=300, deadline=None)
def test_statistics_do_not_depend_on_how_values_are_split_into_batches(
    size: int, values: list[float], cuts: list[int], through_bytes: bool
) -> None:
    whole, at_once = in_batches(size, values, [])
    window, pieces = in_batches(size, values, cuts, through_bytes)
    assert pieces.tobytes() == at_once.tobytes()
    assert window.encode() == whole.encode()


@given(SIZES, st.lists(MIXED, min_size=1, max_size=60))
@settings(max_examples=400, deadline=None)
def test_statistics_are_those_of_numpy(size: int, values: list[float]) -> None:
    _, ours = in_batches(size, values, [])
    for (count, mean, std), (true_count, true_mean, true_std, largest) in zip(
        ours.T, reference(size, values), strict=True
    ):
        assert count == true_count
        # Squares of less than 1e-150 underflow, here as in numpy.
        tolerance = 1e-12 * largest + 1e-150
        assert math.isclose(mean, true_mean, rel_tol=1e-9, abs_tol=tolerance)
        assert math.isclose(std, true_std, rel_tol=1e-6, abs_tol=tolerance)


@given(SIZES, st.lists(FINITE, min_size=1, max_size=60))
@settings(max_examples=200, deadline=None)
def test_no_finite_input_makes_a_statistic_that_is_not_finite(size: int, values: list[float]) -> None:
    window, statistics = in_batches(size, values, [])
    assert np.isfinite(statistics).all()
    assert np.isfinite(window.quantiles([0, 0.25, 0.5, 1])).all()
    inside = values[-size:]
    assert min(inside) <= statistics[1, -1] <= max(inside) or math.isclose(
        statistics[1, -1], np.mean(inside), rel_tol=1e-9
    )


@given(SIZES, st.lists(FINITE, min_size=1, max_size=40))
@settings(max_examples=200, deadline=None)
def test_the_summary_has_the_digits_that_the_push_gave(size: int, values: list[float]) -> None:
    window = CountWindow(size)
    for value in values:
        pushed = window.push_many([value])
        assert window.summary() == pushed.summary(0)
        assert CountWindow.decode(window.encode()).summary() == pushed.summary(0)


def test_an_outlier_leaves_no_trace_once_it_has_left_the_window() -> None:
    values = [0.5, 1e15, *([0.25, 0.75] * 6)]
    with_outlier, clean = CountWindow(4), CountWindow(4)
    last = with_outlier.push_many(values).summary(len(values) - 1)
    assert last == clean.push_many([0.25, 0.75] * 2).summary(3)


def test_a_large_level_far_from_the_last_block_keeps_its_digits() -> None:
    around = [1e9 + step for step in (0.25, 0.5, 0.75, 1.0)]
    pushed = CountWindow(4).push_many([0.0, 0.0, 0.0, 0.0, *around])
    assert pushed.mean[-1] == np.mean(around)
    assert pushed.std[-1] == pytest.approx(np.std(around, ddof=1), rel=1e-12)


def test_a_constant_series_has_exactly_its_value_as_mean_and_no_deviation() -> None:
    pushed = CountWindow(5).push_many([0.1] * 17 + [0.7] * 17)
    assert set(pushed.mean[:17]) == {0.1}
    assert set(pushed.mean[-12:]) == {0.7}
    assert set(pushed.std[:17]) | set(pushed.std[-12:]) == {0.0}


def test_huge_values_give_a_scaled_result_and_a_deviation_of_at_most_the_largest_double() -> None:
    pushed = CountWindow(3).push_many([1e300, 3e300, 1e300])
    assert pushed.mean[-1] == pytest.approx(5e300 / 3)
    assert pushed.std[-1] == pytest.approx(1.1547005383792515e300)
    assert CountWindow(2).push_many([-1.7e308, 1.7e308]).std[-1] == np.finfo(float).max


def test_the_first_value_alone_has_no_deviation() -> None:
    pushed = CountWindow(3).push_many([0.4])
    assert (pushed.count[0], pushed.mean[0], pushed.std[0]) == (1, 0.4, 0.0)


def test_min_max_and_quantiles_are_of_the_values_in_the_window_alone() -> None:
    window = CountWindow(4)
    pushed: Pushed = window.push_many([9.0, 1.0, 2.0, 3.0, 4.0])
    assert (pushed.summary(3).max, pushed.summary(4).max, pushed.summary(4).min) == (9.0, 4.0, 1.0)
    assert window.quantiles([0, 0.5, 1]) == [1.0, 2.5, 4.0]
    assert list(pushed.values(4)) == [1.0, 2.0, 3.0, 4.0]


def test_an_empty_push_changes_nothing() -> None:
    window = CountWindow(3)
    window.push_many([1.0, 2.0])
    state = window.encode()
    assert len(window.push_many([]).mean) == 0
    assert window.encode() == state


@pytest.mark.parametrize("bad", [[math.nan], [1.0, math.inf], [[1.0, 2.0]]])
def test_what_is_not_a_row_of_finite_numbers_is_refused_and_nothing_of_it_taken(bad: list[float]) -> None:
    window = CountWindow(3)
    with pytest.raises(ValueError, match="finite"):
        window.push_many(bad)
    assert window.pushed == 0


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "21 bytes"), (b"\x09" + bytes(20), "format 1, got 9"), (CountWindow(3).encode() + b"12345678", "0 values")],
)
def test_bytes_that_are_no_window_are_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        CountWindow.decode(data)


def test_an_empty_window_has_no_summary_and_no_quantiles() -> None:
    with pytest.raises(ValueError, match="empty"):
        CountWindow(3).summary()
    with pytest.raises(ValueError, match="empty"):
        CountWindow(3).quantiles([0.5])


def test_a_window_of_one_value_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        CountWindow(1)
