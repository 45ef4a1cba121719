"""Commands that talk to a broker, on real Kafka and on the embedded one."""

from __future__ import annotations

import asyncio
import getpass
import json

import pytest

from agents.cli import kafka
from agents.cli.kafka import ToSend
from agents.settings import Settings
from schemas.alerts import Alert
from schemas.dead_letter import DeadLetter, dead_letter_of
from streams.brokers.broker import Broker
from streams.partitioner import partition_of
from tests.cli.running import everything_on, visutility
from tests.dashboard.making import made


def set_aside(settings: Settings, *letters: DeadLetter) -> None:
    records = [ToSend(f"{settings.topic_prefix}dead-letter", None, letter.to_json()) for letter in letters]
    asyncio.run(kafka.publish(settings, records))


def letter_of(settings: Settings, offset: int, value: bytes | None, key: bytes | None = b"digits") -> DeadLetter:
    return dead_letter_of(
        reason=f"reason {offset}",
        stage="monitor",
        topic=f"{settings.topic_prefix}metrics",
        partition=0,
        offset=offset,
        timestamp=1_780_000_000_000 + offset,
        key=key,
        value=value,
        headers=[("ce_id", b"7")],
    )


def test_topics_that_were_created_are_as_wanted(settings: Settings) -> None:
    assert visutility("topics", "check", "--json").json == {"problems": []}
    assert visutility("topics", "create", "--json").json == {"created": []}


def test_pause_tells_the_retrain_policy_who_and_what(settings: Settings) -> None:
    ran = visutility("pause", "fraud-eu", "--note", "the data centre moves", "--json")
    assert ran.status == 0, ran.err
    (record,) = everything_on(settings, "retrain-internal")
    assert record.key == b"fraud-eu"
    assert record.partition == partition_of("fraud-eu", 4)
    assert b'"action":"pause"' in record.value
    assert ran.json["message"] | {"event_id": "", "timestamp": ""} == {
        "type": "operator_action", "event_id": "", "model_name": "fraud-eu", "model_version": "", "timestamp": "",
        "labels": {}, "action": "pause", "actor": getpass.getuser(), "note": "the data centre moves",
    }  # fmt: skip


def audited(settings: Settings) -> list[tuple[str, str, str, str, str, str]]:
    """Action, model, subject, actor, how they were known, and note, of each audit record, by time."""
    found = [json.loads(record.value) for record in everything_on(settings, "audit")]
    found.sort(key=lambda each: each["timestamp"])
    keys = ("action", "model_name", "subject", "actor", "access", "note")
    return [tuple(each[key] for key in keys) for each in found]


def test_what_is_done_on_the_command_line_is_audited(settings: Settings) -> None:
    me = getpass.getuser()
    set_aside(settings, letter := letter_of(settings, 1, b"one"))
    alert = made(Alert, "fraud-eu", kind="silence", severity="error", state="firing", message="nothing came")
    asyncio.run(kafka.publish(settings, [kafka.message_record(settings, "alerts", alert)]))
    request = visutility("retrain", "fraud-eu", "--id", "r-1", "--json").json["audit"]
    assert visutility("pause", "fraud-eu", "--note", "moving").status == 0
    assert visutility("dlq", "retry", letter.event_id, "--actor", "robot").status == 0
    assert visutility("models", "retire", "fraud-eu").status == 0
    assert visutility("alerts", "acknowledge", "fraud-eu", "silence", "--note", "on it").status == 0
    mute_id = visutility("alerts", "mute", "fraud-*", "--for", "2h", "--reason", "why", "--json").json["subject"]
    assert visutility("alerts", "unmute", mute_id).status == 0
    assert request["access"] == "cli"
    assert audited(settings) == [
        ("retrain", "fraud-eu", "r-1", me, "cli", ""), ("pause", "fraud-eu", "", me, "cli", "moving"),
        ("retry_dead_letter", "digits", letter.event_id, "robot", "cli", ""), ("retire", "fraud-eu", "", me, "cli", ""),
        ("acknowledge", "fraud-eu", "silence", me, "cli", "on it"), ("mute", "fraud-*", mute_id, me, "cli", "why"),
        ("unmute", "fraud-*", mute_id, me, "cli", ""),
    ]  # fmt: skip


def test_open_alerts_are_listed_with_who_muted_or_knows_of_them(settings: Settings) -> None:
    for kind in ("silence", "records_lost", "study_failed"):
        alert = made(Alert, "fraud-eu", kind=kind, severity="error", state="firing", message="it is bad")
        asyncio.run(kafka.publish(settings, [kafka.message_record(settings, "alerts", alert)]))
    over = made(Alert, "fraud-eu", kind="study_failed", severity="info", state="resolved", message="it is good")
    asyncio.run(kafka.publish(settings, [kafka.message_record(settings, "alerts", over)]))
    mute = ("alerts", "mute", "fraud-*", "--kind", "records_*", "--for", "90m", "--reason", "moving", "--owner", "ops")
    assert "muted for 1h30m: fraud-*, kind records_*" in visutility(*mute).out
    assert visutility("alerts", "acknowledge", "fraud-eu", "silence", "--actor", "ada").status == 0
    found = {each["kind"]: each for each in visutility("alerts", "list", "--json").json["alerts"]}
    assert set(found) == {"silence", "records_lost"}
    assert (found["silence"]["acknowledged"]["actor"], found["silence"]["muted"]) == ("ada", None)
    assert (found["records_lost"]["muted"]["owner"], found["records_lost"]["acknowledged"]) == ("ops", None)
    assert "acknowledged by ada" in visutility("alerts", "list", "--model", "fraud-eu").out
    assert visutility("alerts", "list", "--model", "other").out == "no alerts are open\n"
    assert "fraud-*, kind records_*" in visutility("alerts", "mutes").out
    refused = visutility("alerts", "acknowledge", "fraud-eu", "study_failed")
    assert (refused.status, "no alert 'study_failed' of 'fraud-eu' is open" in refused.err) == (1, True)
    assert visutility("alerts", "mute", "m", "--for", "soon", "--reason", "x").status == 2
    assert visutility("alerts", "mute", "m", "--for", "9000d", "--reason", "x").status == 2


