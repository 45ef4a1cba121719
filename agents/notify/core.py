"""Which alerts are told, when, and together with which: `step(state, rules, event, now)`. Pure; `now` is the caller's.

What fires is told at once, then not again for the rule's cooldown; what comes meanwhile is held back, counted, and its
newest told when the cooldown is over. An end is told whenever the firing was (or may have been, before this was kept),
and takes what is held back with it. What is to be told waits `group_wait` for others of its group.

What is muted is held back whatever it is, an end too: when the mute is over, what is still open is told once, and so is
the end of what had been told before. What is acknowledged is held back until it resolves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from agents.handling import Handling
from agents.notify.kinds import ENDING, severity_of
from agents.settings import NotifyRule
from schemas.alerts import Alert
from schemas.handling import acknowledgement_key

Place = tuple[str, int, int]
"""Where an alert's record is: topic, partition, offset."""

Key = tuple[str, str, str]
"""A condition's: the rule's name, the model, the kind."""

MOST_IN_GROUP: Final = 1_000
"""A group of so many alerts is told without waiting for more."""

ABANDONED: Final = 86_400.0
"""Seconds after which anybody may forget what its owner should have: the rule or the worker may be gone."""


@dataclass(frozen=True, slots=True)
class Event:
    """An alert as it came; `rule` is that behind a finding.

    `only`, of one that is sent again, names the one notify rule that is to send it, whatever else.
    """

    alert: Alert
    place: Place
    only: str | None = None
    rule: str = ""


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

    @property
    def keys(self) -> Iterator[Key]:
        """The conditions that it tells of."""
        return ((self.rule.name, told.alert.model_name, told.alert.kind) for told in self.alerts)


@dataclass(slots=True)
class Condition:
    """One kind of one model, as one rule has told it. Times are seconds.

    `state` is what was told last, `last` the newest event, `held` what waits to be told. `revision` grows with each
    change, so that of two copies the newer is known.
    """

    state: str
    quiet_until: float
    kept_until: float
    last: Event
    held: Event | None = None
    more: int = 0
    muted: bool = False
    revision: int = 0


@dataclass(slots=True)
class Group:
    """What waits to be told together."""

    rule: NotifyRule
    due: float
    alerts: list[Told] = field(default_factory=list)


@dataclass(slots=True)
class NotifyState:
    """Conditions; groups by rule and model (or "" for all of a team's); what people said of alerts.

    `unsaved` are the conditions that changed since they were saved, each with the first records that must be read again
    if the change is lost. `resolved` are keys of acknowledgements whose alerts have ended.
    """

    conditions: dict[Key, Condition] = field(default_factory=dict)
    groups: dict[tuple[str, str], Group] = field(default_factory=dict)
    handling: Handling = field(default_factory=Handling)
    unsaved: dict[Key, dict[tuple[str, int], int]] = field(default_factory=dict)
    resolved: set[str] = field(default_factory=set)


def step(
    state: NotifyState,
    rules: Sequence[NotifyRule],
    event: Event | None,
    now: float,
    owned: Callable[[Place], bool] = lambda _: True,
) -> tuple[NotifyState, list[Notice]]:
    """Take an event, or with None let time pass; returns the state (changed in place) and what is to be sent now.

    `now` is in seconds since 1970 and does not go backwards. Time passes for what is at a place that is `owned`, for
    the conditions of other workers are known too.
    """
    for rule in rules:
        if event is None:
            _pass_time(state, rule, now, owned)
        elif _concerns(rule, event):
            _take(state, rule, event, now)
    if event is not None and event.only is None and event.alert.state == "resolved":
        _end_acknowledgement(state, event.alert, now)
    return state, list(_due(state, now))


def forget(state: NotifyState, notice: Notice) -> None:
    """What could not be sent was not told: the next of its kind is told at once."""
    for key in notice.keys:
        state.conditions.pop(key, None)
        state.unsaved.setdefault(key, {})


def remember(state: NotifyState, key: Key, saved: Condition | None, owned: Callable[[Place], bool]) -> None:
    """Take a condition as some worker saved it, perhaps this one; None says that it was forgotten."""
    known = state.conditions.get(key)
    if saved is None:
        if known is not None and not owned(known.last.place):
            del state.conditions[key]
    elif known is None or known.revision < saved.revision:
        state.conditions[key] = saved
        state.unsaved.pop(key, None)


def take_unsaved(state: NotifyState, busy: Iterable[Key]) -> dict[Key, Condition | None]:
    """The conditions to save now, None for one that is forgotten; they count as saved from here on.

    Not those that are `busy` or in a group: what is not sent yet was not told, and saved as told it would be held back
    after a crash.
    """
    waiting = {*busy, *(key for group in state.groups.values() for key in Notice(group.rule, tuple(group.alerts)).keys)}
    taken = [key for key in state.unsaved if key not in waiting]
    for key in taken:
        del state.unsaved[key]
    return {key: state.conditions.get(key) for key in taken}


def unsaved_places(state: NotifyState) -> Iterator[Place]:
    """The records that must be read again if the process ends now."""
    return ((*place, offset) for places in state.unsaved.values() for place, offset in places.items())


def _concerns(rule: NotifyRule, event: Event) -> bool:
    alert = event.alert
    if event.only is not None:
        return event.only == rule.name
    severity = severity_of(alert.kind) if alert.state == "resolved" else alert.severity
    return rule.matches(alert.model_name) and rule.wants(alert.kind) and rule.heeds(severity)


