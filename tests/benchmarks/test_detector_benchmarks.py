"""The benchmarks of detectors: scores by hand, and a small run of each gives every figure."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from agents.backtest.labels import agreed
from agents.drift import DETECTORS
from benchmarks.calibration import Candidate, calibration, errors, figures
from benchmarks.detectors import detectors, stream
from benchmarks.document import DOCUMENT, plot, table
from benchmarks.labelled import DATA, Labelled, nab, predictions, score, turing
from benchmarks.run import LocalRun
from benchmarks.unlabelled import unlabelled

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded series in {DATA}")


def small(records: int) -> LocalRun:
    return LocalRun(records, 1, lambda text: None)


def test_the_first_alarm_in_a_span_finds_its_change_and_all_others_are_false() -> None:
    series = Labelled("made up", np.zeros(100), [(20, 40), (60, 80)], judged_from=10)
    assert score(series, [5, 15, 23, 30, 50]).delays == [3, None]
    assert score(series, [5, 15, 23, 30, 50]).false_alarms == 3


def test_a_change_is_what_two_annotators_marked_close_together() -> None:
    assert agreed({"a": [10, 50], "b": [13], "c": [80]}) == [10]
    assert agreed({"a": [10, 12], "b": []}) == []


def test_figures_count_false_alarms_per_10_000_values_and_delays_from_the_change() -> None:
    always = figures(Candidate("threshold", {"limit": -1.0, "direction": "up"}), errors, 0.1, (0.3,), runs=2)
    assert always.false_alarms == always.runs_with_any == 1.0
    assert always.found == {"0.3": 0.0}
    quick = figures(Candidate("page_hinkley", {"threshold": 20}), errors, 0.1, (0.3,), runs=5)
    assert quick.found == {"0.3": 1.0}
    assert quick.median_delay["0.3"] is not None
    assert 40 < quick.median_delay["0.3"] < 160


def test_calibration_measures_every_detector() -> None:
    result = calibration(small(10_000))
    assert result["runs"] == 1
    assert {label.split(" ")[0] for label in result["errors"]} == {*DETECTORS, "recommended"} - {"threshold"}
    assert {"cusum", "kswin", "page_hinkley", "z_score"} <= set(result["metric"])
    assert {"ks", "psi", "wasserstein"} <= set(result["mean"]) == set(result["spread"])


def test_speed_is_measured_for_every_detector_beside_river(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "benchmarks.detectors._frouros", lambda run, values: {}
    )  # its environment comes from a registry
    result = detectors(small(1_000))
    assert set(result["updates_per_second"]) == set(DETECTORS)
    assert {name for name, ratio in result["ratios"].items() if "river" in ratio} == {
        *("adwin", "ddm", "eddm", "fhddm", "hddm_a", "hddm_w", "kswin", "page_hinkley")
    }


def test_the_stream_of_the_speed_benchmark_is_the_same_each_time() -> None:
    assert (stream(1000) == stream(1000)).all()


@needs_data
def test_every_abrupt_drift_is_found_by_the_recommended_detector_as_soon_as_by_rivers_best_without_a_false_alarm() -> (
    None
):
    result = {label: row["abrupt drifts"] for label, row in predictions(small(100_000)).items()}
    ours = result["recommended (kind = errors)"]
    assert ours["found"] == ours["changes"] == 6
    assert ours["false_alarms"] == 0
    best = min(
        row["median_delay"]
        for label, row in result.items()
        if label.startswith("river") and row["found"] == 6 and row["false_alarms"] == 0
    )
    assert ours["median_delay"] <= best


@needs_data
def test_labelled_series_are_all_read() -> None:
    assert nab(small(2_000))["series"] == 31
    assert turing(small(2_000))["series"] == 17


@needs_data
def test_the_estimated_accuracy_of_the_loans_is_as_near_as_the_document_says() -> None:
    result = unlabelled(small(50_000))
    for part in ("before", "after"):
        assert result[part]["estimated"] == pytest.approx(result[part]["accuracy"], abs=0.005)
    assert result["bands"]["hold the accuracy"] == result["bands"]["windows"] == 20
    assert result["found at row"]["cusum"]["estimate"] == [25_210]


def test_a_plot_is_well_formed_and_has_every_label() -> None:
    drawn = plot([("a & b", 0.0, 10.0), ("c", 5.0, 200.0), ("never", 1.0, None)], "delay")
    texts = [element.text for element in ElementTree.fromstring(drawn).iter() if element.tag.endswith("text")]
    assert {"a & b", "c", "delay"} <= set(texts)
    assert "never" not in texts


def test_a_table_has_a_column_for_each_heading() -> None:
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --: |\n| 1 | 2 |"


def test_the_document_names_every_detector_and_has_a_row_of_calibration_for_each() -> None:
    text = DOCUMENT.read_text()
    measured = text[text.index("<!-- calibration -->") : text.index("<!-- end of calibration -->")]
    for name in DETECTORS:
        assert f"`{name}`" in text
        assert re.search(rf"^\| `{name}( \(.*\))?` \|", measured, re.MULTILINE), name
