"""Who is told of what, and how often: rules, cooldown, ends, groups."""

from __future__ import annotations

import pytest

from agents.notify.core import forget
from agents.notify.saving import condition_bytes, key_bytes, saved
from tests.notify.making import Driven, alert, rule

FIRING, RESOLVED = alert(), alert(state="resolved")
KEY = ("r", "fraud-eu", "silence")
TOLD, ENDED = [[("fraud-eu", "silence", "firing", 0)]], [[("fraud-eu", "silence", "resolved", 0)]]


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        ({}, True),
        ({"models": "fraud-*"}, True),
        ({"models": "credit-*"}, False),
        ({"kinds": ["si*"]}, True),
        ({"kinds": ["drift", "retrain_*"]}, False),
        ({"severity": "error"}, True),
    ],
)
def test_a_rule_says_what_is_told(keys: dict[str, object], wanted: bool) -> None:
    assert Driven(rule(**keys)).told(FIRING, 0) == (TOLD if wanted else [])


def test_what_is_less_severe_is_not_told_and_neither_is_its_end() -> None:
    told = Driven(rule(severity="error"))
    assert told.told(alert("metric_limit", severity="warning"), 0) == []
    assert told.told(alert("metric_limit", "resolved"), 1) == []


def test_each_rule_that_matches_tells() -> None:
    told = Driven(rule(name="a"), rule(name="b"), rule(name="c", models="x"))
    assert [notice.rule.name for notice in told.notices(FIRING, 0)] == ["a", "b"]


def test_within_the_cooldown_nothing_is_told_again_and_at_its_end_how_much_there_was() -> None:
    told = Driven(rule(cooldown="10m"))
    assert told.told(FIRING, 0) == TOLD
    assert [told.told(FIRING, now) for now in (1, 599)] == [[], []]
    assert told.told(None, 600) == [[("fraud-eu", "silence", "firing", 1)]]
    assert told.told(None, 1200) == []
    assert told.told(FIRING, 1200) == TOLD


def test_another_model_and_another_kind_have_cooldowns_of_their_own() -> None:
    told = Driven(rule())
    told.told(FIRING, 0)
    assert len(told.told(alert(model="credit"), 1)) == 1
    assert len(told.told(alert("records_lost"), 1)) == 1


def test_an_end_is_told_once_although_the_cooldown_lasts() -> None:
    told = Driven(rule())
    told.told(FIRING, 0)
    assert told.told(RESOLVED, 1) == ENDED
    assert told.told(RESOLVED, 2) == []


def test_an_end_is_told_although_its_beginning_was_told_by_a_former_process() -> None:
    assert Driven(rule()).told(RESOLVED, 0) == ENDED


def test_an_end_is_not_told_where_the_rule_wants_none() -> None:
    told = Driven(rule(resolved=False))
    told.told(FIRING, 0)
    assert told.told(RESOLVED, 1) == []


def test_what_flaps_within_the_cooldown_is_told_at_its_end_if_it_still_fires() -> None:
    told = Driven(rule(cooldown="10m"))
    told.told(FIRING, 0)
    told.told(RESOLVED, 1)
    assert told.told(FIRING, 2) == []
    assert told.told(RESOLVED, 3) == []  # its beginning was not told either
    assert told.told(FIRING, 4) == []
    assert told.told(None, 600) == [[("fraud-eu", "silence", "firing", 1)]]


def test_an_end_takes_what_was_held_back_with_it() -> None:
    told = Driven(rule(cooldown="10m"))
    told.told(FIRING, 0)
    assert told.told(FIRING, 1) == []
    assert told.told(RESOLVED, 2) == ENDED
    assert told.told(None, 600) == []


def test_alerts_of_a_model_wait_for_each_other_and_go_together() -> None:
    told = Driven(rule(group_wait="10s"))
    assert told.told(FIRING, 0) == []
    assert told.told(alert(model="credit"), 5) == []
    assert told.told(alert("records_lost"), 9) == []
    assert told.told(None, 10) == [[("fraud-eu", "silence", "firing", 0), ("fraud-eu", "records_lost", "firing", 0)]]
    assert told.told(None, 15) == [[("credit", "silence", "firing", 0)]]


def test_a_team_gets_all_its_models_in_one_message() -> None:
    told = Driven(rule(group_wait="10s", group_by="team", team="payments"))
    for number in range(50):
        assert told.told(alert(model=f"m{number}"), 0) == []
    (notice,) = told.notices(None, 10)
    assert len(notice.alerts) == 50


