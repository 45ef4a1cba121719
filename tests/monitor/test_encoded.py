"""Steps over states as they are written: the bytes and outputs of steps over decoded ones, and no harm from damage."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from agents.monitor.encoded.layout import MOST
from agents.monitor.encoded.steps import LONGEST, EncodedSteps
from agents.monitor.stage import MonitorInput, MonitorStage
from agents.settings import Settings
from schemas.columns.columns import ColumnGroups, Integers
from schemas.columns.decoder import ColumnDecoder
from schemas.compact import compact_parser
from schemas.kernel import COMPILED
from schemas.parse import parser_for
from streams.panes import PANE
from streams.parts import MemoryTable
from streams.processor import FEW_KEYS, Processor
from streams.records import StoredRecord
from tests.monitor.test_quick import MINIMUM

pytestmark = pytest.mark.skipif(not COMPILED, reason="needs numba: the extra fast")

COLUMNS = ColumnDecoder(compact_parser(parser_for(MonitorInput))) if COMPILED else None

MODELS = FEW_KEYS + 1

#: What a message may be rather than calm; or its value is not.
UNUSUAL: list[dict[str, Any]] = [
    {},
    {"accuracy": 0.2},
    {"model_version": "2"},
    {"f1_score": 0.5},
    {"type": "heartbeat"},
    {"type": "heartbeat"},
    {"labels": {"region": "eu"}},
    {"type": "label", "prediction_id": "a", "y_true": 0},
]

Read = Callable[[Sequence[int]], Sequence[bytes | None]]


class Counting(EncodedSteps):
    """Counts the states that were taken."""

    taken = 0

    def step(self, groups: ColumnGroups, places: Integers, clocks: Integers, read: Read, read_parts: Any) -> Any:
        for some in super().step(groups, places, clocks, read, read_parts):
            self.taken += len(some.places)
            assert {place for place, _, _ in some.parts} <= {*some.places}  # of what was left, nothing is written
            yield some


class Stage(MonitorStage):
    """Has columns and encoded steps however few records there are."""

    encoded_steps: EncodedSteps | None = None


def stage_of(asked: Settings) -> tuple[MonitorStage, Counting]:
    assert COLUMNS is not None
    stage = Stage(asked)
    steps = stage.encoded_steps = Counting(stage._plans)
    stage.decode_columns = COLUMNS.decode  # type: ignore[method-assign]
    return stage, steps


class Fleet:
    """Models each of which sends a few messages a batch: nearly always alike and calm, by its seed."""

    def __init__(self, seed: int, unusual: float) -> None:
        self.rng, self._unusual, self._sent = random.Random(seed), unusual, 0

    def batch(self) -> list[StoredRecord]:
        most = self.rng.choice([1, 1, 1, 2, 2, 16, MOST + 1, LONGEST + 1])
        senders = [model for model in range(MODELS) for _ in range(self.rng.randrange(1, most + 1))]
        self.rng.shuffle(senders)
        return [self.record(model) for model in senders]

    def record(self, model: int) -> StoredRecord:
        self._sent += 1
        rng, is_calm = self.rng, self.rng.random() >= self._unusual
        content: dict[str, Any] = {
            "type": "metrics",
            "model_name": f"model-{model}",
            "model_version": "1",
            "timestamp": 1.7e9 + self._sent - rng.choice([0, 0, 50]),
            "accuracy": rng.gauss(0.9, 0.01),
            "precision": round(rng.random(), 6),
            "recall": round(rng.random(), 6),
            "extras": {"cost": round(rng.gauss(0, 1) * 10 ** rng.randrange(6), 4)},
        }
        if not is_calm:
            content |= rng.choice(UNUSUAL)
        return StoredRecord("metrics", 0, self._sent, 0, content["model_name"].encode(), json.dumps(content).encode())


@pytest.mark.parametrize("size", [20, PANE, PANE + 1, 200])
@profile(max_examples=3, deadline=None)
@given(seed=st.integers(0, 10_000), rounds=st.floats(1.0, 2.0), unusual=st.sampled_from([0.0, 0.003, 0.03]))
def test_states_as_they_are_written_come_to_the_bytes_and_outputs_of_decoded_ones(
    size: int, seed: int, rounds: float, unusual: float
) -> None:
    watched: Any = [{"window": {"size": size, "min_samples": 5}, "detector": {"threshold": 6.0}}]
    also: Any = [
        {
            "metric": "extras.cost",
            "window": {"size": size, "min_samples": 5},
            "detector": {"direction": "up", "threshold": 4.0},
        }
    ]
    asked = [
        Settings(monitor=watched, retrain=[MINIMUM], heartbeat_timeout="2s"),
        Settings(monitor=watched + also, heartbeat_timeout="2s"),
    ]
    fleet, encoded, decoded, taken = Fleet(seed, unusual), MemoryTable(), MemoryTable(), 0
    for _ in range(min(30 + int(rounds * size) // 2, 80)):  # blocks of several windows, but for the largest
        now, batch = asked[fleet.rng.random() < 0.1], fleet.batch()
        stage, steps = stage_of(now)
        one, other = Processor(stage, 0, 1, encoded), Processor(MonitorStage(now), 0, 1, decoded)
        assert one.process(batch) == other.process(batch)
        assert one.tick(700) == other.tick(700)
        assert encoded == decoded
        assert set(one.take_touched()) == set(other.take_touched())
        taken += steps.taken
    assert taken or unusual or size < PANE


def test_nearly_all_calm_records_of_a_large_fleet_are_taken() -> None:
    stage, steps = stage_of(Settings(monitor=[{"window": {"size": 500}, "detector": {"threshold": 9.0}}]))
    fleet, processor, records = Fleet(7, 0.0), Processor(stage, 0, 1, MemoryTable()), 0
    for _ in range(200):
        batch = [fleet.record(model) for model in range(MODELS)]
        processor.process(batch)
        records += len(batch)
    assert steps.taken > 0.85 * records


@pytest.mark.parametrize("begun", [497, 498, 499, 500, 501])
def test_the_block_of_a_metric_that_is_only_kept_ends_as_it_does_otherwise(begun: int) -> None:
    stage, _ = stage_of(KEPT)
    fleet, encoded, decoded = Fleet(7, 0.0), MemoryTable(), MemoryTable()
    one, other = Processor(stage, 0, 1, encoded), Processor(MonitorStage(KEPT), 0, 1, decoded)
    for count in (begun, 3):
        batch = [fleet.record(model) for model in range(MODELS) for _ in range(count)]
        assert one.process(batch) == other.process(batch)
        assert encoded == decoded


#: Nothing is asked of any metric.
KEPT = Settings(monitor=[])

SMALL = Settings(monitor=[{"window": {"size": 20, "min_samples": 5}}])


@cache
def written() -> bytes:
    """The state of a model after a while."""
    fleet, table = Fleet(3, 0.0), MemoryTable()
    Processor(MonitorStage(SMALL), 0, 1, table).process([fleet.record(0) for _ in range(30)])
    return table[b"model-0"]


@profile(max_examples=100, deadline=None)
@given(flips=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=4), cut=st.floats(0, 1))
def test_a_damaged_state_does_no_harm(flips: list[tuple[float, int]], cut: float) -> None:
    (stage, steps), fleet, whole = stage_of(SMALL), Fleet(3, 0.0), written()
    damaged = bytearray(whole[: int(len(whole) * cut)] if cut < 0.5 else whole)
    for at, byte in flips:
        if damaged:
            damaged[int(at * len(damaged))] = byte
    groups, left = stage.decode_columns([fleet.record(0).value]) or (None, [])
    assert isinstance(groups, ColumnGroups)
    assert not left
    first = np.zeros(1, np.int64)
    for some in steps.step(groups, first, first, lambda _: [bytes(damaged)], lambda which: [None for _ in which]):
        assert all(len(state) <= len(damaged) + 8 * len(groups.places) + 200 for state in some.states)
