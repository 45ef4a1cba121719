"""Runs as a fold of messages: two writers at once, and a log whose beginning is gone."""

from __future__ import annotations

import doctest
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agents.tracking import runs
from agents.tracking.runs import Record, Runs
from schemas.experiments import EpochEnd, RunStart, TrainingEnd
from schemas.metrics import Heartbeat

COMMON: dict[str, Any] = {"model_name": "digits", "timestamp": datetime(2025, 6, 1, tzinfo=UTC)}


def start(run_id: str = "r", **params: float) -> RunStart:
    return RunStart(**COMMON, run_id=run_id, params=dict(params))


def epoch(number: int, **metrics: float) -> EpochEnd:
    return EpochEnd(**COMMON, run_id="r", epoch=number, metrics=metrics)


def end(run_id: str = "r", **metrics: float) -> TrainingEnd:
    return TrainingEnd(**COMMON, run_id=run_id, final_metrics=metrics, duration_seconds=1.0)


def folded(*messages: Record) -> Runs:
    known = Runs()
    for message in messages:
        known.apply(message)
    return known


def test_the_first_start_and_the_first_end_count() -> None:
    known = folded(start(lr=0.1), start(lr=0.2), end(accuracy=0.9), end(accuracy=0.1), epoch(0, loss=1.0))
    run = known.get("r")
    assert (run.params, run.final_metrics, run.epochs) == ({"lr": 0.1}, {"accuracy": 0.9}, {})


def test_a_run_whose_start_is_gone_begins_with_what_there_is() -> None:
    known = folded(epoch(7, loss=0.1), end("other", accuracy=0.9))
    assert known.get("r").epochs == {7: {"loss": 0.1}}
    assert (known.get("other").state, known.get("other").params) == ("ended", {})


def test_messages_of_other_topics_change_nothing() -> None:
    known = Runs()
    assert not known.apply(Heartbeat(**COMMON))
    assert len(known) == 0


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("ab"), st.floats(0, 1)), max_size=20))
def test_an_epochs_metrics_are_those_recorded_last(points: list[tuple[int, str, float]]) -> None:
    known = folded(start(), *(epoch(number, **{name: value}) for number, name, value in points))
    expected: dict[int, dict[str, float]] = {}
    for number, name, value in points:
        expected.setdefault(number, {})[name] = value
    assert known.get("r").epochs == expected
    assert list(known.get("r").epochs) == sorted(expected)


def test_the_examples_in_the_documentation_are_true() -> None:
    assert doctest.testmod(runs).failed == 0