def test_a_great_group_does_not_wait() -> None:
    told = Driven(rule(group_wait="1h", group_by="team"))
    sent = [notice for number in range(1_001) for notice in told.notices(alert(model=f"m{number}"), 0)]
    assert [len(notice.alerts) for notice in sent] == [1_000]


def test_what_was_not_sent_is_told_at_once_when_it_comes_again() -> None:
    told = Driven(rule())
    (notice,) = told.notices(FIRING, 0)
    forget(told.state, notice)
    assert told.told(FIRING, 1) == TOLD


def test_one_that_is_sent_again_is_for_its_rule_alone_whatever_the_cooldown_and_the_rule_say() -> None:
    told = Driven(rule(name="a", kinds=["drift"]), rule(name="b"))
    told.told(FIRING, 0)
    (notice,) = told.notices(FIRING, 1, only="a")
    assert notice.rule.name == "a"


def test_a_record_is_read_again_until_what_it_changed_is_told_and_saved() -> None:
    told = Driven(rule(group_wait="10s", cooldown="10m"))
    told.told(FIRING, 0)
    assert told.saved() == {}  # it waits for others: saved as told, it would never be told after a crash
    assert told.places() == [("alerts", 0, 0)]
    (notice,) = told.notices(None, 10)
    assert told.saved(notice) == {}  # it is being sent
    assert told.places() == [("alerts", 0, 0)]
    assert list(told.saved()) == [KEY]
    assert told.places() == []
    told.told(FIRING, 12)  # held back
    assert told.places() == [("alerts", 0, 1)]
    assert told.saved()[KEY].held is not None
    assert told.places() == []


def test_the_first_record_of_each_topic_is_read_again() -> None:
    told = Driven(rule(group_wait="10s"))
    for topic, offset in (("drift", 7), ("status", 3), ("drift", 8)):
        told.notices(FIRING, 0, place=(topic, 0, offset))
    assert sorted(told.places()) == [("drift", 0, 7), ("status", 0, 3)]


def test_another_worker_goes_on_with_the_cooldown_and_what_is_held_back() -> None:
    former, told = Driven(rule(cooldown="10m")), Driven(rule(cooldown="10m"))
    former.told(FIRING, 0)
    former.told(FIRING, 1)
    told.load(former.saved())
    assert told.told(FIRING, 2) == []
    assert told.told(None, 600) == [[("fraud-eu", "silence", "firing", 1)]]


def test_what_a_condition_is_saved_as_is_read_as_it_was() -> None:
    told = Driven(rule())
    told.told(alert(labels={"region": "eu"}), 5)
    told.told(FIRING, 6)
    for key, condition in told.saved().items():
        assert saved(key_bytes(key), condition_bytes(condition)) == (key, condition)
    assert saved(key_bytes(KEY), condition_bytes(None)) == (KEY, None)
    assert saved(b"nonsense", b"{}") is None


def test_a_copy_counts_if_it_is_newer_and_its_end_if_it_is_anothers() -> None:
    told, other = Driven(rule()), Driven(rule())
    told.told(FIRING, 0)
    former = told.saved()
    told.told(RESOLVED, 1)
    told.load(former)  # its own, come back from Kafka
    assert told.state.conditions[KEY].state == "resolved"
    other.load(former)
    other.load(told.saved())
    assert other.state.conditions[KEY].state == "resolved"
    other.load({KEY: None}, owned=True)
    assert KEY in other.state.conditions
    other.load({KEY: None}, owned=False)
    assert KEY not in other.state.conditions


def test_a_worker_lets_no_time_pass_for_what_another_one_owns() -> None:
    told = Driven(rule(cooldown="10m", expires="10m"))
    told.told(FIRING, 0)
    told.told(FIRING, 1)
    assert told.told(None, 600, owned=False) == []
    assert told.told(None, 600) != []
    told.told(None, 1_300, owned=False)
    assert KEY in told.state.conditions
    told.told(None, 1_200 + 86_400, owned=False)  # its owner has gone for good
    assert KEY not in told.state.conditions


def test_what_has_not_been_heard_of_for_long_is_forgotten() -> None:
    told = Driven(rule(cooldown="10m", expires="1h"))
    told.told(FIRING, 0)
    told.told(None, 3599)
    assert told.state.conditions
    told.told(None, 3600)
    assert not told.state.conditions
