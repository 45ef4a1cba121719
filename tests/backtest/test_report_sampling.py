"""Down-sampling of a report: extremes are kept, memory is bounded, batches change nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.backtest.report.sampling import MEAN, NUMBER, VALUE, WHOLE, Rows, Sample, extremes, longest_step, rows_of


def rows(values: list[float], means: list[float] | None = None, first: int = 0) -> Rows:
    column = np.array(values, dtype=np.float64)
    mean = column if means is None else np.array(means, dtype=np.float64)
    times = np.arange(first, first + len(values), dtype=np.float64) * 1000
    return rows_of(first, times, column, mean, np.zeros(len(values)))


def buckets(every: Rows, width: int) -> list[Rows]:
    return [part for at in range(0, len(every), width) if len(part := every[at : at + width])]


@given(
    st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, -3.0]), min_size=1, max_size=300),
    st.lists(st.integers(1, 40), min_size=1, max_size=20),
    st.lists(st.sampled_from([4, 8, 16]), min_size=1, max_size=20),
)
def test_what_is_kept_depends_neither_on_batches_nor_on_how_capacity_shrank(
    values: list[float], batches: list[int], capacities: list[int]
) -> None:
    every, sample, at = rows(values, values[::-1]), Sample(), 0
    for number in range(len(values)):
        size = batches[number % len(batches)]
        sample.add(every[at : at + size], max(capacities[number % len(capacities)], 4))
        at += size
    sample.shrink(4)
    if len(values) <= WHOLE * min(4, *capacities):
        np.testing.assert_array_equal(sample.rows, every)
    elif len(values) > WHOLE * 4:
        np.testing.assert_array_equal(sample.rows, extremes(every, sample.width))


def test_each_bucket_keeps_its_ends_and_the_extremes_of_value_and_mean() -> None:
    random = np.random.default_rng(1)
    every = rows(list(random.normal(size=5_000)), list(random.normal(size=5_000)))
    sample = Sample()
    sample.add(every, 64)
    assert (sample.width, -(-5_000 // sample.width)) == (128, 40)
    for bucket in buckets(every, sample.width):
        kept = sample.rows[np.isin(sample.rows[:, NUMBER], bucket[:, NUMBER])]
        np.testing.assert_array_equal(kept[[0, -1]], bucket[[0, -1]])
        for column in (VALUE, MEAN):
            assert (kept[:, column].min(), kept[:, column].max()) == (bucket[:, column].min(), bucket[:, column].max())


@pytest.mark.parametrize("count", [10, 4096, 4097, 300_000])
def test_a_sample_is_bounded_however_long_the_series(count: int) -> None:
    sample = Sample()
    every = rows(list(np.random.default_rng(2).normal(size=count)))
    for at in range(0, count, 50_000):
        sample.add(every[at : at + 50_000], 1024)
    assert len(sample.rows) <= min(count, 6 * 1024)
    assert len(sample.rows) == count or count > WHOLE * 1024
    assert sample.count == count


def test_a_line_is_broken_where_nothing_came_for_long_and_nowhere_else() -> None:
    steady = rows([0.0] * 100)
    steady[50:, 1] += 86_400_000
    steps = np.diff(steady[:, 1])
    assert (steps > longest_step(steady)).nonzero()[0].tolist() == [49]
    at_random = rows([0.0] * 2_000)
    at_random[:, 1] = np.cumsum(np.random.default_rng(3).exponential(1000, 2_000))
    assert (np.diff(at_random[:, 1]) <= longest_step(at_random)).all()
    assert longest_step(rows([1.0])) == 0
