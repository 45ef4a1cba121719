"""What single detectors find, against worked examples, direct readings of their papers, and scipy."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from river import drift
from scipy import stats

from agents.drift import make_detector
from agents.drift.kswin import _choose, p_values
from tests.drift.streams import Floats, errors_of, moderate_errors, needs_predictions, numbers

# Montgomery, "Introduction to Statistical Quality Control", example 9.1: deviation 1; mean 10, from value 21 on 11.
MONTGOMERY = [
    *(9.45, 7.99, 9.29, 11.66, 12.16, 10.18, 8.04, 11.46, 9.20, 10.34, 9.03, 11.47, 10.51, 9.40, 10.08, 9.37, 10.62),
    *(10.31, 8.52, 10.84, 10.90, 9.33, 12.29, 11.50, 10.60, 11.08, 10.38, 11.62, 11.31, 10.52),
]
HIGH = [
    *(0, 0, 0, 1.16, 2.82, 2.50, 0.04, 1.00, 0, 0, 0, 0.97, 0.98, 0, 0, 0, 0.12, 0, 0, 0.34, 0.74, 0, 1.79, 2.79),
    *(2.89, 3.47, 3.35, 4.47, 5.28),
]


def test_cusum_gives_the_sums_of_montgomerys_table_and_its_signal_at_value_29() -> None:
    detector = make_detector("cusum", threshold=5, slack=0.5, target=10, deviation=1, min_instances=1, direction="up")
    verdicts = [detector.update(value) for value in MONTGOMERY[:29]]
    assert [verdict.statistic for verdict in verdicts] == pytest.approx(HIGH, abs=1e-9)
    assert [index for index, verdict in enumerate(verdicts) if verdict.drift] == [28]


def test_cusum_without_a_target_finds_a_change_whatever_the_unit() -> None:
    values = np.random.default_rng(3).normal(np.repeat([5.0, 6.0], 300), 1.0)
    indices = [[index for index, _ in make_detector("cusum").update_many(values * unit)] for unit in (1e-6, 1.0, 2**20)]
    assert indices[0] == indices[1] == indices[2]
    assert 300 <= indices[0][0] < 400


def test_two_proportion_is_the_pooled_z_test() -> None:
    values = moderate_errors(5)
    detector = make_detector("two_proportion", reference_size=200, min_reference=200, window_size=100, threshold=50)
    verdicts = [detector.update(value) for value in values[:700]]
    first, newest = values[:200], values[600:700]
    chi_square = stats.chi2_contingency(
        [[first.sum(), 200 - first.sum()], [newest.sum(), 100 - newest.sum()]], correction=False
    )
    assert verdicts[-1].statistic ** 2 == pytest.approx(chi_square.statistic)
    assert verdicts[-1].p_value == pytest.approx(chi_square.pvalue)


def test_two_proportion_rarely_fires_in_stationary_runs_where_the_naive_z_often_does() -> None:
    naive = fired = 0
    for seed in range(300):
        values = (np.random.default_rng(seed).random(5000) < 0.1).astype(float)
        fired += bool(make_detector("two_proportion").update_many(values))
        newest = np.convolve(values[500:], np.ones(500), "valid") / 500
        reference = values[:500].mean()
        naive += bool((np.abs(newest - reference) > 3 * math.sqrt(reference * (1 - reference) / 500)).any())
    assert fired <= 3
    assert naive >= 45


def test_two_proportion_learns_from_what_leaves_the_window_until_the_reference_is_complete() -> None:
    params = {"min_reference": 100, "reference_size": 300, "window_size": 50, "threshold": 50}
    detector = make_detector("two_proportion", **params)
    values = np.concatenate([np.zeros(100), np.tile([0.0, 1.0], 100), np.ones(200)])
    verdict = [detector.update(value) for value in values][-1]
    pooled = 150 / 350
    assert verdict.statistic == pytest.approx((1 - 100 / 300) / math.sqrt(pooled * (1 - pooled) * (1 / 300 + 1 / 50)))


def test_two_proportion_leaves_out_changes_below_the_least_that_counts() -> None:
    rates = np.repeat([0.001, 0.02], 5000)
    values = (np.random.default_rng(0).random(10_000) < rates).astype(float)
    assert make_detector("two_proportion").update_many(values)
    assert not make_detector("two_proportion", min_change=0.1).update_many(values)


def test_stepds_p_value_is_that_of_the_corrected_test() -> None:
    values = moderate_errors(2)[:400]
    detector = make_detector("stepd", alpha_drift=1e-12)
    verdict = [detector.update(value) for value in values][-1]
    older, newest = values[:-30], values[-30:]
    table = [[older.sum(), 370 - older.sum()], [newest.sum(), 30 - newest.sum()]]
    assert verdict.p_value == pytest.approx(stats.chi2_contingency(table, correction=True).pvalue / 2)


def rddm_by_the_paper(values: Floats, longest: int, kept: int, most: int) -> list[int]:
    """RDDM with nothing but a list of the concept's values, all numbers worked out anew at each value."""
    fired: list[int] = []
    stored: list[float] = []
    concept: list[float] = []
    lowest: tuple[float, float] | None = None
    warned = 0

    def rate(of: list[float]) -> tuple[float, float]:
        p = sum(of) / len(of)
        return p, math.sqrt(p * (1 - p) / len(of))

    for index, value in enumerate(values.tolist()):
        stored, concept = [*stored, value][-kept:], [*concept, value]
        if len(concept) < 129:
            continue
        p, s = rate(concept)
        if lowest is None or p + s < sum(lowest):
            lowest = p, s
        if p + s > lowest[0] + 2.258 * lowest[1] or (p + s > lowest[0] + 1.773 * lowest[1] and warned >= most):
            fired.append(index)
            stored = stored[-1 if warned >= most else -(warned + 1) :]
            lowest, concept, warned = None, list(stored), 0
            for end in range(129, len(concept) + 1):
                p, s = rate(concept[:end])
                lowest = (p, s) if lowest is None or p + s < sum(lowest) else lowest
        elif p + s > lowest[0] + 1.773 * lowest[1]:
            warned += 1
        else:
            warned = 0
            if len(concept) >= longest:
                concept = list(stored)
    return fired


