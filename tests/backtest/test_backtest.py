"""The backtest: monitor and retrain policy over recorded events."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agents.backtest import BacktestResult, SourceError, backtest, read_lines
from agents.settings import MonitorRule, RetrainRule, Settings, WindowSettings
from schemas.metrics import Metrics
from tests.backtest.events import START, metrics, quiet, write

#: No |z| of its 600 values exceeds 3.
QUIET_SEED = 2

FALL = [metrics(second, value) for second, value in enumerate([*quiet(QUIET_SEED), *[0.65] * 50])]


def without_where(message: dict[str, Any]) -> dict[str, Any]:
    """A message without the place of its cause, which a file and a list tell differently, and what comes from it."""
    kept = {name: value for name, value in message.items() if name != "cause_ids"}
    if "cause" in kept:
        kept["cause"] = None
    return kept


@pytest.fixture(scope="module")
def fallen() -> BacktestResult:
    return backtest(FALL)


def test_a_fall_in_accuracy_gives_exactly_one_request(fallen: BacktestResult) -> None:
    assert fallen.events_read == 650
    assert fallen.dead_letters == []
    assert len(fallen.retrain) == 1


def test_the_first_drift_is_the_first_value_after_the_fall(fallen: BacktestResult) -> None:
    first = fallen.drift[0]
    assert (first["type"], first["value"], first["direction"]) == ("drift_detected", 0.65, "worse")
    assert first["cause"] | {"event_id": ""} == {"event_id": "", "topic": "events", "partition": 0, "offset": 601}


def test_the_request_names_the_first_fallen_value_as_its_first_cause(fallen: BacktestResult) -> None:
    (request,) = fallen.retrain
    assert request["cause_ids"][0] == fallen.drift[0]["cause"]["event_id"]
    assert request["cause_ids"][1] == fallen.drift[0]["event_id"]
    assert request["value"] == 0.65


def test_a_quiet_model_asks_for_nothing() -> None:
    result = backtest(FALL[:600])
    assert (result.drift, result.retrain) == ([], [])


def test_the_same_events_give_the_same_messages_ids_included(fallen: BacktestResult) -> None:
    again = backtest(FALL)
    assert (again.drift, again.retrain, again.alerts) == (fallen.drift, fallen.retrain, fallen.alerts)


def test_a_file_gives_the_same_messages_as_a_list(fallen: BacktestResult, tmp_path: Path) -> None:
    file = write(tmp_path / "fall.jsonl", FALL)
    result = backtest(read_lines(file))
    assert [without_where(each) for each in result.drift] == [without_where(each) for each in fallen.drift]
    assert [each["event_id"] for each in result.retrain] == [each["event_id"] for each in fallen.retrain]
    assert result.drift[0]["cause"]["topic"] == "fall.jsonl"
    assert result.drift[0]["cause"]["offset"] == 601


def test_messages_text_bytes_and_objects_are_all_events(fallen: BacktestResult) -> None:
    kinds: list[Callable[[dict[str, Any]], Any]] = [
        dict,
        lambda event: json.dumps(event),
        lambda event: json.dumps(event).encode(),
        Metrics.model_validate,
    ]
    events = [kinds[number % len(kinds)](event) for number, event in enumerate(FALL)]
    result = backtest(events)
    assert [each["event_id"] for each in result.drift] == [each["event_id"] for each in fallen.drift]


def test_something_else_is_no_event() -> None:
    with pytest.raises(TypeError, match=r"^event 2: expected a message, a dict, JSON or a record, got int$"):
        backtest([metrics(0, 0.9), 7])  # type: ignore[list-item]


def test_what_is_no_message_is_a_dead_letter_with_file_and_line(tmp_path: Path) -> None:
    good = metrics(0, 0.9)
    lines = [good, b"{", {**good, "accuracy": 1.7}, b"\xff\xfe", good, {**good, "type": "metrix"}, b"[" * 100_000]
    result = backtest(read_lines(write(tmp_path / "bad.jsonl", lines)))
    assert result.events_read == 7
    assert [(each["topic"], each["partition"], each["offset"]) for each in result.dead_letters] == [
        ("bad.jsonl", 0, line) for line in (2, 3, 4, 6, 7)
    ]
    assert result.dead_letters[1]["reason"].startswith("accuracy: expected a number in [0, 1]")
    assert all(each["stage"] == "monitor" for each in result.dead_letters)


def test_a_minimum_is_held_against_each_value() -> None:
    settings = Settings(retrain=[RetrainRule(name="floor", min={"score": 0.8})])
    score = {"type": "validation_score", "model_name": "digits", "timestamp": START.isoformat(), "score": 0.7}
    result = backtest([score], settings)
    assert [each["type"] for each in result.drift] == ["threshold_breached"]
    (request,) = result.retrain
    assert (request["rule"], request["value"], request["threshold"]) == ("floor", 0.7, 0.8)


def test_cooldown_is_in_the_events_time() -> None:
    settings = Settings(retrain=[RetrainRule(min={"accuracy": 0.8}, cooldown=timedelta(minutes=10))])
    times = [0, 300, 599, 601, 900, 1300]
    result = backtest([metrics(second, 0.5) for second in times], settings)
    assert [each["timestamp"] for each in result.retrain] == [
        metrics(second, 0)["timestamp"].replace("+00:00", "Z") for second in (0, 601, 1300)
    ]


def test_a_budget_holds_for_all_models_together() -> None:
    settings = Settings(retrain=[RetrainRule(min={"accuracy": 0.8})], retrain_budget_per_hour=2)
    outage = [metrics(number, 0.5, model=f"model-{number}") for number in range(10)]
    later = [metrics(7_200 + number, 0.5, model=f"late-{number}") for number in range(10)]
    result = backtest([*outage, *later], settings)
    assert [each["model_name"].split("-")[0] for each in result.retrain] == ["model", "model", "late", "late"]


def test_models_do_not_influence_each_other(fallen: BacktestResult) -> None:
    others = [metrics(second, value, model="other") for second, value in enumerate(quiet(QUIET_SEED))]
    mixed = [event for pair in zip(FALL, others, strict=False) for event in pair] + FALL[600:]
    result = backtest(mixed)
    assert [each["event_id"] for each in result.drift] == [each["event_id"] for each in fallen.drift]


def test_a_heartbeat_that_stays_away_is_noticed_when_other_events_show_the_time() -> None:
    def heartbeat(second: int) -> dict[str, Any]:
        return {**metrics(second, 0.9), "type": "heartbeat", "model_name": "silent"}

    others = [metrics(second, 0.93) for second in range(1, 900, 10)]
    result = backtest([heartbeat(0), *others, heartbeat(1000)])
    silent = [each for each in result.alerts if each["model_name"] == "silent"]
    assert [each["state"] for each in silent] == ["firing", "resolved"]


def test_a_gap_in_the_recording_does_not_silence_a_model_that_sends_no_heartbeats() -> None:
    assert backtest([metrics(0, 0.9), metrics(86_400, 0.9)]).alerts == []


def test_a_window_of_its_own_size_is_used() -> None:
    rule = MonitorRule(window=WindowSettings(size=30, min_samples=10))
    result = backtest([metrics(second, 0.9 + second % 2 / 100) for second in range(20)] + [metrics(21, 0.5)],
                      Settings(monitor=[rule]))  # fmt: skip
    assert [each["window"]["count"] for each in result.drift] == [21]
    assert result.drift[0]["window"]["size"] == 30


def test_compressed_files_are_read_too(tmp_path: Path, fallen: BacktestResult) -> None:
    plain = write(tmp_path / "fall.jsonl", FALL)
    packed = tmp_path / "fall.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    result = backtest(read_lines(packed))
    assert [each["event_id"] for each in result.drift] == [each["event_id"] for each in fallen.drift]


def test_lines_end_as_on_any_system_and_blank_ones_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "windows.jsonl"
    event = json.dumps(metrics(0, 0.9)).encode()
    file.write_bytes(b"\xef\xbb\xbf" + event + b"\r\n\r\n   \n" + event)
    records = list(read_lines(file))
    assert [(record.offset, record.value) for record in records] == [(1, event), (4, event)]


def test_a_line_too_long_for_memory_is_cut_and_the_next_is_whole(tmp_path: Path) -> None:
    file = write(tmp_path / "long.jsonl", [b'"' + b"x" * (25 * 2**20) + b'"', metrics(0, 0.9)])
    result = backtest(read_lines(file))
    assert [(each["offset"], each["reason"][:40]) for each in result.dead_letters] == [
        (1, "value: expected at most 10485760 bytes, ")
    ]
    assert result.events_read == 2


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("events.csv", b"", r"events\.csv: expected a file named \.jsonl, \.jsonl\.gz"),
        ("events.jsonl.gz", b"no gzip", r"events\.jsonl\.gz: after line 0: not what its name says"),
        ("events.jsonl.gz", gzip.compress(b"{}\n" * 9, mtime=0)[:-9], r"\.gz: after line \d: it is cut short"),
        ("absent.jsonl", None, r"absent\.jsonl: cannot be read: No such file"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes | None, reason: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=reason):
        list(read_lines(tmp_path / name))


def test_a_recording_need_not_fit_in_memory(tmp_path: Path) -> None:
    size, padding = 1_000, "x" * 30_000
    file = write(tmp_path / "long.jsonl", (metrics(second, 0.93, comment=padding) for second in range(size)))
    tracemalloc.start()
    try:
        result = backtest(read_lines(file))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert result.events_read == size
    assert peak < file.stat().st_size / 2
