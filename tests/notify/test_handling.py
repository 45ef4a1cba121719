"""Muted and acknowledged alerts: nobody is told of them, and nothing is lost."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from agents.handling import Handling
from tests.notify.making import Driven, acknowledgement, alert, mute, rule

START = 1_800_000_000.0
HOUR = 3_600.0
FIRING, RESOLVED = alert(), alert(state="resolved")
TOLD, ENDED = [[("fraud-eu", "silence", "firing", 0)]], [[("fraud-eu", "silence", "resolved", 0)]]


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@pytest.mark.parametrize(
    ("fields", "muted"),
    [
        ({}, True),
        ({"model": "fraud-eu"}, True),
        ({"model": "fraud-*"}, True),
        ({"model": "credit-*"}, False),
        ({"kind": "silence"}, True),
        ({"kind": "drift*"}, False),
        ({"rule": "strict"}, True),
        ({"rule": "lax"}, False),
    ],
)
def test_a_mute_is_for_models_kinds_and_rules(fields: dict[str, str], muted: bool) -> None:
    told = Driven(rule())
    told.mute(mute(START + HOUR, **fields))
    assert (told.told(FIRING, START, behind="strict") == []) == muted


def test_a_mute_of_a_rule_is_not_for_alerts_that_come_from_none() -> None:
    told = Driven(rule())
    told.mute(mute(START + HOUR, rule="strict"))
    assert told.told(FIRING, START) == TOLD


def test_a_name_that_looks_like_a_pattern_can_be_muted_by_itself() -> None:
    told = Driven(rule())
    told.mute(mute(START + HOUR, model="a[1]"))
    assert told.told(alert(model="a[1]"), START) == []


def test_what_is_open_at_the_end_of_a_mute_is_told_once_with_how_many_there_were() -> None:
    told = Driven(rule())
    told.mute(mute(START + HOUR))
    assert [told.told(FIRING, START + second) for second in (0, 1, 2)] == [[], [], []]
    assert told.told(None, START + HOUR - 1) == []
    assert told.told(None, START + HOUR) == [[("fraud-eu", "silence", "firing", 2)]]
    assert told.told(None, START + 9 * HOUR) == []


def test_what_was_told_before_a_mute_and_is_still_open_at_its_end_is_told_once_more() -> None:
    told = Driven(rule(cooldown="3h"))
    told.told(FIRING, START)
    told.mute(mute(START + HOUR))
    assert told.told(None, START + 1) == []
    assert told.told(None, START + HOUR) == TOLD
    assert told.told(None, START + 9 * HOUR) == []


def test_of_a_kind_that_has_no_end_nothing_is_told_again() -> None:
    told = Driven(rule(cooldown="1s"))
    told.told(alert("schema_drift"), START)
    told.mute(mute(START + HOUR))
    assert [told.told(None, START + second) for second in (1, HOUR, 9 * HOUR)] == [[], [], []]


def test_what_ended_during_a_mute_is_not_told_and_the_end_of_what_was_told_before_is_at_its_end() -> None:
    told = Driven(rule())
    told.told(FIRING, START)
    told.mute(mute(START + HOUR))
    assert told.told(RESOLVED, START + 1) == []
    other = alert(model="other")
    assert told.told(other, START + 2) == []
    assert told.told(alert(model="other", state="resolved"), START + 3) == []
    assert told.told(None, START + HOUR) == ENDED
    assert told.told(None, START + 9 * HOUR) == []


def test_a_mute_that_is_taken_back_ends_at_once() -> None:
    told = Driven(rule())
    told.mute(mute(START + HOUR))
    told.told(FIRING, START)
    told.state.handling.apply("m", None)
    assert told.told(None, START + 1) == TOLD


def test_while_one_of_two_mutes_lasts_nothing_is_told() -> None:
    told = Driven(rule())
    told.mute(mute(START + HOUR, mute_id="a"))
    told.mute(mute(START + 2 * HOUR, mute_id="b"))
    told.told(FIRING, START)
    assert told.told(None, START + HOUR) == []
    assert told.told(None, START + 2 * HOUR) == TOLD


def test_a_mute_holds_after_a_restart_and_what_it_held_back_is_told() -> None:
    former, told = Driven(rule()), Driven(rule())
    for each in (former, told):
        each.mute(mute(START + HOUR))
    former.told(FIRING, START)
    told.load(former.saved())
    assert told.told(None, START + 1) == []
    assert told.told(None, START + HOUR) == TOLD


def test_what_is_acknowledged_is_not_told_again_until_it_has_resolved() -> None:
    told = Driven(rule(cooldown="1m"))
    told.told(FIRING, START)
    told.acknowledge(acknowledgement(START + 100 * HOUR))
    assert [told.told(FIRING, START + hour * HOUR) for hour in (1, 2, 3)] == [[], [], []]
    assert told.told(RESOLVED, START + 4 * HOUR) == ENDED
    assert told.told(FIRING, START + 5 * HOUR) == [[("fraud-eu", "silence", "firing", 3)]]


def test_other_kinds_and_models_are_told_although_one_is_acknowledged() -> None:
    told = Driven(rule())
    told.acknowledge(acknowledgement(START + HOUR))
    assert len(told.told(alert("records_lost"), START)) == 1
    assert len(told.told(alert(model="other"), START)) == 1


def test_an_acknowledgement_is_taken_off_the_topic_when_its_alert_has_resolved() -> None:
    told = Driven(rule())
    told.acknowledge(made := acknowledgement(START + HOUR))
    told.told(alert("records_lost", "resolved"), START)
    assert told.state.resolved == set()
    told.told(RESOLVED, START)
    assert len(told.state.resolved) == 1
    assert told.state.handling.acknowledgement_of(made.model_name, made.kind, at(START)) is None


def test_what_nobody_mended_for_as_long_as_an_acknowledgement_lasts_is_told_again() -> None:
    told = Driven(rule(cooldown="1m"))
    told.acknowledge(acknowledgement(START + HOUR))
    told.told(FIRING, START)
    assert told.told(None, START + HOUR) == TOLD


def test_what_is_sent_again_by_hand_is_sent_although_it_is_muted() -> None:
    told = Driven(rule(name="a"))
    told.mute(mute(START + HOUR))
    assert told.told(FIRING, START, only="a") == TOLD


def test_mutes_end_by_themselves_and_say_when() -> None:
    handling = Handling()
    for number in (2, 1, 3):
        made = mute(START + number * HOUR, mute_id=f"m{number}")
        assert handling.apply(made.event_id, made)
        assert not handling.apply(made.event_id, made)
    assert [each.event_id for each in handling.mutes(at(START + HOUR))] == ["m2", "m3"]
    assert list(handling.ended(at(START + HOUR))) == ["m1"]
    assert handling.mute("m1", at(START + HOUR)) is None
    found = handling.mute_of("any", "kind", "", at(START))
    assert found is not None
    assert found.event_id == "m3"  # until when nobody is told