@pytest.mark.parametrize(("longest", "kept", "most"), [(40_000, 7_000, 1_400), (800, 300, 60), (500, 200, 20)])
def test_rddm_fires_where_a_direct_reading_of_the_paper_does(longest: int, kept: int, most: int) -> None:
    fired = 0
    for seed in range(5):
        values = moderate_errors(seed)
        detector = make_detector("rddm", max_concept_size=longest, min_concept_size=kept, max_warnings=most)
        found = [index for index, verdict in detector.update_many(values) if verdict.drift]
        assert found == rddm_by_the_paper(values, longest, kept, most)
        fired += len(found)
    assert fired


class SameSamples(random.Random):
    """The samples that our detector draws, for river's."""

    def __init__(self, generator: Iterator[list[int]]) -> None:
        super().__init__()
        self._generator = generator

    def sample(self, population: Any, k: int, *, counts: Any = None) -> list[Any]:
        del population, k, counts
        return next(self._generator)


def our_samples(seed: int, sample: int, population: int) -> Iterator[list[int]]:
    numbers_of_generator = [0.0, 0.0, 1.0 + seed, 2147483398.0 - seed, 0.0]
    while True:
        chosen = [0] * sample
        _choose(chosen, population, numbers_of_generator)
        yield chosen


def kswin_of_river(monkeypatch: pytest.MonkeyPatch, values: Floats, params: dict[str, Any]) -> list[int]:
    samples = our_samples(params["seed"], params["stat_size"], params["window_size"] - params["stat_size"])
    monkeypatch.setattr("river.drift.kswin.random.Random", lambda seed: SameSamples(samples))
    detector, found = drift.KSWIN(**params), []
    for index, value in enumerate(values.tolist()):
        detector.update(value)
        if detector.drift_detected:
            found.append(index)
    return found


@pytest.mark.parametrize(("window", "sample", "alpha"), [(100, 30, 0.005), (60, 20, 0.001), (300, 100, 0.0001)])
def test_kswin_fires_where_rivers_does_with_the_same_samples(
    monkeypatch: pytest.MonkeyPatch, window: int, sample: int, alpha: float
) -> None:
    fired = 0
    for seed in range(8):
        params = {"alpha": alpha, "window_size": window, "stat_size": sample, "seed": seed}
        found = [index for index, _ in make_detector("kswin", **params).update_many(numbers(seed))]
        assert found == kswin_of_river(monkeypatch, numbers(seed), params), f"seed {seed}"
        fired += len(found)
    assert fired >= 2


