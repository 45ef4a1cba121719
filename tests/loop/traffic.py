"""What fleets send, made with a seed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

START = 1_750_000_000.0

#: A seed for which none of 600 values from N(0.93, 0.01) is farther than three deviations from the window's mean.
QUIET_SEED = 174


def accuracies(model: str, healthy: int = 600, drifted: int = 50, seed: int = QUIET_SEED) -> list[tuple[str, bytes]]:
    """Records of a model that does well and then does not, within thirty minutes of event time."""
    values = [*np.random.default_rng(seed).normal(0.93, 0.01, healthy), *([0.65] * drifted)]
    step = 1_800.0 / len(values)
    return [(model, metrics(model, f"{model}-{i}", START + i * step, value)) for i, value in enumerate(values)]


def metrics(model: str, event_id: str, timestamp: float, accuracy: float) -> bytes:
    """One `metrics` message."""
    message = {
        "type": "metrics",
        "event_id": event_id,
        "model_name": model,
        "model_version": "1",
        "timestamp": timestamp,
        "accuracy": min(max(float(accuracy), 0.0), 1.0),
    }
    return json.dumps(message).encode()


def event(kind: str, model: str, timestamp: float, **fields: Any) -> tuple[str, bytes]:
    """A record of any kind; further fields of the message as given."""
    message = {"type": kind, "model_name": model, "model_version": "1", "timestamp": timestamp}
    return model, json.dumps(message | fields).encode()


def malformed(count: int) -> Iterator[tuple[str | None, bytes | None]]:
    """Records that no fleet should send, of every kind, in turn."""
    good = metrics("broken", "e", START, 0.9)
    kinds: list[bytes | None] = [
        good[:-10],
        b"",
        None,
        b"\xff\xfe\x00",
        b"not json",
        b"[]",
        b'"text"',
        b"null",
        good.replace(b"0.9", b"NaN"),
        good.replace(b"0.9", b"Infinity"),
        good.replace(b"0.9", b"1e999"),
        good.replace(b"0.9", b"1.5"),
        good.replace(b"0.9", b'"0.9"'),
        good.replace(b"0.9", b"true"),
        good.replace(b"0.9", b"null"),
        good.replace(b'"metrics"', b'"no_such_type"'),
        good.replace(b'"type"', b'"kind"'),
        good.replace(b'"broken"', b'""'),
        good.replace(b'"broken"', b'"' + b"x" * 1000 + b'"'),
        good.replace(str(START).encode(), b'"yesterday"'),
        good.replace(str(START).encode(), b"1e18"),
        b"[" * 20_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b'{"type":"metrics","model_name":"broken","timestamp":1750000000,"extras":{"big":' + b"9" * 500 + b"}}",
        b'{"type":"heartbeat"}',
    ]
    for number in range(count):
        yield "broken", kinds[number % len(kinds)]
