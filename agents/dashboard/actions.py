"""What a person wants, as the records to publish: the order itself, and the audit record that tells of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agents.dashboard.access import Identity
from agents.orders import RETIRING, OrderInvalid, made, order, retrain_request, retried
from agents.registry import actions as registry
from agents.registry.actions import ActionRefused, By
from agents.registry.client import record_of
from agents.registry.view import RegistryView
from schemas.audit import ActionName, ActionTaken
from schemas.cloudevents import headers_of
from schemas.dead_letter import DeadLetter
from schemas.ids import action_id
from schemas.message import Message
from schemas.topics import TOPICS
from streams.topic_log import ToSend

RETRIED: Final = frozenset({*TOPICS} - {"audit", "dead-letter"})
"""Topics to which a dead letter's record may be sent again, beside the stages' internal ones."""


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

    def retrain(self, model: str, version: str, by: By, who: Identity) -> Action:
        """Ask for a new version now, whatever cooldown and pauses say."""
        request = retrain_request(model, version, by)
        return self._action("retrain", model, request.event_id, by, who, [("retrain", request)])

    def pause(self, model: str, by: By, who: Identity) -> Action:
        """Make no requests for a model until resumed."""
        return self._action("pause", model, "", by, who, [("retrain-internal", order("pause", model, by))])

    def resume(self, model: str, by: By, who: Identity) -> Action:
        """Make requests for a model again."""
        return self._action("resume", model, "", by, who, [("retrain-internal", order("resume", model, by))])

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
