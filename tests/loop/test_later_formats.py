"""States that a later version wrote: the records of their keys are not this version's to put aside."""

from __future__ import annotations

from typing import Any

import pytest

from agents.monitor.stage import MonitorStage
from agents.retrain.stage import RetrainStage
from agents.settings import Settings
from agents.tuner.stage import TunerStage
from schemas.metrics import Metrics
from streams.parts import MemoryTable
from streams.processor import Processor
from streams.records import Record, StoredRecord
from streams.stage import Stage
from streams.state_format import LaterFormat
from tests.retrain.findings import drift
from tests.tuner.making import NOON, SPACE, request

_METRICS = Metrics(model_name="m", model_version="1", timestamp=NOON, accuracy=0.9)
_TUNE = {"name": "t", "objective": "tests.tuner.objectives:objective", "space": SPACE}

STAGES: dict[str, tuple[Stage[Any], bytes]] = {
    "monitor": (MonitorStage(Settings()), _METRICS.to_json()),
    "retrain": (RetrainStage(Settings(retrain=[{"name": "policy"}])), drift(model="m").to_json()),
    "tuner": (TunerStage(Settings(tune=[_TUNE])), request(model="m").to_json()),
}


def _records(count: int, value: bytes, name: bytes) -> list[Record]:
    return [StoredRecord("t", 0, offset, 1_700_000_000_000, name, value) for offset in range(count)]


@pytest.mark.parametrize("name", STAGES)
def test_a_later_versions_state_stops_the_worker_and_puts_nothing_aside(name: str) -> None:
    stage, value = STAGES[name]
    table = MemoryTable()
    Processor(stage, 0, 1, table).process(_records(1, value, b"m"))
    table[b"m"] = later = bytes([table[b"m"][0] + 1]) + table[b"m"][1:]
    with pytest.raises(LaterFormat, match=f"a state of {name} has format {later[0]}, .* Start that version"):
        Processor(stage, 0, 1, table).process(_records(3, value, b"m"))
    assert table[b"m"] == later


def test_many_models_whose_states_a_later_version_wrote_are_not_stepped_as_they_are_written() -> None:
    stage = MonitorStage(Settings())
    stage.load()
    table, names = MemoryTable(), [b"m%d" % number for number in range(100)]
    values = [_METRICS.model_copy(update={"model_name": name.decode()}).to_json() for name in names]
    records = [
        StoredRecord("t", 0, offset, 1_700_000_000_000, name, value)
        for offset, (name, value) in enumerate(zip(names, values, strict=True))
    ]
    Processor(stage, 0, 1, table).process(records)
    written = {name: bytes([table[name][0] + 1]) + table[name][1:] for name in names}
    table.update(written)
    with pytest.raises(LaterFormat):
        Processor(stage, 0, 1, table).process(records)
    assert {name: table[name] for name in names} == written