def _take(state: NotifyState, rule: NotifyRule, event: Event, now: float) -> None:
    key = (rule.name, event.alert.model_name, event.alert.kind)
    state.unsaved.setdefault(key, {}).setdefault(event.place[:2], event.place[2])
    if event.only is not None:
        _tell(state, rule, Told(event.alert, event.place), now)
        return
    known = state.conditions.get(key)
    if known is None:
        # The beginning of an end may have been told before conditions were kept; nothing else has been told.
        told = "firing" if event.alert.state == "resolved" else "resolved"
        known = state.conditions[key] = _condition(rule, told, event, now)
    known.last, known.revision = event, known.revision + 1
    if _is_muted(state, event, now):
        _hold(known, event)
        known.muted = True
    elif event.alert.state == "resolved":
        _resolve(state, rule, known, now)
    elif now < known.quiet_until or _is_acknowledged(state, event, now):
        _hold(known, event)
    else:
        _fire(state, rule, known, event, known.more, now)


def _condition(rule: NotifyRule, told: str, event: Event, now: float) -> Condition:
    # Revisions begin with the time, so that one that was forgotten and comes again is newer than it was.
    return Condition(told, now, now + rule.expires.total_seconds(), event, revision=int(now * 1000))


def _hold(known: Condition, event: Event) -> None:
    known.held = event
    known.more += event.alert.state == "firing"


def _fire(state: NotifyState, rule: NotifyRule, known: Condition, event: Event, more: int, now: float) -> None:
    known.state, known.held, known.more = "firing", None, 0
    known.quiet_until = now + rule.cooldown.total_seconds()
    known.kept_until = max(known.quiet_until, now + rule.expires.total_seconds())
    _tell(state, rule, Told(event.alert, event.place, more), now)


def _resolve(state: NotifyState, rule: NotifyRule, known: Condition, now: float) -> None:
    known.held = None
    if known.state == "firing":
        known.state = "resolved"
        if rule.resolved:
            _tell(state, rule, Told(known.last.alert, known.last.place), now)


def _pass_time(state: NotifyState, rule: NotifyRule, now: float, owned: Callable[[Place], bool]) -> None:
    """Tell what was held back until now, and forget what nothing was heard of for long."""
    for key, known in [(key, each) for key, each in state.conditions.items() if key[0] == rule.name]:
        if not owned(known.last.place):
            if now >= known.kept_until + ABANDONED and known.held is None:
                _drop(state, key)
        elif not _is_kept_quiet(state, key, known, now):
            if known.held is not None and now >= known.quiet_until:
                _change(state, key, known)
                _tell_held(state, rule, known, known.held, now)
            elif now >= known.kept_until and known.held is None:
                _drop(state, key)


def _is_kept_quiet(state: NotifyState, key: Key, known: Condition, now: float) -> bool:
    """Whether people wanted not to be told of a condition now. At the end of a mute its cooldown is over as well."""
    event = known.held or known.last
    if _is_muted(state, event, now):
        if not known.muted:
            _change(state, key, known)
            known.muted = True
            # What was told before and goes on is told once more when the mute is over.
            if known.held is None and known.state == "firing" and event.alert.kind in ENDING:
                _hold(known, event)
        return True
    if known.muted:
        _change(state, key, known)
        known.muted, known.quiet_until = False, min(known.quiet_until, now)
    return known.held is not None and known.held.alert.state == "firing" and _is_acknowledged(state, event, now)


def _tell_held(state: NotifyState, rule: NotifyRule, known: Condition, held: Event, now: float) -> None:
    if held.alert.state == "firing":
        _fire(state, rule, known, held, known.more - 1, now)
    else:
        _resolve(state, rule, known, now)


def _change(state: NotifyState, key: Key, known: Condition) -> None:
    known.revision += 1
    state.unsaved.setdefault(key, {})


def _drop(state: NotifyState, key: Key) -> None:
    del state.conditions[key]
    state.unsaved.setdefault(key, {})


def _is_muted(state: NotifyState, event: Event, now: float) -> bool:
    model, kind = event.alert.model_name, event.alert.kind
    return bool(state.handling) and state.handling.mute_of(model, kind, event.rule, _moment(now)) is not None


def _is_acknowledged(state: NotifyState, event: Event, now: float) -> bool:
    model, kind = event.alert.model_name, event.alert.kind
    return bool(state.handling) and state.handling.acknowledgement_of(model, kind, _moment(now)) is not None


def _end_acknowledgement(state: NotifyState, alert: Alert, now: float) -> None:
    if state.handling.acknowledgement_of(alert.model_name, alert.kind, _moment(now)) is not None:
        key = acknowledgement_key(alert.model_name, alert.kind)
        state.handling.apply(key, None)
        state.resolved.add(key)


def _moment(now: float) -> datetime:
    return datetime.fromtimestamp(now, UTC)


def _tell(state: NotifyState, rule: NotifyRule, told: Told, now: float) -> None:
    model = told.alert.model_name if rule.group_by == "model" else ""
    due = now + rule.group_wait.total_seconds()
    state.groups.setdefault((rule.name, model), Group(rule, due)).alerts.append(told)


def _due(state: NotifyState, now: float) -> Iterator[Notice]:
    for key, group in list(state.groups.items()):
        if now >= group.due or len(group.alerts) >= MOST_IN_GROUP:
            del state.groups[key]
            yield Notice(group.rule, tuple(group.alerts))
