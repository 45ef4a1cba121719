"""Recorded events for the tests."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

START = datetime(2026, 3, 1, tzinfo=UTC)


def metrics(number: int, accuracy: float, model: str = "digits", **more: Any) -> dict[str, Any]:
    """The metrics event that is `number` seconds after the start."""
    time = (START + timedelta(seconds=number)).isoformat()
    return {"type": "metrics", "model_name": model, "timestamp": time, "accuracy": accuracy, **more}


def quiet(seed: int, count: int = 600) -> list[float]:
    """`count` values ~ N(0.93, 0.01), rounded as a fleet reports them."""
    random = Random(seed)
    return [round(min(random.gauss(0.93, 0.01), 1.0), 6) for _ in range(count)]


def write(path: Path, events: Iterable[object]) -> Path:
    """Write one event a line; texts and bytes as they are."""
    lines = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path
