"""What each part of the system needs to be allowed on Kafka, and nothing more. Pure.

`tests/security` runs a worker, a dashboard and the commands with these rights alone; docs/security.md shows them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, get_args

from agents.notify.kinds import topics_for
from agents.settings import Settings
from agents.settings.inputs import InputTopic
from schemas.topics import TOPICS
from streams.grants import Grant, Operation, under
from streams.settings import CHANGELOG

Role = Literal["worker", "dashboard", "fleet", "operator", "recorder"]

ROLES: Final[tuple[Role, ...]] = get_args(Role)
"""`worker`: the agents of the settings. `fleet`: what produces metrics and takes models. `operator`: the commands that
look and act, `topics create` and `doctor` among them. `recorder`: `record`, and `kafka://` as a source.
"""

_STAGES: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "monitor": (("metrics",), ("drift", "status", "alerts", "dead-letter")),
    "retrain": (("drift",), ("retrain", "alerts", "dead-letter")),
    "tuner": (("retrain", "models"), ("trial-requests", "trials", "models", "alerts", "dead-letter")),
}
"""What each stage reads and writes beside its internal topic and its changelog, which it does both with."""

_LOOKING: Final = (
    Grant("topic", "Describe", "", prefixed=True),
    Grant("topic", "DescribeConfigs", "", prefixed=True),
)
"""Whether all topics are there, and as they should be."""


def rights_of(role: Role, settings: Settings) -> list[Grant]:
    """What a role needs, by the names on Kafka, in order."""
    if role == "worker":
        grants = _worker(settings)
    elif role == "dashboard":
        grants = _dashboard()
    elif role == "operator":
        grants = _operator(settings)
    elif role == "fleet":
        grants = [*_on_topics("Write", ["metrics"]), *_on_topics("Read", ["models"])]
    else:
        grants = _on_topics("Read", [*TOPICS, *_internals()])
    looks = role in ("worker", "operator")
    of_others = [Grant("topic", "Read", each.topic) for each in _inputs(settings)] if looks else []
    return sorted([*under(settings.topic_prefix, grants), *of_others])


def _worker(settings: Settings) -> list[Grant]:
    grants = [*_LOOKING]
    for stage in (agent for agent in settings.agents if agent in _STAGES):
        grants += _stage(stage)
    if "monitor" in settings.agents and settings.notify:
        tables = ["alert-handling", f"notify{CHANGELOG}"]
        grants += [*_on_topics("Read", [*topics_for(settings.notify), *tables]), *_on_topics("Write", tables)]
        grants += [Grant("group", "Read", "notify")]
    if _inputs(settings):
        grants += [*_on_topics("Write", ["metrics", "dead-letter"]), Grant("group", "Read", "inputs")]
        if settings.delivery == "exactly_once":
            taken = [f"inputs{CHANGELOG}"]
            grants += [*_on_topics("Read", taken), *_on_topics("Write", taken)]
        grants += [Grant("transactional-id", "Write", "inputs-", prefixed=True)]
    if "retrain" in settings.agents and any(rule.deliver for rule in settings.retrain):
        grants += [*_on_topics("Read", ["retrain"]), Grant("group", "Read", "retrain-delivery")]
    if settings.runs_trials:
        grants += _on_topics("Read", ["trial-requests"])
        grants += _on_topics("Write", ["tuner-internal", "experiments", "dead-letter"])
        grants += [Grant("group", "Read", "runner")]
    return grants


def _inputs(settings: Settings) -> list[InputTopic]:
    return settings.inputs if "monitor" in settings.agents else []


def _stage(stage: str) -> list[Grant]:
    reads, writes = _STAGES[stage]
    own = [f"{stage}-internal", f"{stage}{CHANGELOG}"]
    return [
        *_on_topics("Read", [*reads, *own]),
        *_on_topics("Write", [*writes, *own]),
        Grant("group", "Read", stage),
        Grant("transactional-id", "Write", f"{stage}-", prefixed=True),
    ]


def _dashboard() -> list[Grant]:
    return [
        *_on_topics("Read", [name for name in TOPICS if name not in ("experiments", "trial-requests")]),
        *(Grant("group", "Describe", stage) for stage in _STAGES),
        *_acting(),
        Grant("transactional-id", "Write", "dashboard-", prefixed=True),
    ]


def _operator(settings: Settings) -> list[Grant]:
    return [
        *_LOOKING,
        Grant("topic", "Create", "", prefixed=True),
        *_on_topics("Read", [*TOPICS, *_internals()]),
        *(Grant("group", "Read", stage) for stage in _STAGES),
        *_acting(),
        # Like the dashboard, commands write an action and its audit record in one transaction.
        *(Grant("transactional-id", "Write", f"{name}-", prefixed=True) for name in ("dashboard", *_STAGES)),
        *(right for stage in _STAGES for right in _on_topics("Delete", [f"{stage}{CHANGELOG}"])),
        *(right for stage in _STAGES for right in _on_topics("Write", [f"{stage}{CHANGELOG}"])),
        *([Grant("group", "Describe", "inputs")] if _inputs(settings) else []),
    ]


def _acting() -> list[Grant]:
    """What people's actions are written to, records that are sent in again among them."""
    return _on_topics("Write", [*(name for name in TOPICS if name != "dead-letter"), *_internals()])


def _internals() -> list[str]:
    return [f"{stage}-internal" for stage in _STAGES]


def _on_topics(operation: Operation, names: Iterable[str]) -> list[Grant]:
    return [Grant("topic", operation, name) for name in names]
