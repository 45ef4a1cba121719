"""Functions in the worker that see each event and each committed output."""

from __future__ import annotations

import logging
from importlib.metadata import EntryPoint

import pytest

from agents.monitor import subscribers as module
from agents.monitor.subscribers import EventLogger, Item, Subscribers, subscribe
from schemas.alerts import Alert
from schemas.metrics import Heartbeat, InferenceFailure
from streams.origin import Origin
from streams.records import Output
from streams.stage import Event
from tests.monitor.driving import CALM, MODEL, Driven, accuracies, at, heartbeat, metrics, score, small

ITEM = Event(metrics(), Origin("metrics", 0, 0), 0)


def on_entry(item: Item) -> None:
    """What the entry-point test loads."""


def test_each_subscriber_sees_each_item_in_order() -> None:
    registry, first, second = Subscribers(), list[Item](), list[Item]()
    registry.subscribe(first.append)
    registry.subscribe(second.append)
    other = Output("drift", MODEL, None)
    registry.publish([ITEM, other])
    assert first == second == [ITEM, other]


def test_one_that_is_cancelled_sees_no_more_and_others_go_on() -> None:
    registry, first, second = Subscribers(), list[Item](), list[Item]()
    subscription = registry.subscribe(first.append)
    registry.subscribe(second.append)
    registry.publish([ITEM])
    subscription.cancel()
    subscription.cancel()
    registry.publish([ITEM])
    assert (len(first), len(second), len(registry)) == (1, 2, 1)


def test_a_function_subscribed_twice_is_cancelled_once_at_a_time() -> None:
    registry, seen = Subscribers(), list[Item]()
    registry.subscribe(seen.append)
    registry.subscribe(seen.append).cancel()
    registry.publish([ITEM])
    assert seen == [ITEM]


def test_one_that_raises_is_logged_and_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    registry, seen = Subscribers(), list[Item]()

    def broken(item: Item) -> None:
        raise RuntimeError("out of paper")

    registry.subscribe(broken)
    registry.subscribe(seen.append)
    registry.publish([ITEM, ITEM])
    assert seen == [ITEM, ITEM]
    assert caplog.text.count("broken failed") == 2
    assert "out of paper" in caplog.text


def test_one_may_cancel_itself_while_items_go_out() -> None:
    registry, seen = Subscribers(), list[Item]()

    def once(item: Item) -> None:
        seen.append(item)
        subscription.cancel()

    subscription = registry.subscribe(once)
    registry.publish([ITEM, ITEM])
    assert seen == [ITEM]


def test_the_worker_publishes_to_what_was_registered_with_the_module() -> None:
    seen: list[Item] = []
    subscription = subscribe(seen.append)
    try:
        module.subscribers.publish([ITEM])
    finally:
        subscription.cancel()
    assert seen == [ITEM]
    assert len(module.subscribers) == 0


def test_entry_points_are_subscribed_and_one_that_cannot_be_loaded_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    entries = [
        EntryPoint("good", f"{__name__}:on_entry", "visutility.subscribers"),
        EntryPoint("missing", "no_such_module:on_item", "visutility.subscribers"),
        EntryPoint("no function", f"{__name__}:ITEM", "visutility.subscribers"),
    ]
    monkeypatch.setattr(module, "entry_points", lambda group: [entry for entry in entries if entry.group == group])
    registry = Subscribers()
    assert [subscription.subscriber.__name__ for subscription in registry.load_entry_points()] == ["on_entry"]
    assert "missing (no_such_module:on_item) cannot be loaded" in caplog.text
    assert "expected a function, got Event" in caplog.text


@pytest.mark.parametrize(
    ("message", "level", "text"),
    [
        (metrics(accuracy=0.9, recall=0.25), logging.INFO, "metrics fraud 1: accuracy 0.9, recall 0.25"),
        (score(0.7), logging.INFO, "validation_score fraud: 0.7"),
        (heartbeat(), logging.DEBUG, "heartbeat fraud"),
        (
            InferenceFailure(model_name=MODEL, timestamp=at(0), error="CUDA"),
            logging.ERROR,
            "inference_failure fraud: CUDA",
        ),
    ],
)
def test_each_event_is_logged_at_its_level(
    message: Heartbeat | InferenceFailure, level: int, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        EventLogger()(Event(message, Origin("metrics", 0, 0), 0))
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [(level, text)]


def test_drift_is_logged_as_a_warning_and_states_as_information(caplog: pytest.LogCaptureFixture) -> None:
    driven, registry = Driven(small()), Subscribers()
    driven.feed(*accuracies([*CALM, 0.5]))
    registry.subscribe(EventLogger())
    with caplog.at_level(logging.DEBUG):
        registry.publish(driven.outputs)
    logged = [(record.levelno, record.getMessage()) for record in caplog.records]
    assert logged == [
        (logging.INFO, "model_status fraud 1: warming"),
        (logging.INFO, "model_status fraud 1: ok"),
        (logging.WARNING, "drift_detected fraud 1: accuracy 0.5 worse (-3.008)"),
        (logging.INFO, "model_status fraud 1: drift"),
    ]


@pytest.mark.parametrize(("severity", "level"), [("info", 20), ("warning", 30), ("error", 40)])
def test_an_alert_is_logged_at_its_severity(severity: str, level: int, caplog: pytest.LogCaptureFixture) -> None:
    alert = Alert.model_validate(
        {
            "event_id": "a",
            "model_name": MODEL,
            "timestamp": at(0),
            "kind": "silence",
            "severity": severity,
            "state": "firing",
            "message": "quiet",
        }
    )
    with caplog.at_level(logging.DEBUG):
        EventLogger()(Output("alerts", MODEL, alert))
        EventLogger()(Output("models", MODEL, None))
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (level, "alert fraud: silence firing: quiet")
    ]
