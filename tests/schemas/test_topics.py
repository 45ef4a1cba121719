"""The registry holds the contract's topics, and agrees with itself."""

from __future__ import annotations

from datetime import timedelta

import pytest

from schemas.message import Message, OutputMessage
from schemas.models import alias_key, version_key
from schemas.parse import type_of
from schemas.topics import TOPICS, internal_topic

TYPES = {
    "metrics": {
        "metrics", "validation_score", "outcomes", "prediction", "label", "external_drift", "inference_failure",
        "heartbeat", "schema_drift", "data_quality_issue",
    },
    "drift": {"drift_detected", "threshold_breached", "external_drift"},
    "retrain": {"retrain_request"},
    "trial-requests": {"trial_request", "prune_trial"},
    "trials": {"trial_result", "study_finished"},
    "models": {"model_version", "model_alias"},
    "status": {"model_status"},
    "experiments": {"run_start", "epoch_end", "training_end"},
    "alerts": {"alert"},
    "dead-letter": {"dead_letter"},
    "alert-handling": {"mute", "acknowledgement"},
    "audit": {"action_taken"},
}  # fmt: skip


def test_the_topics_and_their_types_are_those_of_the_contract() -> None:
    assert {name: {type_of(each) for each in spec.classes} for name, spec in TOPICS.items()} == TYPES


def test_each_topic_is_registered_under_its_own_name() -> None:
    assert all(name == spec.name for name, spec in TOPICS.items())


def test_tables_are_compacted_and_everything_else_ages() -> None:
    compacted = {name for name, spec in TOPICS.items() if spec.cleanup == "compact"}
    assert compacted == {"models", "status", "alert-handling"}
    assert all((spec.retention is None) == (name in compacted) for name, spec in TOPICS.items())
    assert TOPICS["metrics"].config() == {"cleanup.policy": "delete", "retention.ms": "604800000"}
    assert TOPICS["status"].config() == {"cleanup.policy": "compact"}


@pytest.mark.parametrize("name", ["metrics", "drift", "retrain", "models", "trials"])
def test_what_a_stage_reads_is_partitioned_like_metrics(name: str) -> None:
    assert TOPICS[name].partitions_like_metrics


def test_a_stage_has_an_internal_topic_beside_its_inputs() -> None:
    spec = internal_topic("monitor")
    assert spec.name == "monitor-internal"
    assert spec.partitions_like_metrics
    assert spec.retention == timedelta(days=7)
    assert {type_of(each) for each in spec.classes} == {"cut", "operator_action", "training_finished", "trials_asked"}


def test_every_output_has_an_event_id_and_inputs_may_have_none() -> None:
    inputs = {*TYPES["metrics"], *TYPES["experiments"], "external_drift"}
    for spec in TOPICS.values():
        for message in spec.classes:
            assert issubclass(message, OutputMessage) == (type_of(message) not in inputs)


def test_every_message_class_and_topic_is_documented() -> None:
    for spec in (*TOPICS.values(), internal_topic("monitor")):
        assert spec.key
        for message in spec.classes:
            assert message.__doc__
            assert message.__doc__ != Message.__doc__


def test_keys_of_the_models_topic_name_a_version_or_an_alias() -> None:
    assert version_key("fraud", "7") == "fraud/7"
    assert alias_key("fraud", "champion") == "fraud@champion"
