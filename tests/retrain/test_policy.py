"""Which findings become requests, and which are suppressed."""

from __future__ import annotations

import pytest

from schemas.alerts import Alert
from schemas.message import InvalidMessage, Message
from tests.retrain.findings import Policy, at, breach, drift, external, of_type, order


def test_a_request_says_why() -> None:
    policy = Policy()
    policy.feed(drift())
    (request,) = policy.requests
    assert (request.rule, request.metric, request.value, request.threshold) == ("policy", "accuracy", 0.65, 3.0)
    assert request.window == drift().window
    assert request.cause_ids == ["record at 0", "finding at 0"]
    assert (request.model_name, request.model_version, request.timestamp) == ("fraud", "1", at(0))
    assert "accuracy 0.65 is worse: z_score -12 is beyond 3 (window mean 0.93 of 500; rule watch)" in request.reason
    assert [(output.topic, output.key) for output in policy.outputs] == [("retrain", "fraud")]


@pytest.mark.parametrize(
    ("rule", "finding", "requested"),
    [
        ({}, drift(), True),
        ({"on_drift": False}, drift(), False),
        ({}, drift(direction="better"), False),
        ({"on_improvement": True}, drift(direction="better"), True),
        ({}, drift(severity="warning"), False),
        ({}, drift(severity="warning", detector="threshold"), False),
        ({"on_drift": False}, drift(detector="threshold"), False),
        ({"on_drift": False}, drift(detector="threshold", metric="average_precision_recall"), True),
        ({"on_drift": False}, breach(), True),
        ({}, external(0.049), True),
        ({}, external(0.05), False),
        ({"external_drift": False}, external(0.001), False),
        ({"external_drift": {"direction": "p_value_above", "threshold": 0.95}}, external(0.96), True),
        ({"external_drift": {"direction": "p_value_above", "threshold": 0.95}}, external(0.95), False),
        ({"models": "spam-*"}, drift(), False),
    ],
)
def test_the_rule_says_which_findings_call_for_retraining(
    rule: dict[str, object], finding: Message, requested: bool
) -> None:
    policy = Policy(**rule)
    policy.feed(finding)
    assert len(policy.requests) == requested
    assert len(policy.outputs) == requested


def test_a_breach_gives_its_minimum_and_an_external_finding_its_p_value() -> None:
    policy = Policy(cooldown=0)
    policy.feed(breach(), external(0.01, 1))
    low, outside = policy.requests
    assert (low.metric, low.value, low.threshold) == ("score", 0.7, 0.8)
    assert low.reason == "score 0.7 is below the minimum of 0.8"
    assert (outside.metric, outside.value, outside.threshold, outside.window) == ("p_value", 0.01, 0.05, None)
    assert outside.reason == "another monitor reports p_value 0.01, below 0.05"


def test_within_the_cooldown_requests_are_counted_and_told_once() -> None:
    policy = Policy()
    policy.feed(drift(0), drift(10), breach(20), drift(29.9))
    assert len(policy.requests) == 1
    assert policy.alerts == [("retrain_suppressed", "warning", "firing")]
    assert policy.state().suppressed == 3
    assert policy.state().versions["1"].suppressed == 3


def test_after_the_cooldown_the_next_finding_is_a_request_again() -> None:
    policy = Policy()
    policy.feed(drift(0), drift(10), drift(30), drift(40))
    assert [request.timestamp for request in policy.requests] == [at(0), at(30)]
    assert len(policy.alerts) == 2
    assert len({output.message.event_id for output in policy.outputs if output.message}) == 4


def test_the_cooldown_is_in_event_time_so_that_a_late_record_is_within_it() -> None:
    policy = Policy()
    policy.feed(drift(60), drift(0))
    assert [request.timestamp for request in policy.requests] == [at(60)]


