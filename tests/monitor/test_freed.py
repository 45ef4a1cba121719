"""Nothing of a step holds its records: they are freed with the fetch, not when the collector of cycles comes round."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from agents.monitor.outputs import Publisher
from agents.monitor.stage import MonitorStage
from agents.settings import Settings
from streams.parts import MemoryTable
from streams.processor import Processor
from streams.records import Forward, ListedRecords, Output, StoredRecord

COMMON: dict[str, Any] = {"model_name": "m", "model_version": "1"}


class Watched(ListedRecords):
    """A batch that can be referred to weakly."""

    __slots__ = ("__weakref__",)


@pytest.fixture
def _collector_off() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def metrics(accuracy: float) -> dict[str, Any]:
    return {"type": "metrics", "accuracy": accuracy}


def processed(messages: list[dict[str, Any]]) -> tuple[list[Output | Forward], weakref.ref[Watched]]:
    """What comes of a batch, and the batch, which only the processor may still hold."""
    processor = Processor(MonitorStage(Settings()), 0, 1, MemoryTable())
    values = [
        json.dumps({**COMMON, "timestamp": 1.7e9 + number, **message}).encode()
        for number, message in enumerate(messages)
    ]
    records = Watched([StoredRecord("metrics", 0, number, 0, b"m", value) for number, value in enumerate(values)])
    return processor.process(records), weakref.ref(records)


@pytest.mark.usefixtures("_collector_off")
@pytest.mark.parametrize(
    "messages",
    [
        [metrics(0.9 + number % 3 / 100) for number in range(100)] + [metrics(0.1)],
        [{"type": "outcomes", "y_true": [0, 1], "y_pred": [0, number % 2]} for number in range(60)],
        [{"type": "heartbeat"}, {"type": "inference_failure", "error": "down"}, metrics(0.5)],
        [{"type": kind, "prediction_id": "a", "y_pred": 1, "y_true": 1} for kind in ("prediction", "label", "label")],
    ],
    ids=["metrics", "outcomes", "notices", "labels"],
)
def test_a_batch_is_freed_when_it_has_been_processed(messages: list[dict[str, Any]]) -> None:
    outputs, freed = processed(messages)
    assert outputs
    assert freed() is None


@pytest.mark.usefixtures("_collector_off")
def test_so_is_one_whose_step_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("as something may")

    monkeypatch.setattr(Publisher, "drift", fail)
    outputs, freed = processed([metrics(0.9 + number % 3 / 100) for number in range(100)] + [metrics(0.1)])
    assert any(output.topic == "dead-letter" for output in outputs)
    assert freed() is None
