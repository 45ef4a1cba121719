"""Valid messages of every kind to begin with, the same in each run."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from schemas.message import Message
from tests.schemas.malformed import MALFORMED
from tests.schemas.strategies import MESSAGES

_HEAD: dict[str, Any] = {"model_name": "m", "model_version": "1", "timestamp": 1.7e9}

#: As fleets send them: the quick decoder's own.
USUAL: tuple[bytes, ...] = tuple(
    json.dumps({**_HEAD, **fields}).encode()
    for fields in (
        {"type": "metrics", "accuracy": 0.9},
        {"type": "metrics", "accuracy": 0.4, "precision": 1, "recall": 0, "f1_score": 0.25, "event_id": "e"},
        {"type": "metrics", "extras": {"auc": 0.7, "latency": 12}},
        {"type": "metrics", "accuracy": 0.9, "labels": {"region": "eu"}},
        {"type": "outcomes", "y_true": [0, 1, 1], "y_pred": [0, 1, 0], "scores": [0.1, 0.9, 0.4]},
        {"type": "outcomes", "y_true": ["a", 1.5], "y_pred": ["a", True], "timestamps": [1.7e9, 1.7e9]},
        {"type": "heartbeat"},
        {"type": "prediction", "prediction_id": "p", "y_pred": 1, "score": 0.9},
        {"type": "label", "prediction_id": "p", "y_true": 0},
        {"type": "operator_action", "action": "retire", "actor": "a"},
        {"specversion": "1.0", "id": "i", "source": "s", "data": {"type": "metrics", "accuracy": 0.5}},
    )
)


@cache
def messages_of(kind: type[Message], count: int = 12) -> tuple[bytes, ...]:
    """Some messages of one class, as JSON: Hypothesis' choice, which is the same every time."""
    found: list[bytes] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def collect(data: st.DataObject) -> None:
        found.append(data.draw(MESSAGES[kind]).to_json())

    collect()
    return tuple(found)


def messages(kinds: Iterable[type[Message]], count: int = 12) -> list[bytes]:
    """Some messages of each of several classes."""
    return [value for kind in kinds for value in messages_of(kind, count)]


def malformed() -> list[bytes]:
    """What is known to be refused, but for what is very long."""
    return [case.value for case in MALFORMED if case.value and len(case.value) < 10_000]
