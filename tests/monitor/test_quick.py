"""The quick way over windows of one pane, and of several: the bytes and outputs of one event after the other."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from agents.monitor.quick import LONGEST
from agents.monitor.stage import MonitorStage
from agents.settings import Settings
from streams.panes import PANE
from streams.parts import MemoryTable
from streams.processor import Processor
from streams.records import StoredRecord
from streams.run import EventRun
from tests.monitor.test_columns import records

#: Precision has a minimum at times, recall is only kept.
MINIMUM: dict[str, Any] = {"min": {"precision": 0.2}, "of": "mean"}


def batches(seed: int, count: int, outliers: float) -> Iterator[list[StoredRecord]]:
    """A few records at a time: calm accuracies, and now and then one that is not."""
    rng, at = random.Random(seed), 0
    accuracies = [0.2 if rng.random() < outliers else rng.gauss(0.9, 0.01) for _ in range(count)]
    stored = records([{"accuracy": value, "precision": rng.random(), "recall": rng.random()} for value in accuracies])
    while at < count:
        begin, at = at, at + rng.randrange(1, LONGEST + 1)
        yield stored[begin:at]


class OneByOne(MonitorStage):
    """Takes a step for each event, none of them the quick way."""

    def step(self, state: Any, inputs: Any) -> Any:
        assert isinstance(inputs, EventRun)
        outputs = []
        for event in inputs:
            state, found = super().step(state, [event])
            outputs += found
        return state, outputs


@pytest.mark.parametrize("size", [20, PANE, PANE + 1, 200])
@profile(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), rounds=st.floats(1.0, 3.5), outliers=st.sampled_from([0.0, 0.0, 0.01, 0.1]))
def test_a_few_at_a_time_leave_the_bytes_and_outputs_of_one_after_the_other(
    size: int, seed: int, rounds: float, outliers: float
) -> None:
    watched: Any = [{"window": {"size": size, "min_samples": 5}}]
    asked = [Settings(monitor=watched, retrain=[MINIMUM]), Settings(monitor=watched)]
    quick, slow, rng = MemoryTable(), MemoryTable(), random.Random(seed)
    for batch in batches(seed, int(rounds * size), outliers):
        now = asked[rng.random() < 0.2]  # settings may change between two batches: what is measured, and what is not
        outputs = Processor(MonitorStage(now), 0, 1, quick).process(batch)
        assert outputs == Processor(OneByOne(now), 0, 1, slow).process(batch)
        assert quick == slow
