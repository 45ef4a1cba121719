"""On a stream on which detectors keep firing: few phases, and no more requests than the cooldown lets through."""

from __future__ import annotations

import gzip
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path

import pytest

from agents.backtest import backtest
from agents.settings import Settings
from schemas.metrics import Outcomes
from schemas.status import ModelStatus
from tests.monitor.driving import MODEL, Driven, at, of_type

FILE = Path(__file__).parents[3] / "shared" / "data" / "predictions" / "elec2__rf.csv.gz"
ROWS, TOGETHER, COOLDOWN = 20_000, 50, timedelta(hours=2)
CLASSIC = ("adwin", "ddm", "eddm", "hddm_a", "hddm_w", "page_hinkley", "rddm", "stepd")


@lru_cache
def recorded() -> list[Outcomes]:
    """The first rows, fifty in a message, a row every five seconds: 28 hours."""
    if not FILE.exists():
        pytest.skip(f"{FILE} is missing")
    with gzip.open(FILE, "rt") as lines:
        rows = [line.split(",") for line in list(lines)[1 : ROWS + 1]]
    pieces = [rows[begin : begin + TOGETHER] for begin in range(0, ROWS, TOGETHER)]
    return [
        Outcomes(
            model_name=MODEL,
            timestamp=at(number * TOGETHER * 5),
            y_true=[int(row[1]) for row in piece],
            y_pred=[int(row[2]) for row in piece],
        )
        for number, piece in enumerate(pieces)
    ]


def rules(detector: str) -> Settings:
    return Settings(
        monitor=[{"metric": "error", "detector": {"name": detector}}],
        retrain=[{"on_drift": True, "cooldown": f"{COOLDOWN.total_seconds():g}s"}],
    )


@pytest.mark.parametrize("detector", CLASSIC)
def test_requests_stay_within_the_cooldown_however_often_a_detector_fires(detector: str) -> None:
    result = backtest(recorded(), rules(detector))
    worse = [drift for drift in result.drift if (drift["severity"], drift["direction"]) == ("drift", "worse")]
    expected: list[datetime] = []
    for drift in worse:
        time = datetime.fromisoformat(drift["timestamp"])
        if not expected or time - expected[-1] >= COOLDOWN:
            expected.append(time)
    requested = [datetime.fromisoformat(request["timestamp"]) for request in result.retrain]
    assert requested == expected
    assert len(requested) <= timedelta(seconds=ROWS * 5) // COOLDOWN + 1
    assert len(worse) > len(requested) > 0


@pytest.mark.parametrize("detector", ["ddm", "stepd"])
def test_a_model_enters_drift_far_less_often_than_its_detector_fires(detector: str) -> None:
    driven = Driven(rules(detector))
    for message in recorded():
        driven.feed(message)
    fired = sum(output.message.type == "drift_detected" for output in driven.outputs if output.message)
    entered = [str(status.state) for status in of_type(ModelStatus, driven.outputs)].count("drift")
    assert 0 < entered < fired / 2
