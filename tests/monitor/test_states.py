"""How a model is doing, and what is told of it besides drift: versions, recovery, silence, alerts."""

from __future__ import annotations

import pytest

from agents.monitor.state import decode_state
from agents.settings import Settings
from schemas.alerts import Alert
from schemas.drift import DriftDetected
from schemas.internal import OperatorAction
from schemas.metrics import DataQualityIssue, InferenceFailure, SchemaDrift
from schemas.status import ModelState, ModelStatus
from streams.records import Output
from streams.stage import Tick
from tests.monitor.driving import CALM, MODEL, Driven, accuracies, alerts, at, heartbeat, metrics, of_type, small


def test_a_model_warms_up_and_is_then_ok() -> None:
    driven = Driven(small())
    driven.feed(*accuracies(CALM))
    warming, ok = of_type(ModelStatus, driven.outputs)
    assert (warming.state, warming.counts, warming.timestamp) == (ModelState.WARMING, {"metrics": 1}, at(0))
    assert (ok.state, ok.counts, ok.timestamp) == (ModelState.OK, {"metrics": 5}, at(4))
    assert [(rule.metric, rule.state) for rule in ok.rules] == [("accuracy", ModelState.OK)]
    assert ok.rules[0].window is not None
    assert (ok.rules[0].window.count, ok.rules[0].window.size) == (5, 20)


def test_drift_ends_after_enough_calm_values_in_a_row_and_is_forgotten_after_as_many_again() -> None:
    driven = Driven(small())
    driven.feed(*accuracies([*CALM, 0.5, *CALM[:5], *CALM[:5]]))
    assert driven.states() == ["warming", "ok", "drift", "recovered", "ok"]
    times = [status.timestamp for status in of_type(ModelStatus, driven.outputs)]
    assert times[2:] == [at(10), at(15), at(20)]


def test_a_value_that_fires_while_recovering_starts_the_count_anew() -> None:
    driven = Driven(small())
    driven.feed(*accuracies([*CALM, 0.5, *CALM[:4], 0.1, *CALM[:4]]))
    assert driven.states() == ["warming", "ok", "drift"]


def test_a_level_that_stays_low_is_no_recovery_although_it_no_longer_fires() -> None:
    driven = Driven(small())
    driven.feed(*accuracies([*CALM, *CALM, *[0.5] * 60]))
    drifts = of_type(DriftDetected, driven.outputs)
    assert 1 <= len(drifts) < 10
    assert driven.states() == ["warming", "ok", "drift"]


def test_a_model_is_as_its_worst_rule() -> None:
    window = {"size": 20, "min_samples": 5}
    driven = Driven(Settings(monitor=[{"window": window}, {"metric": "recall", "window": window}]))
    driven.feed(*(metrics(i, accuracy=value, recall=0.9) for i, value in enumerate([*CALM, 0.4])))
    last = of_type(ModelStatus, driven.outputs)[-1]
    assert last.state is ModelState.DRIFT
    assert [(rule.metric, rule.state) for rule in last.rules] == [
        ("accuracy", ModelState.DRIFT),
        ("recall", ModelState.OK),
    ]


def test_a_new_version_starts_with_an_empty_window() -> None:
    driven = Driven(small())
    driven.feed(*accuracies([*CALM]), *accuracies([0.5] * 4, version="2", begin=10))
    assert not of_type(DriftDetected, driven.outputs)
    last = of_type(ModelStatus, driven.outputs)[-1]
    assert (last.state, last.model_version) == (ModelState.WARMING, "2")
    assert last.rules[0].window is not None
    assert last.rules[0].window.count == 1


def test_a_new_version_after_drift_counts_as_recovered_once_it_is_warm_without_firing() -> None:
    driven = Driven(small())
    driven.feed(*accuracies([*CALM, 0.5]), *accuracies(CALM, version="2", begin=11))
    assert driven.states() == ["warming", "ok", "drift", "warming", "recovered", "ok"]
    assert of_type(ModelStatus, driven.outputs)[-1].model_version == "2"


