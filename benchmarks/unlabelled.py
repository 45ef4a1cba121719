"""The accuracy that scores alone promise, held against the one that labels show later: NannyML's car loans."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agents.drift import make_detector
from agents.monitor.calibration import fitted
from agents.monitor.scores import ESTIMATED_ACCURACY, Scoring, band_of, chances_of
from benchmarks.labelled import DATA
from benchmarks.run import Json, LocalRun, NoData
from streams.windows import CountWindow

Floats = NDArray[np.float64]

#: Where the accuracy falls, and the windows that are looked at.
CHANGE: Final = 25_000
WINDOW: Final = 2_500

_LOANS: Final = "synthetic_car_loan_{}.csv.gz"


def unlabelled(run: LocalRun) -> Json:
    """Estimated and true accuracy before and after the change, and how many windows' bands hold the true one.

    And by which detectors the fall is found, at which row: in the estimate, and in the errors.
    """
    folder = DATA / "monitoring"
    if not folder.is_dir():
        raise NoData(f"there is no data in {folder}")
    predicted = _column(folder, "analysis", "y_pred")[: run.records]
    scores = _column(folder, "analysis", "y_pred_proba")[: run.records]
    right = predicted == _column(folder, "analysis_target", "repaid")[: run.records]
    curve = fitted(str(folder / _LOANS.format("reference")), "y_pred_proba", "repaid", 1)
    plain, calibrated = (
        np.array(chances_of(predicted.tolist(), scores.tolist(), Scoring(ESTIMATED_ACCURACY, 1, calibration)))
        for calibration in (None, curve)
    )
    parts = {"before": slice(0, CHANGE), "after": slice(CHANGE, None)}
    series = {"accuracy": right, "estimated": calibrated, "without calibration": plain}
    begins = range(0, len(right) - WINDOW + 1, WINDOW)
    held = [_holds(calibrated[begin : begin + WINDOW], float(right[begin : begin + WINDOW].mean())) for begin in begins]
    return {
        **{
            part: {name: round(float(values[rows].mean()), 4) for name, values in series.items() if len(values[rows])}
            for part, rows in parts.items()
        },
        "bands": {"windows": len(held), "hold the accuracy": sum(held)},
        "found at row": {
            name: {"estimate": _alarms(name, calibrated), "errors": _alarms(name, 1.0 - right)}
            for name in ("adwin", "cusum", "ks", "page_hinkley")
        },
    }


def _column(folder: Path, part: str, name: str) -> Floats:
    with gzip.open(folder / _LOANS.format(part), "rt") as lines:
        return np.array([float(row[name]) for row in csv.DictReader(lines)])


def _holds(chances: Floats, accuracy: float) -> bool:
    window = CountWindow(WINDOW)
    window.push_many(chances)
    summary = window.summary()
    assert summary is not None, "it holds values"
    low, high = band_of(summary)
    return low <= accuracy <= high


def _alarms(name: str, values: Floats) -> list[int]:
    return [index for index, verdict in make_detector(name).update_many(values) if verdict.drift]
