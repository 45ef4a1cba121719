"""Outputs and state are the same however the inputs are split into steps."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.settings import Settings
from schemas.drift import DriftDetected, ExternalDrift
from schemas.internal import OperatorAction
from schemas.message import Message
from schemas.metrics import InferenceFailure, Label, Metrics, Outcomes, Prediction
from streams.stage import Input, Tick
from tests.monitor.driving import MODEL, Driven, accuracies, at, heartbeat, of_type, score

SETTINGS = Settings(
    monitor=[
        {"window": {"size": 8, "min_samples": 3}, "detector": {"threshold": 1.5}},
        {"metric": "error", "window": {"size": 6, "min_samples": 3}, "detector": {"threshold": 1.5}},
        {"metric": "recall", "window": {"size": 5, "min_samples": 2}, "detector": {"threshold": 1.2}},
        {"segment_by": "region", "window": {"size": 5, "min_samples": 2}, "detector": {"threshold": 1.1}},
        {
            "metric": "precision",
            "window": {"duration": "20s", "advance": "5s", "grace": "10s", "min_samples": 2},
            "detector": {"threshold": 1.0},
        },
        {
            "metric": "precision",
            "segment_by": "region",
            "window": {"duration": "20s", "advance": "10s", "grace": "5s", "min_samples": 2},
            "detector": {"threshold": 0.7},
        },
        {"segment_by": "region", "metric": "error", "detector": {"name": "ddm", "warm_start": 3}},
        {"metric": "rmse", "window": {"size": 5, "min_samples": 2}, "detector": {"threshold": 1.2}},
    ],
    retrain=[{"min": {"accuracy": 0.5, "score": 0.5}, "min_average_precision_recall": 0.6}],
    heartbeat_timeout="10s",
    label_horizon="15s",
    label_limit=7,
    segment_limit=2,
    version_retention="20s",
)

VALUES = st.sampled_from([0.9, 0.91, 0.92, 0.5, 0.1, 1.0])
VERSIONS = st.sampled_from(["1", "1", "1", "1", "", "2", "3", "4"])
OPTIONAL = st.none() | VALUES
IDS = st.sampled_from([f"p{number}" for number in range(12)])


@st.composite
def messages(draw: st.DrawFn) -> Message:
    version, second = draw(VERSIONS), draw(st.integers(0, 100))
    kinds = ["metrics"] * 6 + ["outcomes", "score", "heartbeat", "failure", "external", "reset"]
    kind = draw(st.sampled_from(kinds + ["prediction", "label"] * 2))
    common: dict[str, Any] = {"model_name": MODEL, "model_version": version, "timestamp": at(second)}
    common["labels"] = draw(st.sampled_from([{}, {}, {"region": "eu"}, {"region": "us"}, {"region": "in"}]))
    if kind == "metrics":
        accuracy, precision, recall = draw(VALUES), draw(OPTIONAL), draw(OPTIONAL)
        return Metrics(**common, accuracy=accuracy, precision=precision, recall=recall)
    if kind == "outcomes":
        predicted: list[bool | int | float | str] = draw(st.lists(st.integers(0, 1), min_size=1, max_size=12))
        return Outcomes(**common, y_true=[1] * len(predicted), y_pred=predicted)
    if kind == "prediction":
        return Prediction(**common, prediction_id=draw(IDS), y_pred=draw(st.integers(0, 3)))
    if kind == "label":
        return Label(**common, prediction_id=draw(IDS), y_true=draw(st.integers(0, 3)))
    if kind == "score":
        return score(draw(VALUES), second)
    if kind == "heartbeat":
        return heartbeat(second)
    if kind == "failure":
        return InferenceFailure(**common, error="x")
    if kind == "external":
        return ExternalDrift(**common, p_value=0.01)
    return OperatorAction(**common, action="reset", actor="ann")


def retire(second: int) -> OperatorAction:
    return OperatorAction(model_name=MODEL, timestamp=at(second), action="retire", actor="ann", note="replaced")


def inputs_of(driven: Driven, items: list[Message | int]) -> list[Input]:
    """Messages as events; numbers as ticks, so many milliseconds after what came before."""
    inputs: list[Input] = []
    for item in items:
        if isinstance(item, int):
            driven.clock += item
            inputs.append(Tick(driven.clock))
        else:
            inputs.append(driven.event(item))
    return inputs


def assert_split_makes_no_difference(items: list[Message | int], cuts: list[int], asked: Settings = SETTINGS) -> Driven:
    """Feeds all inputs in one step and again in pieces that end at `cuts`; returns the first."""
    whole, pieces = Driven(asked), Driven(asked)
    inputs = inputs_of(whole, items)
    whole.step(inputs)
    edges = [0, *sorted(min(cut, len(inputs)) for cut in cuts), len(inputs)]
    for begin, end in pairwise(edges):
        pieces.step(inputs[begin:end])
    assert pieces.outputs == whole.outputs
    assert pieces.data == whole.data
    assert pieces.table == whole.table
    if not any(isinstance(item, OperatorAction) and item.action == "retire" for item in items):
        ids = [output.message.event_id for output in whole.outputs if output.message]
        assert len(set(ids)) == len(ids)
    return whole


@given(
    items=st.lists(messages() | st.sampled_from([3_000, 12_000]), max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=10),
)
@settings(max_examples=200, deadline=None)
def test_any_split_of_the_inputs_into_steps_gives_equal_outputs_and_equal_state(
    items: list[Message | int], cuts: list[int]
) -> None:
    assert_split_makes_no_difference(items, cuts)


@given(
    items=st.lists(messages() | st.sampled_from([3_000, 12_000]), max_size=40),
    at_items=st.lists(st.integers(0, 40), min_size=1, max_size=4),
    cuts=st.lists(st.integers(0, 44), max_size=8),
)
@settings(max_examples=200, deadline=None)
def test_retirement_too_does_not_depend_on_how_the_inputs_were_split(
    items: list[Message | int], at_items: list[int], cuts: list[int]
) -> None:
    for place in at_items:
        items.insert(place, retire(place))
    whole = assert_split_makes_no_difference(items, cuts)
    last = max(
        index for index, item in enumerate(items) if isinstance(item, OperatorAction) and item.action == "retire"
    )
    anew = Driven(SETTINGS)
    anew.clock = sum(item for item in items[: last + 1] if isinstance(item, int))
    anew.step(inputs_of(anew, items[last + 1 :]))
    assert (whole.data is None) == (anew.data is None)
    if whole.data is not None and anew.data is not None:
        assert whole.state.counts == anew.state.counts
        assert whole.states()[len(whole.states()) - len(anew.states()) :] == anew.states()


def long_history(rng: np.random.Generator, length: int) -> list[Message | int]:
    """Versions that follow one another, each good at first and then bad, with stragglers of the former ones."""
    items: list[Message | int] = []
    for second in range(length):
        current, chance = second // 60, rng.random()
        common: dict[str, Any] = {"model_name": MODEL, "timestamp": at(second)}
        common["model_version"] = str(max(0, current - (chance < 0.1)))
        level = 0.5 if 20 <= second % 60 < 35 else 0.9
        if chance > 0.95:
            items.append(int(rng.choice([3_000, 12_000])))
        elif chance > 0.9:
            items.append(heartbeat(second))
        elif chance > 0.8:
            wrong = rng.random(8) > level
            items.append(Outcomes(**common, y_true=[1] * 8, y_pred=[int(not each) for each in wrong]))
        else:
            accuracy, recall = (float(value) for value in rng.normal(level, 0.02, 2).clip(0, 1))
            items.append(Metrics(**common, accuracy=accuracy, precision=accuracy, recall=recall))
    return items


def test_long_histories_with_every_kind_of_change_may_be_split_anywhere() -> None:
    happened: set[str] = set()
    for seed in range(25):
        rng = np.random.default_rng(seed)
        whole = assert_split_makes_no_difference(long_history(rng, 400), rng.integers(0, 400, 40).tolist())
        happened |= {*whole.states(), *(output.message.type for output in whole.outputs if output.message)}
        assert whole.state.retired > 0
    assert happened >= {
        "warming",
        "ok",
        "drift",
        "recovered",
        "silent",
        "drift_detected",
        "threshold_breached",
        "alert",
    }


def test_drift_of_a_long_series_is_that_of_numpy_from_the_values_alone() -> None:
    rng = np.random.default_rng(11)
    values = np.concatenate([rng.normal(0.9, 0.01, 1_300), rng.normal(0.85, 0.02, 700)]).clip(0, 1)
    driven = Driven()
    for part in np.array_split(values, 7):
        driven.feed(*accuracies(part))
    expected = []
    for end in range(50, len(values) + 1):
        window = values[max(0, end - 500) : end]
        z = (window[-1] - window.mean()) / window.std(ddof=1)
        if abs(z) > 3:
            expected.append((end - 1, z))
    drifts = of_type(DriftDetected, driven.outputs)
    assert [drift.cause.offset for drift in drifts] == [index for index, _ in expected]
    assert np.allclose([drift.statistic for drift in drifts], [z for _, z in expected], rtol=1e-9)
    assert len(expected) > 10
