"""A state that stays in memory between two steps is the one that its bytes tell, whatever happens in between."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.monitor.stage import MonitorStage
from agents.monitor.state import Model
from agents.settings import Settings
from schemas.metrics import SchemaDrift
from streams import state_cache
from streams.parts import MemoryTable
from streams.processor import Processor
from streams.records import Forward, Output, StoredRecord
from streams.stage import Event, Input

SETTINGS = Settings(
    monitor=[
        {"window": {"size": 6, "min_samples": 3}, "detector": {"threshold": 1.2}},
        {"metric": "extras.late", "higher_is_better": False, "detector": {"name": "ddm", "warm_start": 3}},
        {"segment_by": "region", "window": {"size": 4, "min_samples": 2}, "detector": {"threshold": 0.9}},
        {"metric": "error", "window": {"size": 4, "min_samples": 2}, "detector": {"threshold": 1.1}},
    ],
    retrain=[{"min": {"precision": 0.5}}],
    heartbeat_timeout="5s",
    label_horizon="8s",
    version_retention="9s",
)


class Fragile(MonitorStage):
    """Fails at a change of a schema, after everything was done; `reuses` as the case may be."""

    def __init__(self, reuses: bool) -> None:
        super().__init__(SETTINGS)
        self.reuses_states = reuses

    def step(self, state: Model, inputs: Sequence[Input]) -> tuple[Model, list[Output]]:
        after = super().step(state, inputs)
        if any(isinstance(each, Event) and isinstance(each.message, SchemaDrift) for each in inputs):
            raise ArithmeticError("the schema has changed")
        return after


STAGES = {reuses: Fragile(reuses) for reuses in (False, True)}


class Partition:
    """A partition whose changes since the last checkpoint may be dropped."""

    def __init__(self, reuses: bool) -> None:
        self._reuses, self.committed = reuses, MemoryTable()
        self.outputs: list[Output | Forward] = []
        self._open()

    def _open(self) -> None:
        self.table = MemoryTable(self.committed)
        self.processor = Processor(STAGES[self._reuses], 0, 1, self.table)

    def do(self, what: Sequence[StoredRecord] | int | str) -> None:
        """Records to process, milliseconds that pass, `keep` for a checkpoint, `drop` for one that has failed."""
        if isinstance(what, int):
            self.outputs += self.processor.tick(what)
        elif what == "keep":
            self.committed = MemoryTable(self.table)
        elif what == "drop":
            self.processor.close()
            self._open()
        else:
            assert not isinstance(what, str)
            self.outputs += self.processor.process(what)


KINDS = ["metrics"] * 12 + ["heartbeat", "prediction", "prediction", "label", "schema_drift", "operator_action"]
RATIOS = st.sampled_from([0.9, 0.91, 0.92, 0.4, 1])


@st.composite
def records(draw: st.DrawFn) -> StoredRecord:
    name, kind = draw(st.sampled_from("abc")), draw(st.sampled_from(KINDS))
    message: dict[str, Any] = {"type": kind, "model_name": name, "timestamp": 1.7e9 + draw(st.integers(0, 40))}
    message["model_version"] = draw(st.sampled_from("11112"))
    if kind == "metrics":
        message |= {"accuracy": draw(RATIOS), "precision": 0.9}
        message |= draw(
            st.sampled_from([{}, {}, {"extras": {"late": 1}}, {"extras": {"late": 0}}, {"labels": {"region": "eu"}}])
        )
    elif kind in ("prediction", "label"):
        message |= {"prediction_id": draw(st.sampled_from("xyz"))}
        message |= {"y_pred": 1} if kind == "prediction" else {"y_true": 0}
    elif kind == "operator_action":
        message |= {"action": draw(st.sampled_from(["reset", "retire"])), "actor": "ann"}
    elif kind == "schema_drift":
        message |= {"added": ["age"]}
    return StoredRecord("metrics", 0, 0, 0, name.encode(), json.dumps(message).encode())


DONE = st.one_of(
    st.lists(records(), min_size=1, max_size=8),
    st.lists(records(), min_size=1, max_size=8),
    st.sampled_from([1_000, 6_000, "keep", "drop"]),
)


@given(done=st.lists(DONE, max_size=25), room=st.sampled_from([0, 600, 10_000]), remembered=st.sampled_from([1, 2, 9]))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_states_kept_in_memory_change_neither_outputs_nor_bytes(
    monkeypatch: pytest.MonkeyPatch, done: list[Any], room: int, remembered: int
) -> None:
    monkeypatch.setattr(state_cache, "CACHE_BYTES", room)
    monkeypatch.setattr(state_cache, "REMEMBERED", remembered)
    reusing, decoding = Partition(reuses=True), Partition(reuses=False)
    for what in done:
        reusing.do(what)
        decoding.do(what)
        assert reusing.table == decoding.table
    # Compared in the end: an output must not change with the state that it tells of.
    assert reusing.outputs == decoding.outputs
    reusing.processor.close()