def test_a_new_version_that_is_bad_from_its_warm_up_on_is_in_drift() -> None:
    driven = Driven(small(window={"size": 20, "min_samples": 12}))
    driven.feed(*accuracies([*CALM, 0.91, 0.5]), *accuracies([*CALM, 0.91, 0.5], version="2", begin=12))
    assert driven.states() == ["warming", "drift", "warming", "drift"]


def test_the_former_version_goes_on_beside_the_new_one() -> None:
    driven = Driven(small())
    driven.feed(*accuracies(CALM), *accuracies([0.2] * 3, version="2"), *accuracies([0.5], version="1"))
    assert [drift.model_version for drift in of_type(DriftDetected, driven.outputs)] == ["1"]


def test_only_the_versions_seen_last_are_kept_and_one_that_returns_never_uses_an_id_twice() -> None:
    driven = Driven(small())
    for round_ in range(3):
        for version in "1234":
            driven.feed(*accuracies([*CALM, 0.1], version=version, begin=100 * round_))
    kept = driven.state.versions
    assert [version.name for version in kept] == ["2", "3", "4"]
    ids = [output.message.event_id for output in driven.outputs if output.message]
    assert len(of_type(DriftDetected, driven.outputs)) == 12
    assert len(set(ids)) == len(ids)


def test_a_window_of_another_size_begins_anew_and_never_uses_an_id_twice() -> None:
    driven = Driven(small(name="watch"))
    driven.feed(*accuracies([*CALM, 0.1]))
    driven.stage = Driven(small(name="watch", window={"size": 30, "min_samples": 5})).stage
    driven.feed(*accuracies([*CALM, 0.1], begin=11))
    first, second = of_type(DriftDetected, driven.outputs)
    assert (first.window.count, second.window.count, second.window.size) == (11, 11, 30)
    assert first.event_id != second.event_id


def test_an_operators_reset_forgets_the_windows() -> None:
    driven = Driven(small())
    reset = OperatorAction(model_name=MODEL, timestamp=at(11), action="reset", actor="ann")
    driven.feed(*accuracies([*CALM, 0.1]), reset, *accuracies([0.4] * 4, begin=12))
    assert driven.states() == ["warming", "ok", "drift", "warming"]


def test_retirement_ends_the_alerts_removes_the_status_and_deletes_the_state() -> None:
    driven = Driven(small())
    driven.feed(*accuracies(CALM), heartbeat(10), Tick(400_000))
    assert alerts(driven.outputs) == [("silence", "error", "firing")]
    retire = OperatorAction(model_name=MODEL, timestamp=at(500), action="retire", actor="ann", note="replaced")
    resolved, status = driven.feed(retire)
    assert isinstance(resolved.message, Alert)
    assert (resolved.message.kind, resolved.message.state) == ("silence", "resolved")
    assert resolved.message.message == "the model was retired by ann: replaced"
    assert status == Output("status", MODEL, None)
    assert (driven.data, driven.deadline) == (None, None)


def test_a_model_that_comes_again_after_retirement_warms_up_anew() -> None:
    driven = Driven(small())
    retire = OperatorAction(model_name=MODEL, timestamp=at(10), action="retire", actor="ann")
    driven.feed(*accuracies([*CALM, 0.1]), retire, *accuracies([0.4] * 4, begin=12))
    assert driven.states() == ["warming", "ok", "drift", "warming"]
    assert driven.state.counts == {"metrics": 4}


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (InferenceFailure(model_name=MODEL, timestamp=at(0), error="CUDA"), ("inference_failure", "error", "firing")),
        (SchemaDrift(model_name=MODEL, timestamp=at(0)), ("schema_drift", "warning", "firing")),
        (DataQualityIssue(model_name=MODEL, timestamp=at(0)), ("data_quality_issue", "warning", "firing")),
    ],
)
def test_what_the_fleet_complains_of_becomes_an_alert(
    message: InferenceFailure | SchemaDrift | DataQualityIssue, told: tuple[str, str, str]
) -> None:
    driven = Driven()
    assert alerts(driven.feed(message)) == [told]
    assert [output.topic for output in driven.outputs] == ["alerts"]


