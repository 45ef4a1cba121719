"""Outcomes of a recorded classifier whose stream drifts at known rows: found, and asked about once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from agents.backtest import backtest
from agents.settings import Settings
from schemas.metrics import Outcomes
from tests.backtest.events import START
from tests.drift.streams import errors_of, needs_predictions

#: Rows of the recording; the stream's first drift is at its row 10,000, and the recording begins with row 5,000.
LENGTH, DRIFT, BATCH = 9_000, 5_000, 40


def recorded_outcomes(stream: str, batch: int) -> Iterator[Outcomes]:
    errors = errors_of(stream)[:LENGTH].astype(int).tolist()
    for begin in range(0, LENGTH, batch):
        wrong: list[bool | int | float | str] = errors[begin : begin + batch]
        last = START + timedelta(seconds=begin + len(wrong) - 1)
        yield Outcomes(model_name="forest", model_version="1", timestamp=last, y_true=[0] * len(wrong), y_pred=wrong)


def watched_by(name: str, **params: Any) -> Settings:
    return Settings(
        monitor=[{"name": "errors", "metric": "error", "detector": {"name": name} | params}],
        retrain=[{"cooldown": "1d"}],
    )


@needs_predictions
@pytest.mark.parametrize("stream", ["mixed_0101_abrupto__rf", "sine_0123_abrupto__rf"])
@pytest.mark.parametrize("name", ["adwin", "recommended"])
def test_an_abrupt_drift_is_found_soon_and_asks_for_retraining_once(stream: str, name: str) -> None:
    result = backtest(recorded_outcomes(stream, BATCH), watched_by(name))
    (request,) = result.retrain
    first = next(drift for drift in result.drift if drift["direction"] == "worse")
    assert DRIFT // BATCH <= first["cause"]["offset"] - 1 <= (DRIFT + 150) // BATCH
    assert (first["severity"], first["metric"], first["rule"]) == ("drift", "error", "errors")
    assert first["detector"] == ("adwin" if name == "adwin" else "two_proportion")
    assert request["cause_ids"] == [first["cause"]["event_id"], first["event_id"]]
    assert (result.dead_letters, result.events_read) == ([], LENGTH // BATCH)


@needs_predictions
def test_how_outcomes_are_put_into_records_does_not_change_what_is_found() -> None:
    def told(batch: int) -> list[tuple[str, float, dict[str, Any]]]:
        found = backtest(recorded_outcomes("mixed_0101_abrupto__rf", batch), watched_by("rddm")).drift
        windows = [{**drift["window"], "begin": None, "end": None} for drift in found]  # records have times, not values
        return [(drift["severity"], drift["statistic"], window) for drift, window in zip(found, windows, strict=True)]

    assert told(1) == told(40) == told(1_000)
    assert np.unique([severity for severity, _, _ in told(40)]).tolist() == ["drift", "warning"]
