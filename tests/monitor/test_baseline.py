"""A rule with a baseline: series go on from recorded values as if they had come before, and nothing is told of them."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from agents.backtest import backtest
from agents.backtest.baselines import load_baselines
from agents.backtest.report.history import History
from agents.drift import make_detector
from agents.monitor.stage import MonitorStage
from agents.monitor.state import Model, window_of
from agents.settings import Settings, SettingsError
from schemas.drift import DriftDetected
from schemas.status import ModelState
from streams.parts import MemoryTable
from streams.processor import Processor
from streams.records import Output, StoredRecord

RANDOM = Random(5)
RECORDED = [round(RANDOM.gauss(0.93, 0.01), 4) for _ in range(300)]


def message(number: int, accuracy: float, **more: Any) -> bytes:
    common = {"type": "metrics", "model_name": "m", "model_version": "1", "timestamp": 1.7e9 + number}
    return json.dumps({**common, "accuracy": accuracy, **more}).encode()


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    file = tmp_path / "yesterday.jsonl"
    lines = [message(number, value, precision=value) for number, value in enumerate(RECORDED)]
    file.write_bytes(b"\n".join([*lines, b"no message", message(300, 0.5, model_version="2")]))
    return file


def settings(recording: Path, **rule: Any) -> Settings:
    return Settings(monitor=[{"window": {"size": 100}, "baseline": {"file": str(recording), "values": 200}, **rule}])


class Monitor:
    """A monitor of one partition, and what it publishes on drift."""

    def __init__(self, settings: Settings, baselines: bool = True) -> None:
        self.stage = MonitorStage(settings, load_baselines(settings) if baselines else None)
        self.table = MemoryTable()
        self.processor = Processor(self.stage, 0, 1, self.table)
        self.sent = 0

    def feed(self, *values: float, **more: Any) -> list[DriftDetected]:
        records = []
        for value in values:
            self.sent += 1
            records.append(StoredRecord("metrics", 0, self.sent, 0, b"m", message(1000 + self.sent, value, **more)))
        outputs = self.processor.process(records)
        messages = [output.message for output in outputs if isinstance(output, Output)]
        return [each for each in messages if isinstance(each, DriftDetected)]

    @property
    def model(self) -> Model:
        return self.processor.state("m")


def test_the_first_value_that_has_fallen_is_found(recording: Path) -> None:
    (drift,) = Monitor(settings(recording)).feed(0.6)
    assert (drift.direction, drift.window.count) == ("worse", 100)
    assert Monitor(settings(recording), baselines=False).feed(0.6) == []


def test_the_window_is_as_if_the_newest_recorded_values_had_come(recording: Path) -> None:
    seeded, lived = Monitor(settings(recording)), Monitor(settings(recording), baselines=False)
    seeded.feed(0.9, 0.92)
    lived.feed(*RECORDED[-200:], 0.9, 0.92)
    windows = [window_of(each.model.state.versions[0].series["accuracy"], each.model.parts) for each in (seeded, lived)]
    assert windows[0].encode() == windows[1].encode()
    assert windows[0].summary() == windows[1].summary()


def test_the_model_is_ok_from_the_first_value_on(recording: Path) -> None:
    monitor = Monitor(settings(recording))
    monitor.feed(0.93)
    assert monitor.model.state.versions[0].series["accuracy"].phase is ModelState.OK


def test_segments_begin_empty(recording: Path) -> None:
    asked = settings(recording)
    by_region = {"segment_by": "region", "window": {"size": 100}}
    monitor = Monitor(Settings(monitor=[*(rule.model_dump() for rule in asked.monitor), by_region]))
    (drift,) = monitor.feed(0.6, labels={"region": "eu"})
    assert drift.segment == ""


def test_a_series_that_nobody_watches_begins_empty(recording: Path) -> None:
    monitor = Monitor(settings(recording))
    monitor.feed(0.93, precision=0.93)
    assert monitor.model.state.versions[0].series["precision"].window.pushed == 1


def test_another_version_starts_blind_and_so_does_another_model(recording: Path) -> None:
    monitor = Monitor(settings(recording))
    assert monitor.feed(0.6, model_version="3") == []
    assert monitor.feed(0.6, model_name="n") == []
    assert monitor.model.state.versions[0].series["accuracy"].window.pushed == 1


@pytest.mark.parametrize("name", ["cusum", "kswin", "ks"])
def test_a_detector_with_a_memory_goes_on_from_what_it_would_remember(recording: Path, name: str) -> None:
    rule = {"detector": {"name": name} | ({"reference": 150, "size": 50} if name == "ks" else {})}
    fallen = [0.7 + number % 5 / 100 for number in range(60)]
    drifts = Monitor(settings(recording, **rule)).feed(*fallen)
    detector = make_detector(name, **settings(recording, **rule).monitor[0].detector_meant[1])
    detector.update_many(np.array(RECORDED[-200:]))
    expected = [at for at, verdict in detector.update_many(np.array(fallen)) if verdict.drift]
    assert [drift.cause.offset - 1 for drift in drifts if drift.severity == "drift"] == expected
    assert expected


def test_a_backtest_begins_with_it_too(recording: Path) -> None:
    assert len(backtest([message(2000, 0.6)], settings(recording)).drift) == 1


def test_a_baseline_renames_no_rule(recording: Path) -> None:
    rule = settings(recording).monitor[0]
    assert rule.name == Settings(monitor=[{"window": {"size": 100}}]).monitor[0].name


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ({"baseline": {"file": "absent.jsonl"}}, "expected a .jsonl file"),
        ({"window": {"duration": "10m"}}, "neither a duration nor segment_by beside baseline"),
        ({"segment_by": "region"}, "neither a duration nor segment_by beside baseline"),
    ],
)
def test_what_cannot_be_is_said(recording: Path, rule: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        settings(recording, **rule)


def test_a_damaged_recording_is_named(tmp_path: Path) -> None:
    file = tmp_path / "cut.jsonl.gz"
    file.write_bytes(b"no gzip")
    with pytest.raises(SettingsError, match=r"^baseline of a monitor rule: .*cut\.jsonl\.gz"):
        load_baselines(settings(file))


def test_the_report_draws_the_window_that_began_with_it(recording: Path) -> None:
    history = History(settings(recording))
    (drift,) = backtest([message(2000, 0.6)], settings(recording), observer=history.observe).drift
    (course,) = history.courses()
    assert course.rows[0][2:4].tolist() == [0.6, drift["window"]["mean"]]
