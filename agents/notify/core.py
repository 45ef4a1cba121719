"""Which alerts are told, when, and together with which: `step(state, rules, event, now)`. Pure; `now` is the caller's.

What fires is told at once, then not again for the rule's cooldown; what comes meanwhile is held back, counted, and its
newest told when the cooldown is over. An end is told whenever the firing was (or may have been, before a restart), and
takes what is held back with it. What is to be told waits `group_wait` for others of its group.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from agents.notify.kinds import severity_of
from agents.settings import NotifyRule
from schemas.alerts import Alert

Place = tuple[str, int, int]
"""Where an alert's record is: topic, partition, offset."""

MOST_IN_GROUP: Final = 1_000
"""A group of so many alerts is told without waiting for more."""


@dataclass(frozen=True, slots=True)
class Event:
    """An alert as it came. `only`, of one that is sent again, names the one rule that is to send it, whatever else."""

    alert: Alert
    place: Place
    only: str | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """An alert to tell, with how many of its kind and model were held back before it."""

    alert: Alert
    place: Place
    more: int = 0


@dataclass(frozen=True, slots=True)
class Notice:
    """What one rule sends in one message."""

    rule: NotifyRule
    alerts: tuple[Told, ...]


@dataclass(slots=True)
class Condition:
    """One kind of one model, as one rule has told it. Times are seconds, `held` what waits for the cooldown's end."""

    state: str
    quiet_until: float
    kept_until: float
    held: Event | None = None
    more: int = 0


@dataclass(slots=True)
class Group:
    """What waits to be told together."""

    rule: NotifyRule
    due: float
    alerts: list[Told] = field(default_factory=list)


@dataclass(slots=True)
class NotifyState:
    """Conditions by rule, model and kind; groups by rule and model (or "" for all of a team's)."""

    conditions: dict[tuple[str, str, str], Condition] = field(default_factory=dict)
    groups: dict[tuple[str, str], Group] = field(default_factory=dict)


def step(
    state: NotifyState, rules: Sequence[NotifyRule], event: Event | None, now: float
) -> tuple[NotifyState, list[Notice]]:
    """Take an event, or with None let time pass; returns the state (changed in place) and what is to be sent now.

    `now` is in seconds, of a clock that does not go backwards.
    """
    for rule in rules:
        if event is None:
            _end_cooldowns(state, rule, now)
        elif _concerns(rule, event):
            _take(state, rule, event, now)
    return state, list(_due(state, now))


def forget(state: NotifyState, notice: Notice) -> None:
    """What could not be sent was not told: the next of its kind is told at once."""
    for told in notice.alerts:
        state.conditions.pop((notice.rule.name, told.alert.model_name, told.alert.kind), None)


def unsent(state: NotifyState) -> Iterator[Place]:
    """The records that must be read again if the process ends now: what waits in groups, and news held back."""
    for group in state.groups.values():
        yield from (told.place for told in group.alerts)
    for condition in state.conditions.values():
        if condition.held is not None and condition.state == "resolved":
            yield condition.held.place


def _concerns(rule: NotifyRule, event: Event) -> bool:
    alert = event.alert
    if event.only is not None:
        return event.only == rule.name
    severity = severity_of(alert.kind) if alert.state == "resolved" else alert.severity
    return rule.matches(alert.model_name) and rule.wants(alert.kind) and rule.heeds(severity)


def _take(state: NotifyState, rule: NotifyRule, event: Event, now: float) -> None:
    key = (rule.name, event.alert.model_name, event.alert.kind)
    known = state.conditions.get(key)
    if event.only is not None:
        _tell(state, rule, Told(event.alert, event.place), now)
    elif event.alert.state == "resolved":
        _resolve(state, rule, event, known, now)
    elif known is not None and now < known.quiet_until:
        known.held, known.more = event, known.more + 1
    else:
        _fire(state, rule, event, 0 if known is None else known.more, now)


def _fire(state: NotifyState, rule: NotifyRule, event: Event, more: int, now: float) -> None:
    key = (rule.name, event.alert.model_name, event.alert.kind)
    state.conditions[key] = _condition(rule, "firing", now)
    _tell(state, rule, Told(event.alert, event.place, more), now)


def _resolve(state: NotifyState, rule: NotifyRule, event: Event, known: Condition | None, now: float) -> None:
    """An end without a known beginning is told too: a former process may have told that."""
    key = (rule.name, event.alert.model_name, event.alert.kind)
    if known is None:
        state.conditions[key] = known = _condition(rule, "firing", now)
        known.quiet_until = now
    known.held = None
    if known.state == "firing":
        known.state = "resolved"
        if rule.resolved:
            _tell(state, rule, Told(event.alert, event.place), now)


def _condition(rule: NotifyRule, told: str, now: float) -> Condition:
    quiet = now + rule.cooldown.total_seconds()
    return Condition(told, quiet, max(quiet, now + rule.expires.total_seconds()))


def _end_cooldowns(state: NotifyState, rule: NotifyRule, now: float) -> None:
    """Tell what was held back until now, and forget what nothing was heard of for long."""
    own = [(key, each) for key, each in state.conditions.items() if key[0] == rule.name]
    for key, condition in own:
        if condition.held is not None and now >= condition.quiet_until:
            _fire(state, rule, condition.held, condition.more - 1, now)
        elif now >= condition.kept_until and condition.held is None:
            del state.conditions[key]


def _tell(state: NotifyState, rule: NotifyRule, told: Told, now: float) -> None:
    model = told.alert.model_name if rule.group_by == "model" else ""
    due = now + rule.group_wait.total_seconds()
    state.groups.setdefault((rule.name, model), Group(rule, due)).alerts.append(told)


def _due(state: NotifyState, now: float) -> Iterator[Notice]:
    for key, group in list(state.groups.items()):
        if now >= group.due or len(group.alerts) >= MOST_IN_GROUP:
            del state.groups[key]
            yield Notice(group.rule, tuple(group.alerts))
