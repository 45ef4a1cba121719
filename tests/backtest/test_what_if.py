"""Several settings in one pass, what they would have meant, and how long models were in drift."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from agents.backtest import backtest, compare_settings, summarise
from agents.monitor.plan import Baselines
from agents.monitor.stage import MonitorStage
from agents.settings import Settings
from schemas.compact import CompactMessage
from schemas.message import Message
from streams.records import Headers, StoredRecord
from tests.backtest.events import START, metrics


def falls(models: int = 3) -> list[dict[str, Any]]:
    """80 values around 0.9, 40 of 0.5 or so, 80 as before; a minute apart."""
    return [
        metrics(60 * n, (0.5 if 80 <= n < 120 else 0.9) + n % 3 / 100, f"m{model}")
        for n in range(200)
        for model in range(models)
    ] + [{"type": "heartbeat", "model_name": "silent", "timestamp": START.isoformat()}]


def watching(threshold: float, **more: Any) -> Settings:
    rule = {"window": {"size": 60, "min_samples": 10}, "detector": {"name": "z_score", "threshold": threshold}}
    return Settings(monitor=[rule], **more)


SETTINGS = [watching(3.0), watching(2.0), watching(3.0, retrain=[{"cooldown": "0s"}])]


def without_times(result: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(result).items() if name not in ("elapsed_seconds", "events_per_second")}


def test_settings_compared_in_one_pass_say_what_each_says_alone() -> None:
    together = compare_settings([*falls(), "no message"], SETTINGS)
    alone = [backtest([*falls(), "no message"], each) for each in SETTINGS]
    assert [without_times(each) for each in together] == [without_times(each) for each in alone]
    assert len({len(each.drift) for each in alone}) == 2


def test_the_source_is_read_once_and_each_record_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[bytes] = []
    begin = MonitorStage.__init__

    def counting(self: MonitorStage, settings: Settings, baselines: Baselines) -> None:
        begin(self, settings, baselines)
        one = self.decode

        def decode(value: bytes | None, headers: Headers = ()) -> Message | CompactMessage:
            decoded.append(value or b"")
            return one(value, headers)

        monkeypatch.setattr(self, "decode", decode)

    monkeypatch.setattr(MonitorStage, "__init__", counting)

    def once() -> Iterator[dict[str, Any]]:
        yield from falls()

    compare_settings(once(), SETTINGS)
    assert len(decoded) == len(falls())


def test_records_with_headers_are_each_their_own() -> None:
    """The same bytes may be two messages."""
    value = b'{"model_name": "a", "timestamp": "2026-03-01T00:00:00Z", "accuracy": 0.4, "error": "lost"}'
    records = [
        StoredRecord("f", 0, number, 0, None, value, (("ce_type", kind), ("ce_id", b"1"), ("ce_specversion", b"1.0")))
        for number, kind in enumerate((b"metrics", b"inference_failure"))
    ]
    together = compare_settings(records, SETTINGS[:2])
    assert [alert["kind"] for alert in together[1].alerts] == ["inference_failure"]
    assert [without_times(each) for each in together] == [without_times(backtest(records, s)) for s in SETTINGS[:2]]


def test_time_in_drift_lasts_from_the_finding_to_recovery() -> None:
    result = backtest(falls(1), SETTINGS[0])
    found = next(drift for drift in result.drift if drift["direction"] == "worse")
    assert found["timestamp"] == metrics(60 * 80, 0)["timestamp"].replace("+00:00", "Z")
    # Back at value 120, and told after 10 calm ones.
    assert result.seconds_in_drift == {"m0": 60.0 * (129 - 80)}


def test_a_drift_that_has_not_ended_lasts_until_the_last_event_of_all() -> None:
    other = metrics(60 * 500, 0.9, "other")
    result = backtest([*falls(1)[:100], other], SETTINGS[0])
    assert result.seconds_in_drift == {"m0": 60.0 * (500 - 80)}
    assert backtest([*falls(1)[:100], other], SETTINGS[0], processes=2).seconds_in_drift == result.seconds_in_drift


def test_the_summary_counts_by_model_and_in_all() -> None:
    tuned = {"objective": "cross_validation", "trials": 7, "models": "m1", "space": {"c": [0.1, 1.0]}}
    settings = watching(3.0, retrain=[{"min": {"accuracy": 0.6}, "cooldown": "7d"}], tune=[tuned])
    result = backtest(falls(), settings)
    summary = summarise(result, settings)
    assert [row["model"] for row in summary["models"]] == ["m0", "m1", "m2"]
    assert [row["trials"] for row in summary["models"]] == [0, 7, 0]
    assert summary["total"] == {
        "drift_alarms": sum(drift["type"] == "drift_detected" for drift in result.drift),
        "warnings": 0, "threshold_breaches": 120, "retrain_requests": 3, "trials": 7,
        "seconds_in_drift": sum(result.seconds_in_drift.values()),
    }  # fmt: skip
