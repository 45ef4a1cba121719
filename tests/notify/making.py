"""Rules, and events to feed them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.notify.core import (
    Condition,
    Event,
    Key,
    Notice,
    NotifyState,
    Place,
    remember,
    step,
    take_unsaved,
    unsaved_places,
)
from agents.notify.saving import condition_bytes, key_bytes, saved
from agents.settings import NotifyRule, Settings
from schemas.alerts import Alert
from schemas.handling import Acknowledgement, Mute, acknowledgement_key

WEBHOOK = "http://127.0.0.1:1/services/T0/B0/secret"


def rule(**keys: Any) -> NotifyRule:
    """One as a settings file gives it; to Slack, at once, unless told otherwise."""
    table = {"name": "r", "to": "slack", "url": WEBHOOK, "group_wait": "0s"} | keys
    return Settings(notify=[table]).notify[0]


def alert(kind: str = "silence", state: str = "firing", model: str = "fraud-eu", **fields: Any) -> Alert:
    severity = "error" if state == "firing" else "info"
    found = {
        "event_id": f"{model} {kind} {state}", "model_name": model, "timestamp": "2026-01-01T00:00:00Z",
        "kind": kind, "severity": severity, "state": state, "message": f"{kind} is {state}",
    }  # fmt: skip
    return Alert.model_validate(found | fields)


def mute(until: float, model: str = "*", mute_id: str = "m", **fields: Any) -> Mute:
    """One that ends `until` seconds after 1970."""
    found = {
        "event_id": mute_id, "model_name": model, "timestamp": "2026-01-01T00:00:00Z", "until": until,
        "owner": "payments", "actor": "ada", "reason": "the data centre moves",
    }  # fmt: skip
    return Mute.model_validate(found | fields)


def acknowledgement(until: float, kind: str = "silence", model: str = "fraud-eu") -> Acknowledgement:
    found = {
        "event_id": f"{model} {kind}", "model_name": model, "timestamp": "2026-01-01T00:00:00Z", "until": until,
        "kind": kind, "actor": "ada", "note": "on it",
    }  # fmt: skip
    return Acknowledgement.model_validate(found)


class Driven:
    """The core with some rules. Each event has the next offset of one partition."""

    def __init__(self, *rules: NotifyRule) -> None:
        self.rules, self.state, self.offset = rules, NotifyState(), -1

    def notices(
        self,
        event: Alert | None,
        now: float,
        only: str | None = None,
        behind: str = "",
        place: Place | None = None,
        owned: bool = True,
    ) -> list[Notice]:
        """What is sent because of an alert (`behind` is the rule that led to it), or because it is `now`."""
        taken = []
        if event is not None:
            self.offset += 1
            came = Event(event, place or ("alerts", 0, self.offset), only, behind)
            taken = step(self.state, self.rules, came, now)[1]
        return taken + step(self.state, self.rules, None, now, lambda _: owned)[1]

    def told(self, event: Alert | None, now: float, **given: Any) -> list[list[tuple[str, str, str, int]]]:
        """The same: model, kind, state and how many before it, of each alert in each notice."""
        return [
            [(each.alert.model_name, each.alert.kind, each.alert.state, each.more) for each in notice.alerts]
            for notice in self.notices(event, now, **given)
        ]

    def mute(self, made: Mute) -> None:
        self.state.handling.apply(made.event_id, made)

    def acknowledge(self, made: Acknowledgement) -> None:
        self.state.handling.apply(acknowledgement_key(made.model_name, made.kind), made)

    def saved(self, *sending: Notice) -> dict[Key, Any]:
        """What is saved while some notices are being sent, as it would be read again."""
        taken = take_unsaved(self.state, [key for notice in sending for key in notice.keys])
        found = [saved(key_bytes(key), condition_bytes(each)) for key, each in taken.items()]
        return dict(each for each in found if each is not None)

    def places(self) -> list[Place]:
        return list(unsaved_places(self.state))

    def load(self, conditions: Mapping[Key, Condition | None], owned: bool = True) -> None:
        for key, condition in conditions.items():
            remember(self.state, key, condition, lambda _: owned)
