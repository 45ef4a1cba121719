"""Rules, and events to feed them."""

from __future__ import annotations

from typing import Any

from agents.notify.core import Event, Notice, NotifyState, step
from agents.settings import NotifyRule, Settings
from schemas.alerts import Alert

WEBHOOK = "http://127.0.0.1:1/services/T0/B0/secret"


def rule(**keys: Any) -> NotifyRule:
    """One as a settings file gives it; to Slack, at once, unless told otherwise."""
    table = {"to": "slack", "url": WEBHOOK, "group_wait": "0s"} | keys
    return Settings(notify=[table]).notify[0]


def alert(kind: str = "silence", state: str = "firing", model: str = "fraud-eu", **fields: Any) -> Alert:
    severity = "error" if state == "firing" else "info"
    found = {
        "event_id": f"{model} {kind} {state}", "model_name": model, "timestamp": "2026-01-01T00:00:00Z",
        "kind": kind, "severity": severity, "state": state, "message": f"{kind} is {state}",
    }  # fmt: skip
    return Alert.model_validate(found | fields)


class Driven:
    """The core with some rules. Each event has the next offset of one partition."""

    def __init__(self, *rules: NotifyRule) -> None:
        self.rules, self.state, self.offset = rules, NotifyState(), -1

    def notices(self, event: Alert | None, now: float, only: str | None = None) -> list[Notice]:
        """What is sent because of an alert, or because it is `now`."""
        taken = []
        if event is not None:
            self.offset += 1
            taken = step(self.state, self.rules, Event(event, ("alerts", 0, self.offset), only), now)[1]
        return taken + step(self.state, self.rules, None, now)[1]

    def told(self, event: Alert | None, now: float, only: str | None = None) -> list[list[tuple[str, str, str, int]]]:
        """The same: model, kind, state and how many before it, of each alert in each notice."""
        return [
            [(each.alert.model_name, each.alert.kind, each.alert.state, each.more) for each in notice.alerts]
            for notice in self.notices(event, now, only)
        ]
