"""Functions in this process that see what goes by: each event of the monitor, and each output once it is committed.

    def on_item(item: Event | Output) -> None: ...

    subscription = subscribe(on_item)
    subscription.cancel()

Installed packages register theirs under the entry-point group `visutility.subscribers`. Subscribers run in the worker
and must be quick; one that raises is logged and holds up neither the others nor the stream.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from schemas.alerts import Alert
from schemas.drift import DriftDetected, ExternalDrift, ThresholdBreached
from schemas.message import Message
from schemas.metrics import (
    DataQualityIssue,
    Heartbeat,
    InferenceFailure,
    Metrics,
    Outcomes,
    SchemaDrift,
    ValidationScore,
)
from schemas.status import ModelStatus
from streams.records import Output
from streams.stage import Event

log = logging.getLogger(__name__)

ENTRY_POINTS: Final = "visutility.subscribers"

Item = Event | Output
Subscriber = Callable[[Item], object]


@dataclass(frozen=True, slots=True, eq=False)
class Subscription:
    """The handle of one registration: the same function may be subscribed twice."""

    subscriber: Subscriber
    registry: Subscribers

    def cancel(self) -> None:
        """No further item goes to the subscriber; cancelling twice is the same as once."""
        self.registry.remove(self)


class Subscribers:
    """Who is subscribed, in order of registration."""

    def __init__(self) -> None:
        self._subscriptions: tuple[Subscription, ...] = ()

    def __len__(self) -> int:
        return len(self._subscriptions)

    def subscribe(self, subscriber: Subscriber) -> Subscription:
        """Register a function for all items from now on."""
        subscription = Subscription(subscriber, self)
        # Replaced, never changed: a subscriber may subscribe or cancel while items go out.
        self._subscriptions = (*self._subscriptions, subscription)
        return subscription

    def remove(self, subscription: Subscription) -> None:
        """Deregister; unknown ones are ignored."""
        self._subscriptions = tuple(each for each in self._subscriptions if each is not subscription)

    def publish(self, items: Iterable[Item]) -> None:
        """Give each item to each subscriber. Never raises what a subscriber raises."""
        if not self._subscriptions:
            return
        for item in items:
            for subscription in self._subscriptions:
                try:
                    subscription.subscriber(item)
                except Exception:
                    log.exception("subscriber %s failed", name_of(subscription.subscriber))

    def load_entry_points(self) -> list[Subscription]:
        """Subscribe what installed packages offer; one that cannot be loaded is logged and left out."""
        loaded = (_load(entry) for entry in entry_points(group=ENTRY_POINTS))
        return [self.subscribe(subscriber) for subscriber in loaded if subscriber is not None]


def _load(entry: EntryPoint) -> Subscriber | None:
    try:
        subscriber = entry.load()
        if not callable(subscriber):
            raise TypeError(f"expected a function, got {type(subscriber).__name__}")
    except Exception:
        log.exception("subscriber %s (%s) cannot be loaded", entry.name, entry.value)
        return None
    found: Subscriber = subscriber
    return found


def name_of(subscriber: Subscriber) -> str:
    """How a subscriber is called in the log."""
    return str(getattr(subscriber, "__qualname__", None) or repr(subscriber))


subscribers = Subscribers()
"""Those of this process; the worker publishes to it."""


def subscribe(subscriber: Subscriber) -> Subscription:
    """Register a function with this process's worker."""
    return subscribers.subscribe(subscriber)


_LEVELS: Final[dict[type[Message], int]] = {
    Metrics: logging.INFO,
    Outcomes: logging.INFO,
    ValidationScore: logging.INFO,
    Heartbeat: logging.DEBUG,
    InferenceFailure: logging.ERROR,
    SchemaDrift: logging.WARNING,
    DataQualityIssue: logging.WARNING,
    ExternalDrift: logging.WARNING,
    DriftDetected: logging.WARNING,
    ThresholdBreached: logging.WARNING,
    ModelStatus: logging.INFO,
}
_ALERT_LEVELS: Final = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class EventLogger:
    """A subscriber that logs each item at its level: scores info, drift warning, failures error, heartbeats debug."""

    def __init__(self, logger: logging.Logger = log) -> None:
        self._log = logger

    def __call__(self, item: Item) -> None:
        """Log one item; an output that deletes a key says nothing."""
        message = item.message
        if message is None:
            return
        level = _ALERT_LEVELS[message.severity] if isinstance(message, Alert) else _LEVELS.get(type(message))
        if level is None or not self._log.isEnabledFor(level):
            return
        extra = {"model_name": message.model_name, "model_version": message.model_version, "event_type": message.type}
        self._log.log(level, "%s %s", message.type, described(message), extra=extra)


def described(message: Message) -> str:
    """What a message says, in a few words."""
    model = f"{message.model_name} {message.model_version}".strip()
    if isinstance(message, Metrics):
        return f"{model}: " + ", ".join(f"{metric} {value:.4g}" for metric, value in message.values().items())
    if isinstance(message, Outcomes):
        return f"{model}: {len(message.y_true)} outcomes"
    if isinstance(message, ValidationScore):
        return f"{model}: {message.score:.4g}"
    if isinstance(message, DriftDetected):
        return f"{model}: {message.metric} {message.value:.4g} {message.direction} ({message.statistic:.4g})"
    if isinstance(message, ThresholdBreached):
        return f"{model}: {message.metric} {message.value:.4g} below {message.threshold:.4g}"
    if isinstance(message, ExternalDrift):
        return f"{model}: p_value {message.p_value:.4g}"
    if isinstance(message, ModelStatus):
        return f"{model}: {message.state}"
    if isinstance(message, Alert):
        return f"{model}: {message.kind} {message.state}: {message.message}"
    detail = getattr(message, "error", None) or getattr(message, "detail", None)
    return f"{model}: {detail}" if detail else model
