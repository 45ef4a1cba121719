"""What is sent: Slack's JSON for people, Alertmanager's for itself. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from agents.notify.core import Notice, Told
from agents.notify.kinds import severity_of

MOST_LINES: Final = 20
"""Lines of a message for people; of more alerts it says how many."""

_LONGEST: Final = 300
_SIGNS: Final = {"error": ":red_circle:", "warning": ":large_orange_circle:", "info": ":large_blue_circle:"}

Json = dict[str, Any]


def payload(notice: Notice, now: datetime) -> Json | list[Json]:
    """The body of the request, as its receiver wants it. `now` is in UTC."""
    return slack(notice) if notice.rule.to == "slack" else alertmanager(notice, now)


def slack(notice: Notice) -> Json:
    """Of Slack's incoming webhooks, which Mattermost, Rocket.Chat and others take as well: text with mrkdwn."""
    lines = [f"*{_escaped(notice.rule.team)}*"] if notice.rule.team else []
    lines += [_line(told) for told in notice.alerts[:MOST_LINES]]
    if (rest := len(notice.alerts) - MOST_LINES) > 0:
        lines.append(f"and {rest} more; `visutility dashboard` has all")
    return {"text": "\n".join(lines)}


def _line(told: Told) -> str:
    alert = told.alert
    sign = ":white_check_mark:" if alert.state == "resolved" else _SIGNS[alert.severity]
    end = " resolved" if alert.state == "resolved" else ""
    version = f" {alert.model_version}" if alert.model_version else ""
    more = f" (and {told.more} before it)" if told.more else ""
    text = alert.message if len(alert.message) <= _LONGEST else f"{alert.message[: _LONGEST - 1]}…"
    return f"{sign} *{_escaped(alert.model_name + version)}* {alert.kind}{end}: {_escaped(_one_line(text))}{more}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _escaped(text: str) -> str:
    """The three characters that Slack reads as markup of its own: without this a model's name could call @channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def alertmanager(notice: Notice, now: datetime) -> list[Json]:
    """Of Alertmanager's API v2. Of one condition's several alerts the newest counts, for its labels are the same."""
    newest = {(told.alert.model_name, told.alert.kind): told for told in notice.alerts}
    return [_alert(notice, told, now) for told in newest.values()]


def _alert(notice: Notice, told: Told, now: datetime) -> Json:
    """Labels are the condition's alone, so that the end has those of the beginning."""
    alert, rule = told.alert, notice.rule
    labels = {"alertname": f"visutility_{alert.kind}", "model": alert.model_name, "kind": alert.kind}
    labels |= {"severity": severity_of(alert.kind)} | ({"team": rule.team} if rule.team else {})
    over = alert.state == "resolved"
    return {
        "labels": labels,
        "annotations": {
            "summary": _one_line(alert.message)[:_LONGEST],
            "model_version": alert.model_version,
            "runbook": f"docs/runbook.md#{alert.kind}",
        },
        # A fleet's clock may be ahead; Alertmanager refuses what begins after its end.
        "startsAt": min(alert.timestamp, now).isoformat(),
        "endsAt": (now if over else now + rule.expires).isoformat(),
    }


def one_line(notice: Notice, body: Json | Sequence[Json]) -> str:
    """For the log of a dry run."""
    text = body["text"] if isinstance(body, dict) else "; ".join(f"{each['labels']}" for each in body)
    return _one_line(f"{notice.rule.to} (rule {notice.rule.name}): {text}")