def test_a_model_without_heartbeats_waits_for_no_tick() -> None:
    driven = Driven()
    driven.feed(metrics())
    assert driven.deadline is None
    assert driven.feed(Tick(10**9)) == []


def test_silence_after_heartbeats_raises_an_alert_at_the_deadline_and_not_before() -> None:
    driven = Driven(Settings(heartbeat_timeout="60s"))
    driven.clock = 5_000
    driven.feed(heartbeat(7))
    assert driven.deadline == 65_000
    assert driven.feed(Tick(64_999)) == []
    outputs = driven.feed(Tick(65_500))
    assert alerts(outputs) == [("silence", "error", "firing")]
    (status,) = of_type(ModelStatus, outputs)
    assert (status.state, status.timestamp) == (ModelState.SILENT, at(67.5))
    assert driven.deadline is None
    assert driven.feed(Tick(10**9)) == []


def test_a_heartbeat_that_returns_resolves_the_alert() -> None:
    driven = Driven(small())
    driven.feed(*accuracies(CALM), heartbeat(10))
    driven.feed(Tick(300_000))
    driven.clock = 300_000
    outputs = driven.feed(heartbeat(400))
    assert alerts(outputs) == [("silence", "error", "resolved")]
    assert driven.states() == ["warming", "ok", "silent", "ok"]
    assert driven.deadline == 600_000
    assert [rule.metric for rule in of_type(ModelStatus, outputs)[0].rules] == ["accuracy"]


def test_any_record_is_a_sign_of_life() -> None:
    driven = Driven(Settings(heartbeat_timeout="60s"))
    driven.feed(heartbeat(0))
    driven.clock = 50_000
    driven.feed(metrics(50))
    assert driven.deadline == 110_000
    assert driven.feed(Tick(60_000)) == []


def test_state_that_is_of_another_format_is_refused() -> None:
    driven = Driven()
    driven.feed(metrics())
    assert driven.data is not None
    with pytest.raises(ValueError, match="format 0, this version reads 4"):
        decode_state(b"\x00" + driven.data[1:])


def test_a_version_that_is_not_seen_for_the_retention_is_forgotten_and_leaves_nothing_behind() -> None:
    driven = Driven(Settings(version_retention="1h"))
    driven.feed(*(metrics(second, "1") for second in range(700)))
    driven.feed(metrics(700, "2"), metrics(710, "1"), metrics(720, "2"))
    driven.feed(*(metrics(720 + minute * 60, "2") for minute in range(61)))
    assert [version.name for version in driven.state.versions] == ["1", "2"]  # it was seen an hour ago, and no longer
    driven.feed(metrics(720 + 3_600.001, "2"))
    assert [version.name for version in driven.state.versions] == ["2"]
    assert driven.state.counts["evicted_versions"] == 1
    fresh = Driven()
    fresh.feed(*(metrics(second, "2") for second in range(64)))
    assert len(driven.table) == len(fresh.table)
    driven.feed(metrics(9_000, "1"))
    ids = [output.message.event_id for output in driven.outputs if output.message]
    assert len(set(ids)) == len(ids)


def test_a_version_goes_when_time_goes_by_without_records_of_a_model_with_heartbeats() -> None:
    driven = Driven(Settings(version_retention="1h"))
    driven.feed(metrics(0, "1"), metrics(10, "2"), heartbeat(10), Tick(300_000))
    assert driven.deadline == 3_600_001
    driven.feed(Tick(3_600_000))
    assert [version.name for version in driven.state.versions] == ["1", "2"]
    driven.feed(Tick(3_600_001))
    assert [version.name for version in driven.state.versions] == ["2"]
    assert driven.deadline is None
