"""Monitor and retrain policy one after the other, as they are on the topics."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pytest

from agents.monitor.stage import MonitorStage
from agents.retrain.stage import RetrainStage
from agents.settings import Settings
from schemas.drift import DriftDetected
from schemas.message import Message
from schemas.metrics import Metrics, ValidationScore
from schemas.retrain import RetrainRequest
from streams.origin import Origin
from streams.parts import MemoryTable, Parts
from streams.stage import Event
from tests.retrain.findings import START, of_type


def requests_for(settings: Settings, messages: Sequence[Message], batch: int = 64) -> list[RetrainRequest]:
    """What comes out on `retrain` for one model's messages on `metrics`."""
    monitor, policy, outputs = MonitorStage(settings), RetrainStage(settings), []
    watched, decided = monitor.new_state("fraud", Parts(MemoryTable())), policy.new_state("fraud")
    for begin in range(0, len(messages), batch):
        events = [
            Event(message, Origin("metrics", 0, begin + offset), 0)
            for offset, message in enumerate(messages[begin : begin + batch])
        ]
        watched, found = monitor.step(watched, events)
        findings = [output.message for output in found if output.topic == "drift" and output.message]
        passed_on = [
            Event(policy.decode(message.to_json(), ()), Origin("drift", 0, number), 0)
            for number, message in enumerate(findings)
        ]
        decided, released = policy.step(decided, passed_on)
        outputs += released
    return of_type(RetrainRequest, outputs)


def falling_accuracy(seed: int) -> list[Metrics]:
    """600 values around 0.93, then 50 at 0.65, one every 2 seconds: 22 minutes in all."""
    values = np.concatenate([np.random.default_rng(seed).normal(0.93, 0.01, 600).clip(0, 1), np.full(50, 0.65)])
    return [
        Metrics(
            event_id=f"record {number}",
            model_name="fraud",
            model_version="1",
            timestamp=START + timedelta(seconds=2 * number),
            accuracy=float(value),
        )
        for number, value in enumerate(values)
    ]


def is_quiet_before_the_fall(seed: int) -> bool:
    """Whether no value before the fall has |z| > 3, told by numpy from the values alone."""
    values = np.array([message.accuracy for message in falling_accuracy(seed)[:600]])
    windows = [values[max(0, end - 500) : end] for end in range(50, 601)]
    return all(abs(window[-1] - window.mean()) <= 3 * window.std(ddof=1) for window in windows)


@pytest.fixture(scope="module")
def quiet_seed() -> int:
    return next(seed for seed in range(1_000) if is_quiet_before_the_fall(seed))


@pytest.mark.parametrize("batch", [1, 7, 650])
def test_a_fall_of_accuracy_gives_one_request_whose_first_cause_is_the_first_bad_value(
    quiet_seed: int, batch: int
) -> None:
    (request,) = requests_for(Settings(), falling_accuracy(quiet_seed), batch)
    assert request.cause_ids[0] == "record 600"
    assert request.value == 0.65
    assert request.timestamp == START + timedelta(seconds=1_200)


def test_the_request_is_the_same_in_batches_of_any_size(quiet_seed: int) -> None:
    messages = falling_accuracy(quiet_seed)
    assert requests_for(Settings(), messages, 1) == requests_for(Settings(), messages, 650)


def test_the_second_cause_is_the_finding_itself(quiet_seed: int) -> None:
    messages = falling_accuracy(quiet_seed)
    stage = MonitorStage(Settings())
    events = [Event(message, Origin("metrics", 0, number), 0) for number, message in enumerate(messages)]
    _, outputs = stage.step(stage.new_state("fraud", Parts(MemoryTable())), events)
    first = of_type(DriftDetected, outputs)[0]
    assert requests_for(Settings(), messages)[0].cause_ids == ["record 600", first.event_id]


def test_a_validation_score_below_the_minimum_gives_one_request() -> None:
    settings = Settings(retrain=[{"min": {"validation_score": 0.8}}])
    message = ValidationScore(model_name="fraud", timestamp=START, score=0.7)
    (request,) = requests_for(settings, [message])
    assert (request.metric, request.value, request.threshold) == ("score", 0.7, 0.8)


def test_precision_and_recall_too_low_together_give_a_request_however_they_are_configured() -> None:
    message = Metrics(model_name="fraud", timestamp=START, precision=0.8, recall=0.6)
    for as_drift in (False, True):
        rule = {"min_average_precision_recall": 0.75, "average_precision_recall_is_drift": as_drift}
        (request,) = requests_for(Settings(retrain=[rule]), [message])
        assert (request.metric, request.value) == ("average_precision_recall", 0.7)
