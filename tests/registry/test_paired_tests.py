"""The paired tests against scipy's, and against what they promise: how often they are wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import optimize, special, stats

from agents.registry.paired_tests import incomplete_beta, mcnemar, paired_t, tango

COUNTS = st.integers(0, 3_000)


@given(COUNTS, COUNTS)
@example(1037, 38)  # for which scipy gives 0
def test_mcnemar_is_the_one_sided_binomial_test(wins: int, losses: int) -> None:
    # At least so many wins of n fair coins are at most so many losses; in whole numbers, which cannot underflow.
    n, ways = wins + losses, 1
    total = ways
    for number in range(losses):
        ways = ways * (n - number) // (number + 1)
        total += ways
    expected = total / 2**n  # whole numbers are divided exactly, then rounded once
    assert mcnemar(wins, losses) == pytest.approx(expected, rel=1e-8, abs=1e-300)


@given(st.floats(-10, 10), st.floats(1e-3, 10), st.integers(2, 100_000), st.floats(0, 1))
def test_the_t_test_is_the_textbook_one(mean: float, std: float, samples: int, margin: float) -> None:
    expected = stats.t.sf((mean - margin) / (std / math.sqrt(samples)), samples - 1)
    assert paired_t(mean, std, samples, margin) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@given(st.floats(0.1, 50_000), st.floats(0.1, 50_000), st.floats(0, 1))
def test_the_incomplete_beta_function_is_scipys(a: float, b: float, x: float) -> None:
    assert incomplete_beta(a, b, x) == pytest.approx(special.betainc(a, b, x), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("wins", "losses", "samples"), [(30, 12, 200), (3, 0, 50), (0, 7, 50), (90, 60, 500)])
@pytest.mark.parametrize("margin", [0.01, 0.05, 0.3])
def test_tango_is_the_score_test_at_the_numerical_maximum_of_the_likelihood(
    wins: int, losses: int, samples: int, margin: float
) -> None:
    def against(losing: float) -> float:
        ties = max(1 - 2 * losing - margin, 1e-300)
        return -float(
            special.xlogy(wins, losing + margin)
            + special.xlogy(losses, losing)
            + special.xlogy(samples - wins - losses, ties)
        )

    bounds = (0, (1 - margin) / 2)
    losing = optimize.minimize_scalar(against, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
    variance = samples * (2 * losing + margin - margin**2)
    expected = stats.norm.sf((wins - losses - samples * margin) / math.sqrt(variance))
    assert tango(wins, losses, samples, margin) == pytest.approx(expected, rel=1e-3)


def test_without_a_margin_tango_is_mcnemar_without_correction() -> None:
    assert tango(30, 12, 200, 0.0) == pytest.approx(stats.norm.sf(18 / math.sqrt(42)))


@pytest.mark.parametrize("margin", [0.0, 0.05])
def test_models_that_are_no_better_than_the_margin_pass_at_most_as_often_as_alpha_says(margin: float) -> None:
    rng = np.random.default_rng(7)
    runs, samples, losing = 4_000, 300, 0.1
    drawn = rng.multinomial(samples, [losing + margin, losing, 1 - 2 * losing - margin], size=runs)
    p_values = [mcnemar(int(w), int(l)) if margin == 0 else tango(int(w), int(l), samples, margin) for w, l, _ in drawn]  # noqa: E741
    assert 0.02 < np.mean(np.array(p_values) <= 0.05) < 0.062
    scores = rng.normal(margin, 1.0, size=(runs, samples))
    passed = [paired_t(float(row.mean()), float(row.std(ddof=1)), samples, margin) <= 0.05 for row in scores]
    assert 0.035 < np.mean(passed) < 0.065


def test_differences_that_never_vary_are_decided_by_the_margin_alone() -> None:
    assert paired_t(0.2, 0.0, 50, 0.1) == 0.0
    assert paired_t(0.1, 0.0, 50, 0.1) == 1.0