def test_a_retrain_request_can_be_made_by_hand(settings: Settings) -> None:
    ran = visutility("retrain", "fraud-eu", "--note", "new labels")
    assert ran.status == 0
    assert "no version of fraud-eu is registered yet" in ran.out
    (record,) = everything_on(settings, "retrain")
    assert record.key == b"fraud-eu"
    assert f'"reason":"manual: asked for by {getpass.getuser()}: new labels"'.encode() in record.value
    assert f'"actor":"{getpass.getuser()}"'.encode() in record.value
    assert dict(record.headers)["ce_type"]


def test_a_request_by_hand_has_the_name_and_the_id_that_were_given(settings: Settings) -> None:
    for _ in range(2):
        assert visutility("retrain", "fraud-eu", "--actor", "release robot", "--id", "release-7").status == 0
    found = [json.loads(record.value) for record in everything_on(settings, "retrain")]
    assert [(each["event_id"], each["actor"]) for each in found] == [("release-7", "release robot")] * 2


@pytest.mark.parametrize("model", ["", "a\nb", "x" * 250])
def test_a_name_that_no_model_may_have_is_refused(model: str, settings: Settings) -> None:
    assert visutility("pause", model).status == 2
    assert everything_on(settings, "retrain-internal") == []


def test_dead_letters_are_listed_oldest_first_and_by_reason(settings: Settings) -> None:
    set_aside(settings, letter_of(settings, 2, b"{"), letter_of(settings, 1, None), letter_of(settings, 10, b"["))
    listed = visutility("dlq", "list", "--json").json["dead_letters"]
    assert [letter["offset"] for letter in listed] == [1, 2, 10]
    chosen = visutility("dlq", "list", "--reason", "Reason 1", "--limit", "1", "--json").json["dead_letters"]
    assert [letter["offset"] for letter in chosen] == [10]
    assert "reason 10" in visutility("dlq", "list").out


def test_a_retried_record_is_as_it_was(settings: Settings) -> None:
    letters = [letter_of(settings, 1, b"\xff{"), letter_of(settings, 2, None), letter_of(settings, 3, b"{}", None)]
    set_aside(settings, *letters)
    ran = visutility("dlq", "retry", "--all", "--json")
    assert ran.json == {"retried": [each.event_id for each in letters], "not_kept_whole": [], "dry_run": False}
    records = everything_on(settings, "metrics")
    assert {(record.key, record.value) for record in records} == {
        (b"digits", b"\xff{"), (b"digits", None), (None, b"{}"),
    }  # fmt: skip
    assert all(list(record.headers) == [("ce_id", b"7")] for record in records)


def test_only_the_letters_that_are_named_are_retried(settings: Settings) -> None:
    first, second = letter_of(settings, 1, b"one"), letter_of(settings, 2, b"two")
    set_aside(settings, first, second)
    assert visutility("dlq", "retry", second.event_id).status == 0
    assert [record.value for record in everything_on(settings, "metrics")] == [b"two"]
    ran = visutility("dlq", "retry", "no-such-id")
    assert ran.err == "visutility: no dead letter no-such-id; dlq list shows those that are there\n"


def test_a_dry_run_publishes_nothing(settings: Settings) -> None:
    set_aside(settings, letter_of(settings, 1, b"one"))
    assert len(visutility("dlq", "retry", "--all", "--dry-run", "--json").json["retried"]) == 1
    assert everything_on(settings, "metrics") == []


def test_a_record_that_was_not_kept_whole_is_not_retried(settings: Settings) -> None:
    set_aside(settings, letter_of(settings, 1, b"x" * (600 * 1024)))
    ran = visutility("dlq", "retry", "--all")
    assert ran.status == 1
    assert ran.err == "visutility: nothing could be retried: 1 records were not kept whole\n"
    assert everything_on(settings, "metrics") == []


@pytest.mark.parametrize("command", ["dlq list", "pause m", "retrain m", "models list", "models retire m"])
def test_a_topic_that_is_missing_is_named_and_not_created(
    command: str, broker: Broker, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISUTILITY_TOPIC_PREFIX", topic_prefix)
    for _ in range(2):
        ran = visutility(*command.split(), "--bootstrap", broker.bootstrap_servers)
        assert ran.status == 2
        assert f"no topic {topic_prefix}" in ran.err
