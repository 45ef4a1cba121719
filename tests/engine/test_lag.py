"""How far behind a partition is, and when that is worth a line."""

from __future__ import annotations

import logging

import pytest

from streams.lag import WARNING_PERIOD, LagWarnings
from tests.engine.bench import Bench
from tests.engine.fakes import INTERNAL, METRICS, batch


def test_a_partition_that_falls_behind_is_warned_of_once_a_minute_and_when_it_is_over() -> None:
    warnings = LagWarnings(limit=100)
    assert warnings.due(0.0, [("m", 0, 100)]) == []
    assert warnings.due(1.0, [("m", 0, 101)]) == ["m [0]: consumer lagged by 101 records"]
    assert warnings.due(2.0, [("m", 0, 5_000)]) == []
    assert warnings.due(1.0 + WARNING_PERIOD, [("m", 0, 7_000)]) == ["m [0]: consumer lagged by 7000 records"]
    assert warnings.due(70.0, [("m", 0, 3)]) == ["m [0]: consumer caught up, 3 records behind"]
    assert warnings.due(71.0, [("m", 0, 3)]) == []


def test_each_partition_has_its_own_warnings_and_one_that_went_elsewhere_none() -> None:
    warnings = LagWarnings(limit=100)
    assert len(warnings.due(0.0, [("m", 0, 200), ("m", 1, 300), ("n", 0, 1)])) == 2
    assert warnings.due(1.0, [("n", 0, 1)]) == []
    assert warnings.due(2.0, [("m", 0, 200)]) == ["m [0]: consumer lagged by 200 records"]


async def test_lag_is_what_there_is_to_read_beyond_what_was_processed(bench: Bench) -> None:
    assert bench.engine.lag() == {}
    await bench.assign()
    bench.kafka.ends = {METRICS: 40, INTERNAL: 0}
    await bench.engine.process(batch(0, 10))
    assert bench.engine.lag() == {METRICS: 30, INTERNAL: 0}


async def test_a_lag_beyond_the_setting_is_logged(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    await bench.assign()
    bench.kafka.ends = {METRICS: 100_001, INTERNAL: 0}
    with caplog.at_level(logging.INFO, logger="streams.engine"):
        bench.engine.tick(1.0)
        bench.engine.tick(2.0)
    assert [line for line in caplog.messages if "lagged" in line] == [
        "p.metrics [0]: consumer lagged by 100001 records"
    ]
