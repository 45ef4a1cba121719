"""Detectors of a changed distribution: their statistics and p-values, their false alarms, references from files."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from math import log, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from agents.drift import DETECTORS, make_detector
from agents.drift.binned import BinnedReference, cut
from agents.drift.chi2 import Chi2Reference
from agents.drift.distribution import DistributionDetector
from agents.drift.hellinger import HellingerReference
from agents.drift.jensen_shannon import JensenShannonReference
from agents.drift.ks import SortedReference, critical_difference, p_value
from agents.drift.psi import PSIReference
from agents.drift.wasserstein import Null, WassersteinReference
from tests.drift.streams import Floats

NAMES = sorted(name for name, made in DETECTORS.items() if issubclass(made, DistributionDetector))
BINNED: list[type[BinnedReference]] = [Chi2Reference, HellingerReference, JensenShannonReference, PSIReference]


def samples(seed: int) -> tuple[Floats, Floats]:
    """Two samples of different sizes, some with values that are alike, some shifted; the first is sorted."""
    rng = np.random.default_rng(seed)
    n, m = (int(size) for size in rng.integers(20, 200, 2))
    first, second = rng.normal(0, 1, n), rng.normal(rng.choice([0, 0.5]), rng.choice([1, 2]), m)
    if seed % 3 == 0:
        first, second = np.round(first), np.round(second)
    return np.sort(first), second


def test_ks_has_the_statistic_and_the_exact_p_value_that_scipy_has() -> None:
    for seed in range(100):
        first, second = samples(seed)
        reference = SortedReference(first)
        window = reference.encode(second)
        theirs = stats.ks_2samp(first, second, method="exact")
        assert reference.statistic(window) == pytest.approx(theirs.statistic, abs=1e-12)
        assert reference.p_value(window, reference.statistic(window)) == pytest.approx(theirs.pvalue, rel=1e-9)


def test_of_large_samples_ks_has_kolmogorovs_limit() -> None:
    for difference in (200_000, 400_000, 700_000, 2_000_000):
        share = difference / (4_000 * 2_000)
        limit = stats.kstwobign.sf(share * sqrt(4_000 * 2_000 / 6_000))
        assert p_value(4_000, 2_000, difference) == pytest.approx(limit, rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(50, 50), (60, 35), (3_000, 1_000)])
def test_the_critical_difference_is_the_largest_that_is_not_significant(n: int, m: int) -> None:
    critical = round(critical_difference(n, m, 0.001) * n * m)
    assert p_value(n, m, critical + 1) <= 0.001 < p_value(n, m, critical)


def test_wassersteins_distance_is_scipys() -> None:
    for seed in range(100):
        first, second = samples(seed)
        reference = WassersteinReference(first, 0.0)
        assert reference.statistic(second) == pytest.approx(stats.wasserstein_distance(first, second), rel=1e-9)


def counts(seed: int) -> tuple[list[int], list[int]]:
    rng = np.random.default_rng(seed)
    bins = int(rng.integers(2, 12))
    rows = [rng.multinomial(int(rng.integers(50, 500)), rng.dirichlet(np.full(bins, 3.0))) for _ in range(2)]
    return rows[0].tolist(), rows[1].tolist()


def test_chi2_has_scipys_statistic_and_p_value() -> None:
    for seed in range(100):
        first, second = counts(seed)
        table = np.array([first, second])
        theirs = stats.chi2_contingency(table[:, table.sum(axis=0) > 0], correction=False)
        assert Chi2Reference.distance(first, second) == pytest.approx(theirs.statistic, rel=1e-9)
    reference = Chi2Reference(np.array([0.0, 1.0]), np.array([30, 50, 20]))
    window = np.repeat(np.array([0, 1, 2], dtype="u1"), [25, 20, 15])
    theirs = stats.chi2_contingency([[30, 50, 20], [25, 20, 15]])
    statistic = reference.statistic(window)
    assert reference.p_value(window, statistic) == pytest.approx(theirs.pvalue, rel=1e-9)
    assert reference.critical(window, statistic, theirs.pvalue) == pytest.approx(statistic, rel=1e-9)


def test_jensen_and_shannons_distance_is_scipys_with_half_a_value_added_to_each_count() -> None:
    for seed in range(100):
        first, second = counts(seed)
        theirs = jensenshannon(np.array(first) + 0.5, np.array(second) + 0.5)
        assert JensenShannonReference.distance(first, second) == pytest.approx(theirs, rel=1e-9)


def test_psi_and_hellingers_distance_have_their_worked_values() -> None:
    million = [200_000, 300_000, 500_000], [300_000, 300_000, 400_000]
    assert PSIReference.distance(*million) == pytest.approx(0.0628609, rel=1e-4)  # 0.1 ln 1.5 + 0.1 ln 1.25
    assert HellingerReference.distance(*million) == pytest.approx(0.0885293, rel=1e-4)
    assert PSIReference.distance([4, 0], [0, 4]) == pytest.approx(2 * 0.8 * log(9))  # shares 0.9 and 0.1
    assert HellingerReference.distance([4, 0], [0, 4]) == pytest.approx(sqrt(0.9) - sqrt(0.1))


DRAWS: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "gaussian": lambda rng, size: rng.normal(5, 2, size),
    "skewed": lambda rng, size: rng.lognormal(0, 1.5, size),
    "rounded": lambda rng, size: np.round(rng.normal(0, 1.5, size)),
    "rare": lambda rng, size: (rng.random(size) < 0.01) * rng.normal(50, 1, size),
}


@pytest.mark.parametrize("kind", DRAWS)
@pytest.mark.parametrize("name", NAMES)
def test_tests_at_a_level_find_a_change_where_there_is_none_no_more_often_than_that(name: str, kind: str) -> None:
    # The level is 5 %: of 150 tests 7.5 are expected, and 18 are four standard deviations more.
    false = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        detector = make_detector(name, reference=250, size=125)
        assert isinstance(detector, DistributionDetector)
        reference = detector._learn(np.sort(DRAWS[kind](rng, 250)))
        window = reference.encode(DRAWS[kind](rng, 125))
        statistic = reference.statistic(window)
        false += statistic > reference.critical(window, statistic, 0.05)
    assert false <= 18


def test_a_fixed_limit_of_psi_fires_five_times_in_six_on_a_hundred_values() -> None:
    rng, beyond = np.random.default_rng(0), 0
    for _ in range(400):
        reference = PSIReference.of(np.sort(rng.normal(size=100)), 10)
        beyond += reference.statistic(reference.encode(rng.normal(size=100))) > 0.1
    assert 0.75 < beyond / 400 < 0.95


def test_the_threshold_of_psi_follows_from_sizes_bins_and_alpha() -> None:
    values = np.random.default_rng(1).normal(size=1_500)
    detector = make_detector("psi", alpha=0.05)
    verdict = [detector.update(value) for value in values][-1]
    assert verdict.threshold == pytest.approx(stats.chi2.isf(0.05 * 100 / 10_000, 9) * (1 / 1_000 + 1 / 500))
    assert 0 < verdict.statistic < verdict.threshold


@pytest.mark.parametrize("name", NAMES)
def test_a_change_of_spread_with_the_same_mean_is_found_and_has_no_direction(name: str) -> None:
    rng = np.random.default_rng(2)
    values = np.concatenate([rng.normal(0, 1, 3_000), rng.normal(0, 2, 1_000)])
    (index, verdict), *_ = make_detector(name).update_many(values)
    assert 3_000 < index < 3_500
    assert (verdict.drift, verdict.warning, verdict.direction) == (True, False, "none")
    assert verdict.p_value is not None
    assert verdict.p_value <= 0.05 * 100 / 10_000
    assert verdict.statistic > verdict.threshold


@pytest.mark.parametrize("name", NAMES)
def test_a_threshold_that_is_given_stands(name: str) -> None:
    detector, values = make_detector(name, threshold=0.3), np.random.default_rng(3).normal(size=1_500)
    assert [detector.update(value) for value in values][-1].threshold == 0.3


@pytest.mark.parametrize("name", NAMES)
def test_what_a_constant_becomes_is_found_and_a_digit_that_wavers_in_one_value_is_not(name: str) -> None:
    values = np.full(3_000, 0.3)
    values[[50, 1_700]] = 0.1 + 0.2
    detector = make_detector(name)
    assert detector.update_many(values) == []
    assert detector.update_many(np.full(500, 0.2))


def test_the_first_outliers_after_a_reference_without_any_are_no_change_to_wasserstein() -> None:
    rng = np.random.default_rng(4)
    calm = rng.normal(size=1_000)
    window = rng.normal(size=500)
    window[7] = 1_000.0
    reference = WassersteinReference(np.sort(calm), Null(np.sort(calm)).critical(0.0005))
    statistic = reference.statistic(window)
    assert statistic > 10 * reference.critical(window, 0.0, 0.0005)
    assert statistic < reference.critical(window, statistic, 0.0005)


def test_bins_hold_about_the_same_number_of_values_and_a_value_that_is_there_often_has_its_own() -> None:
    assert cut(np.arange(100.0), 4) == [24, 49, 74]
    zeros, ones = np.zeros(90), np.ones(90)
    below = float(np.nextafter(0, -1))
    assert cut(np.append(zeros, ones[:10]), 10) == [below, 0, 1]
    assert cut(np.append(zeros, ones[:3]), 10) == [below, 0]
    assert cut(np.append(zeros[:3], ones), 10) == [0, 1]
    assert cut(np.repeat([0.0, 1.0, 2.0, 3.0], [10, 70, 15, 5]), 5) == [0, 1]
    assert cut(zeros, 10) == [below, 0]


def read(path: Path, **params: Any) -> DistributionDetector:
    detector = make_detector("ks", reference=300, size=100, stride=50, reference_file=str(path), **params)
    assert isinstance(detector, DistributionDetector)
    return detector


def written(folder: Path, values: Floats) -> dict[str, Path]:
    """The same numbers in every kind of file."""
    lines = {"csv": ["id,x"], "jsonl": list[str]()}
    for number, value in enumerate(values.tolist()):
        lines["csv"].append(f"{number},{value!r}")
        lines["jsonl"].append(json.dumps({"extras": {"x": value}}))
    paths = {kind: folder / f"reference.{kind}" for kind in ("csv", "jsonl", "npy", "csv.gz")}
    for kind, text in lines.items():
        paths[kind].write_text("\n".join(text) + "\n")
    paths["csv.gz"].write_bytes(gzip.compress(paths["csv"].read_bytes()))
    np.save(paths["npy"], values)
    return paths


def test_a_reference_from_a_file_is_the_same_from_any_kind_and_needs_no_first_values(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    paths = written(tmp_path, rng.normal(size=300))
    values = np.concatenate([rng.normal(size=400), rng.normal(2, 1, 400)])
    columns = {"csv": "x", "csv.gz": "x", "jsonl": "extras.x", "npy": None}
    found = {kind: read(path, column=columns[kind]).update_many(values) for kind, path in paths.items()}
    assert len({str(each) for each in found.values()}) == 1
    # The file stays the reference after a drift: what has changed goes on being found.
    assert [index for index, _ in found["npy"]] == [449, 549, 649, 749]


def test_the_state_carries_the_file_and_restoring_reads_none(tmp_path: Path) -> None:
    path = written(tmp_path, np.random.default_rng(6).normal(size=300))["csv"]
    detector = read(path, column="x")
    detector.update_many(np.zeros(30))
    path.unlink()
    restored = type(detector).from_state(detector.state())
    assert restored.state() == detector.state()
    assert restored.parameters == detector.parameters
    assert restored.update_many(np.full(200, 9.0)) == detector.update_many(np.full(200, 9.0)) != []
    restored.reset()
    assert restored.update_many(np.full(100, 9.0)) != []


def test_of_a_long_file_values_are_taken_evenly(tmp_path: Path) -> None:
    path = tmp_path / "long.npy"
    np.save(path, np.repeat([0.0, 1.0, 2.0], 1_000))
    detector = read(path)
    assert isinstance(detector._reference, SortedReference)
    assert np.bincount(detector._reference._values.astype(int)).tolist() == [100, 100, 100]


@pytest.mark.parametrize(
    ("file", "text", "column", "reason"),
    [
        ("missing.csv", None, "x", r"reference_file: .*missing.csv cannot be read"),
        ("r.parquet", "", "x", r"reference_file: expected a name that ends in .csv, .jsonl .*, got '.*r.parquet'"),
        ("r.csv", "a,b\n1,2\n", "x", r"column: .*r.csv has no column 'x'; it has a, b"),
        ("r.csv", "a,b\n1,2\n", None, "column: expected the name of the column"),
        ("r.csv", "x\n1\n\nnan\n", "x", r"reference_file: line 4 of .*r.csv: expected a finite number, got 'nan'"),
        ("r.csv", "x\n1\n", "x", r"reference_file: expected at least two numbers in .*r.csv, got 1"),
        ("r.jsonl", '{"x": 1}\n{"y": 1}\n', "x", "line 2 of .*: expected a finite number, got None"),
        ("r.jsonl", '{"x": true}\n', "x", "line 1 of .*: expected a finite number, got True"),
        ("r.jsonl", "not json\n", "x", "line 1 of .*: expected a finite number, got None"),
        ("r.npy", "x", None, "reference_file: .* is no array of numbers"),
        ("r.npy", "x", "x", "column: expected none, for a .npy has no columns, got 'x'"),
        ("r.csv.gz", "x", "x", "reference_file: .* cannot be read"),
    ],
)
def test_a_file_that_is_no_reference_is_refused_with_what_was_expected(
    tmp_path: Path, file: str, text: str | None, column: str | None, reason: str
) -> None:
    path = tmp_path / file
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=reason):
        read(path, column=column)


def test_without_scipy_detectors_with_bins_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.drift.binned.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"psi needs scipy: install visutility-streams\[distributions\], or take ks"):
        make_detector("psi")
    assert make_detector("ks").name == "ks"


def test_bins_that_the_reference_leaves_empty_do_not_raise_the_threshold() -> None:
    reference = Chi2Reference.of(np.sort(np.arange(1_000) % 10 == 0).astype(np.float64), 10)
    window = reference.encode(np.zeros(500))
    assert len(reference.counts) == 4
    assert reference.critical(window, 0.0, 0.001) == pytest.approx(stats.chi2.isf(0.001, 1))