@needs_predictions
def test_kswin_fires_where_rivers_does_on_recorded_predictions(monkeypatch: pytest.MonkeyPatch) -> None:
    params = {"alpha": 0.005, "window_size": 100, "stat_size": 30, "seed": 1}
    values = errors_of("sine_0123_abrupto__rf")[4000:8000]
    found = [index for index, _ in make_detector("kswin", **params).update_many(values)]
    assert found
    assert found == kswin_of_river(monkeypatch, values, params)


@pytest.mark.parametrize("sample", [2, 7, 30, 100])
def test_kswins_p_values_are_scipys(sample: int) -> None:
    for difference in range(sample + 1):
        # The first `difference` of one sample lie below all of the other, the rest above.
        one = [*range(-difference, 0), *range(1000, 1000 + sample - difference)]
        other = list(range(500, 500 + sample))
        result = stats.ks_2samp(one, other, method="exact")
        assert result.statistic == pytest.approx(max(difference, sample - difference) / sample)
        assert p_values(sample)[max(difference, sample - difference)] == pytest.approx(result.pvalue, rel=1e-9)


def test_all_samples_of_kswin_are_about_as_likely() -> None:
    samples = our_samples(7, 3, 10)
    counts = np.zeros(10)
    for _ in range(3000):
        counts[next(samples)] += 1
    assert stats.chisquare(counts).pvalue > 0.001


def fired_by(values: list[float], **params: Any) -> list[int]:
    return [index for index, verdict in make_detector("threshold", **params).update_many(values) if verdict.drift]


def test_threshold_fires_at_m_breaches_of_n_values() -> None:
    assert fired_by([0.9, 0.7, 0.9, 0.7, 0.9, 0.9, 0.7, 0.7], limit=0.8, breaches=3, of=4) == []
    assert fired_by([0.9, 0.7, 0.9, 0.7, 0.7], limit=0.8, breaches=3, of=4) == [4]


def test_threshold_does_not_fire_again_before_values_have_recovered() -> None:
    flapping = [0.7, 0.7, 0.82, 0.82, 0.7, 0.7, 0.82, 0.82]
    assert fired_by(flapping, limit=0.8, breaches=2, of=2, recovery=0.85) == [1]
    assert fired_by(flapping, limit=0.8, breaches=2, of=2) == [1, 5]
    assert fired_by([*flapping, 0.9, 0.9, 0.7, 0.7], limit=0.8, breaches=2, of=2, recovery=0.85) == [1, 11]


def test_threshold_looks_above_with_direction_up() -> None:
    assert fired_by([0.1, 0.3, 0.3, 0.3], limit=0.2, direction="up") == [3]


@pytest.mark.parametrize("name", ["adwin", "cusum", "fhddm", "hddm_a", "hddm_w", "kswin", "page_hinkley", "stepd"])
def test_direction_says_which_change_counts_and_is_said(name: str) -> None:
    rises = (np.random.default_rng(5).random(2000) < np.repeat([0.05, 0.95], 1000)).astype(float)
    strict: dict[str, dict[str, Any]] = {"kswin": {"alpha": 1e-6}, "stepd": {"alpha_drift": 1e-6}}

    def found(values: Floats, direction: str) -> set[str]:
        verdicts = make_detector(name, direction=direction, **strict.get(name, {})).update_many(values)
        return {verdict.direction for _, verdict in verdicts if verdict.drift}

    assert found(rises, "up") == found(rises, "both") == {"up"}
    assert found(1 - rises, "down") == found(1 - rises, "both") == {"down"}
    assert found(rises, "down") == found(1 - rises, "up") == set()


def test_cusum_with_a_known_deviation_waits_for_min_instances_too() -> None:
    detector = make_detector("cusum", threshold=5, target=0, deviation=1, min_instances=50)
    assert [index for index, _ in detector.update_many([1.0] * 110)] == [49, 99]


def test_kswin_never_takes_a_difference_of_a_tenth_for_a_change() -> None:
    assert p_values(100)[8] < 0.99
    detector = make_detector("kswin", alpha=0.99, stat_size=100, window_size=200)
    assert detector.update(0.5).threshold == 0.11
