"""What a person wants, as the records to publish: the order itself, and the audit record that tells of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from agents.dashboard.access import Identity
from agents.handling import Handling
from agents.orders import RETIRING, OrderInvalid, made, order, retrain_request, retried
from agents.registry import actions as registry
from agents.registry.actions import ActionRefused, By
from agents.registry.client import record_of
from agents.registry.view import RegistryView
from schemas.audit import ActionName, ActionTaken
from schemas.cloudevents import headers_of
from schemas.dead_letter import DeadLetter
from schemas.handling import LONGEST_ACKNOWLEDGEMENT, LONGEST_MUTE, Acknowledgement, Mute, acknowledgement_key
from schemas.ids import action_id
from schemas.message import Message
from schemas.topics import TOPICS
from streams.topic_log import ToSend

RETRIED: Final = frozenset({*TOPICS} - {"audit", "dead-letter"})
"""Topics to which a dead letter's record may be sent again, beside the stages' internal ones."""


@dataclass(frozen=True, slots=True)
class Muting:
    """What is to be muted, as patterns; for how long, and who answers for it."""

    model: str
    kind: str
    rule: str
    duration: timedelta
    owner: str


@dataclass(frozen=True, slots=True)
class Action:
    """What was decided: the records that do it, and the audit record, which is to be published with them."""

    records: Sequence[ToSend]
    taken: ActionTaken

    def all_records(self, prefix: str) -> list[ToSend]:
        """Everything to publish in one transaction."""
        return [_record(prefix, "audit", self.taken), *self.records]


class Actions:
    """Makes actions for topics of one prefix. Every method raises `OrderInvalid` for what no message may hold."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def retrain(self, model: str, version: str, by: By, who: Identity, request_id: str | None = None) -> Action:
        """Ask for a new version now, whatever cooldown and pauses say; the same `request_id` twice is one request."""
        request = retrain_request(model, version, by, request_id)
        return self._action("retrain", model, request.event_id, by, who, [("retrain", request)])

    def pause(self, model: str, by: By, who: Identity) -> Action:
        """Make no requests for a model until resumed."""
        return self._action("pause", model, "", by, who, [("retrain-internal", order("pause", model, by))])

    def resume(self, model: str, by: By, who: Identity) -> Action:
        """Make requests for a model again."""
        return self._action("resume", model, "", by, who, [("retrain-internal", order("resume", model, by))])

    def changed(
        self, action: ActionName, model: str, changes: Sequence[registry.Change], by: By, who: Identity
    ) -> Action:
        """Change the registry; the subject is the version that the first change is about."""
        version = changes[0].message.model_version if changes and changes[0].message else ""
        return self._action(action, model, version, by, who, changes=changes)

    def promote(self, view: RegistryView, model: str, version: str, by: By, who: Identity) -> Action:
        """Put a version in service. Raises `NotFound`, `ActionRefused`."""
        changes = registry.promote(view, model, version, by)
        return self._action("promote", model, version, by, who, changes=changes)

    def rollback(self, view: RegistryView, model: str, by: By, who: Identity) -> Action:
        """Put the version in service that was before. Raises `NotFound`, `ActionRefused`."""
        changes = registry.rollback(view, model, by)
        version = changes[0].message.model_version if changes[0].message else ""
        return self._action("rollback", model, version, by, who, changes=changes)

    def retire(self, view: RegistryView, model: str, by: By, who: Identity) -> Action:
        """Take a model out of service, and have the stages forget it."""
        told = order("retire", model, by)
        orders = [(f"{stage}-internal", told) for stage in RETIRING]
        return self._action("retire", model, "", by, who, orders, changes=registry.retire(view, model, by))

    def retry(self, letter: DeadLetter, by: By, who: Identity) -> Action:
        """Send a record in again, unchanged, to the topic it came from.

        Raises `ActionRefused` if it was not kept whole, or came from a topic that is none of this system's: what is on
        the dead-letter topic decides where it goes.
        """
        record = retried(letter)
        if record is None:
            raise ActionRefused("only the beginning of this record was kept: it cannot be sent in again")
        name = letter.topic.removeprefix(self._prefix)
        if not letter.topic.startswith(self._prefix) or (name not in RETRIED and not name.endswith("-internal")):
            raise ActionRefused(f"{letter.topic} is none of this system's topics: its records are not sent in again")
        taken = self._taken("retry_dead_letter", letter.model_name, letter.event_id, by, who)
        return Action([ToSend(letter.topic, *record)], taken)

    def mute(self, handling: Handling, wish: Muting, by: By, who: Identity) -> Action:
        """Tell nobody of certain alerts for a while; `by.note` is the reason. What has ended is cleared away."""
        if not timedelta(0) < wish.duration <= LONGEST_MUTE:
            raise OrderInvalid(f"duration: expected more than nothing and at most {LONGEST_MUTE.days} days")
        muted = made(
            Mute,
            event_id=action_id("mute", wish.model, f"{wish.kind} {wish.rule}", by.actor, by.time.isoformat()),
            model_name=wish.model,
            timestamp=by.time,
            kind=wish.kind,
            rule=wish.rule,
            until=by.time + wish.duration,
            owner=wish.owner,
            actor=by.actor,
            reason=by.note,
        )
        over = [self._handled(key, None) for key in handling.ended(by.time)]
        taken = self._taken("mute", wish.model, muted.event_id, by, who)
        return Action([self._handled(muted.event_id, muted), *over], taken)

    def unmute(self, handling: Handling, mute_id: str, by: By, who: Identity) -> Action:
        """End a mute now. Raises `ActionRefused` if it has ended, or is not known."""
        muted = handling.mute(mute_id, by.time)
        if muted is None:
            raise ActionRefused("there is no such mute, or it has ended")
        return Action([self._handled(mute_id, None)], self._taken("unmute", muted.model_name, mute_id, by, who))

    def acknowledge(self, open_alert: Message, kind: str, by: By, who: Identity) -> Action:
        """Say of an open alert that somebody knows of it."""
        model = open_alert.model_name
        known = made(
            Acknowledgement,
            event_id=action_id("acknowledge", model, kind, by.actor, by.time.isoformat()),
            model_name=model,
            model_version=open_alert.model_version,
            timestamp=by.time,
            kind=kind,
            alert_id=open_alert.event_id or "",
            until=by.time + LONGEST_ACKNOWLEDGEMENT,
            actor=by.actor,
            note=by.note,
        )
        record = self._handled(acknowledgement_key(model, kind), known)
        return Action([record], self._taken("acknowledge", model, kind, by, who))

    def _handled(self, key: str, message: Message | None) -> ToSend:
        topic = f"{self._prefix}alert-handling"
        if message is None:
            return ToSend(topic, key.encode(), None)
        return ToSend(topic, key.encode(), message.to_json(), list(headers_of(message)))

    def _action(
        self,
        action: ActionName,
        model: str,
        subject: str,
        by: By,
        who: Identity,
        messages: Sequence[tuple[str, Message]] = (),
        changes: Sequence[registry.Change] = (),
    ) -> Action:
        records = [_record(self._prefix, topic, message) for topic, message in messages]
        records += [record_of(change, f"{self._prefix}models") for change in changes]
        return Action(records, self._taken(action, model, subject, by, who))

    @staticmethod
    def _taken(action: ActionName, model: str, subject: str, by: By, who: Identity) -> ActionTaken:
        if who.access == "open":
            raise OrderInvalid("actor: nobody in particular cannot act")
        return made(
            ActionTaken,
            event_id=action_id(f"audit {action}", model, subject, by.actor, by.time.isoformat()),
            model_name=model,
            timestamp=by.time,
            action=action,
            subject=subject,
            actor=by.actor,
            access=who.access,
            note=by.note,
        )


def _record(prefix: str, topic: str, message: Message) -> ToSend:
    return ToSend(prefix + topic, message.model_name.encode() or None, message.to_json(), list(headers_of(message)))
