"""Identifiers made from what they identify, so that a replay gives the same ones.

All are version 5 UUIDs (RFC 4122, section 4.3) of the parts written as a JSON list: no choice of names makes two
different lists equal.
"""

from __future__ import annotations

import json
from uuid import UUID, uuid5

# Never change it: all identifiers ever published come from it.
NAMESPACE = UUID("8a9f6c1e-3d52-5b7e-9c40-71d2a6e0f4b3")


def _id(*parts: str | int) -> str:
    return str(uuid5(NAMESPACE, json.dumps(parts, separators=(",", ":"))))


def output_id(
    stage: str, model: str, version: str, metric: str, segment: str, rule: str, kind: str, sequence: int
) -> str:
    """The `event_id` of an output; `kind` is its type, `sequence` the key's own counter, kept in its state."""
    return _id("output", stage, model, version, metric, segment, rule, kind, sequence)


def dead_letter_id(topic: str, partition: int, offset: int) -> str:
    """The `event_id` of the dead letter of one record: a record has at most one."""
    return _id("dead_letter", topic, partition, offset)


def alias_id(version_id: str, alias: str) -> str:
    """The `event_id` of the alias that a new version gets; `version_id` is the `event_id` of the version."""
    return _id("alias", version_id, alias)


def action_id(action: str, model: str, subject: str, actor: str, time: str) -> str:
    """The `event_id` of what a person did: `subject` is what it was done to, `time` when, in RFC 3339."""
    return _id("action", action, model, subject, actor, time)


def condition_id(model: str, kind: str) -> str:
    """Identifies a kind of alert of a model, whenever it fires."""
    return _id("condition", model, kind)