def test_one_record_of_a_wrong_clock_far_in_the_future_does_not_hold_up_the_model_for_ever() -> None:
    policy = Policy()
    policy.feed(drift(10**7), drift(0), drift(1))
    assert [request.timestamp for request in policy.requests] == [at(10**7), at(0)]


def test_each_version_has_a_cooldown_of_its_own() -> None:
    policy = Policy()
    policy.feed(drift(0, version="1"), drift(1, version="2"), drift(2, version="1"))
    assert [request.model_version for request in policy.requests] == ["1", "2"]


def test_the_versions_remembered_are_bounded() -> None:
    policy = Policy()
    policy.feed(*(drift(number, version=str(number)) for number in range(50)))
    assert len(policy.state().versions) == 10


def test_a_dry_run_tells_what_would_be_requested_under_the_same_cooldown() -> None:
    policy = Policy(dry_run=True)
    policy.feed(drift(0), drift(1), drift(31))
    assert policy.requests == []
    assert [kind for kind, _, _ in policy.alerts] == ["retrain_dry_run", "retrain_suppressed", "retrain_dry_run"]
    assert "would be retrained: accuracy 0.65" in of_type(Alert, policy.outputs)[0].message


def test_a_paused_model_is_not_retrained_until_it_is_resumed() -> None:
    policy = Policy()
    policy.feed(order("pause", 0), drift(1), drift(2), order("resume", 3), drift(4))
    assert [request.timestamp for request in policy.requests] == [at(4)]
    assert policy.alerts == [
        ("retrain_paused", "info", "firing"),
        ("retrain_suppressed", "warning", "firing"),
        ("retrain_paused", "info", "resolved"),
    ]
    assert of_type(Alert, policy.outputs)[0].message == "paused by ann: camera repair"
    assert policy.state().suppressed == 2


def test_pausing_twice_is_told_once_and_other_orders_change_nothing() -> None:
    policy = Policy()
    policy.feed(order("pause"), order("pause"), order("mute"))
    assert policy.alerts == [("retrain_paused", "info", "firing")]


def test_a_reset_ends_the_cooldowns() -> None:
    policy = Policy()
    policy.feed(drift(0), order("reset", 1), drift(2))
    assert [request.timestamp for request in policy.requests] == [at(0), at(2)]


def test_a_reset_of_one_version_leaves_the_others() -> None:
    policy = Policy()
    policy.feed(drift(0, version="1"), drift(0, version="2"), order("reset", 1, version="2"))
    policy.feed(drift(2, version="1"), drift(2, version="2"))
    assert [request.model_version for request in policy.requests] == ["1", "2", "2"]


def test_retirement_ends_a_models_alerts_and_deletes_its_state() -> None:
    policy = Policy()
    policy.feed(order("pause", 0), drift(1))
    assert "fraud" in policy.data
    policy.feed(order("retire", 2))
    assert policy.alerts[2:] == [("retrain_paused", "info", "resolved"), ("retrain_suppressed", "info", "resolved")]
    assert of_type(Alert, policy.outputs)[-1].message == "the model was retired by ann: camera repair"
    assert policy.data == {}
    policy.feed(order("retire", 3))
    assert (policy.data, len(policy.alerts)) == ({}, 4)


def test_a_model_that_comes_again_after_retirement_is_new() -> None:
    policy = Policy()
    policy.feed(drift(0), order("retire", 1), drift(2))
    assert [request.timestamp for request in policy.requests] == [at(0), at(2)]


def test_what_is_no_finding_is_refused() -> None:
    with pytest.raises(InvalidMessage, match="type"):
        Policy().stage.decode(b'{"type": "metrics", "model_name": "m", "timestamp": 1714521600, "accuracy": 1}', ())


def test_no_key_waits_for_ticks() -> None:
    policy = Policy()
    policy.feed(drift())
    waits: object = policy.stage.deadline(policy.state())  # type: ignore[func-returns-value]
    assert waits is None


def test_state_that_is_of_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="format 0, this version reads 1"):
        Policy().stage.decode_state("fraud", b"\x00")
