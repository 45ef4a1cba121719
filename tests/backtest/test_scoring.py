"""Alarms beside labels.

events      0         10        20        30        40
labels                ├─10───15┤          ├ 30
max delay 3                     ─┤         ──┤
alarms           5      12 14   18  20           33  34
                 false  finds   repeats  false   finds  false
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.backtest import Rules, Timelines, backtest, parse_labels, score_alarms
from agents.backtest.labels import Label
from agents.backtest.scoring import MaxDelay, Score, match, parse_max_delay, quantile, score_series, spans_of, told
from agents.backtest.timeline import Timeline
from agents.settings import Settings
from schemas.fields import EPOCH
from streams.origin import Origin
from tests.backtest.events import START, metrics

ALARMS = [5, 12, 14, 18, 20, 33, 34]
LABELS = [Label("m", 10, 15), Label("m", 30)]


def timeline(length: int = 50, batch: int = 1) -> Timeline:
    """Events a minute apart, in records of `batch`."""
    made = Timeline()
    for number, begin in enumerate(range(0, length, batch)):
        last = begin + batch - 1
        made.add(Origin("file", 0, number + 1), last * 60_000_000, batch)
    return made


def scored(alarms: list[int] = ALARMS, labels: list[Label] = LABELS, **rules: Any) -> Score:
    return score_series(alarms, labels, timeline(), Rules(**({"max_delay": 3} | rules)))


def test_the_first_alarm_in_a_window_finds_the_change_and_those_outside_of_all_are_false() -> None:
    score = scored()
    assert [(found.label, found.events, found.seconds) for found in score.found] == [
        (LABELS[0], 2, 120.0), (LABELS[1], 3, 180.0),
    ]  # fmt: skip
    assert (score.false_alarms, score.repeated, score.alarms) == (3, 2, 7)


def test_repeated_alarms_are_false_where_that_is_asked() -> None:
    score = scored(repeats="false")
    assert (len(score.found), score.false_alarms, score.repeated, score.alarms) == (2, 5, 0, 7)


def test_the_delay_counts_from_the_end_of_a_label() -> None:
    assert [len(scored([at], max_delay=3).found) for at in (9, 10, 18, 19, 30, 33, 34)] == [0, 1, 1, 0, 1, 1, 0]
    assert [len(scored([at], max_delay=0).found) for at in (15, 16, 30, 31)] == [1, 0, 1, 0]


def test_the_delay_may_be_a_length_of_time() -> None:
    three_minutes = timedelta(minutes=3)
    assert scored(max_delay=three_minutes).as_dict() == scored(max_delay=3).as_dict()


def test_without_a_limit_a_change_is_found_up_to_the_next_one() -> None:
    score = scored([29, 45], max_delay=None)
    assert [found.events for found in score.found] == [19, 15]
    assert score.false_alarms == 0


def test_a_label_ends_where_the_next_begins_so_that_an_alarm_finds_one_change() -> None:
    score = scored([12], [Label("m", 10, 40), Label("m", 11)], max_delay=100)
    assert (score.found[0].label, len(score.missed)) == (Label("m", 11), 1)


def test_figures_are_those_of_the_definitions() -> None:
    figures = scored([5, 12, 40], LABELS).as_dict()
    assert figures | {"delay": None} == {
        "labels": 2, "found": 1, "missed": 1, "outside": 0, "detection_rate": 0.5, "delay": None,
        "mean_delay_events": (2 + 4) / 2, "alarms": 3, "false_alarms": 2, "repeated_alarms": 0,
        "false_alarms_per_10000_events": 400.0, "false_alarms_per_day": 2 / (49 / 1440), "precision": 1 / 3,
        "recall": 0.5, "f1": 2 / 5, "events": 50, "days": 49 / 1440,
    }  # fmt: skip
    assert figures["delay"]["events"] == {"median": 2, "p90": 2}


def test_where_there_is_nothing_to_divide_by_there_is_no_figure() -> None:
    figures = score_series([], [], Timeline(), Rules()).as_dict()
    for figure in ("detection_rate", "precision", "recall", "f1", "false_alarms_per_day", "mean_delay_events"):
        assert figures[figure] is None


def test_the_p90_is_a_delay_that_occurred() -> None:
    assert [quantile(list(range(1, 11)), share) for share in (0.5, 0.9)] == [5.5, 9]
    assert quantile([7.0], 0.9) == 7.0


def test_labels_beyond_the_recording_are_not_judged() -> None:
    score = scored([], [*LABELS, Label("m", 50), Label("m", -5)], max_delay=3)
    assert (len(score.missed), score.outside) == (2, 2)


def test_what_lies_in_the_probation_is_not_judged() -> None:
    score = scored(probation=20)
    assert (len(score.found), score.false_alarms, score.events, score.outside) == (1, 2, 30, 1)
    assert scored(probation=0.4).as_dict() == score.as_dict()


@pytest.mark.parametrize("batch", [1, 5, 25])
def test_a_label_in_time_lies_at_the_first_event_of_the_record_that_reached_it(batch: int) -> None:
    label = Label("m", EPOCH + timedelta(minutes=24), EPOCH + timedelta(minutes=24))
    ((_, span),) = spans_of([label], timeline(50, batch), 0)
    assert span.begin == 25 - batch


def test_outcomes_with_times_of_their_own_say_where_within_a_record_a_label_lies() -> None:
    made = Timeline()
    made.add(Origin("file", 0, 1), 49 * 60_000_000, 50, [minute * 60_000_000 for minute in range(50)])
    ((_, span),) = spans_of([Label("m", EPOCH + timedelta(minutes=24))], made, 2)
    assert (span.begin, span.end) == (24, 27)


def test_an_alarm_lies_at_the_end_of_its_record() -> None:
    made = timeline(50, 5)
    cause = {"topic": "file", "partition": 0, "offset": 3}
    assert made.event_of({"cause": cause}) == 14
    assert made.event_of({"cause": cause | {"offset": 99}}) is None
    assert made.event_of({"cause": cause | {"topic": "other"}}) is None


@given(
    alarms=st.lists(st.integers(0, 99), unique=True).map(sorted),
    begins=st.lists(st.integers(0, 99), unique=True, max_size=8).map(sorted),
    max_delay=st.one_of(st.none(), st.integers(0, 60)),
)
def test_every_alarm_is_counted_once_and_every_label_too(
    alarms: list[int], begins: list[int], max_delay: MaxDelay
) -> None:
    score = score_series(alarms, [Label("m", begin) for begin in begins], timeline(100), Rules(max_delay))
    assert len(score.found) + score.false_alarms + score.repeated == score.alarms == len(alarms)
    assert len(score.found) + len(score.missed) == len(begins)
    halves = [
        score_series(alarms, [Label("m", begin) for begin in begins], timeline(100), Rules(max_delay), part)
        for part in ((0, 50), (50, 100))
    ]
    assert sum(half.labels for half in halves) == score.labels
    assert sum(half.false_alarms for half in halves) == score.false_alarms


def test_matching_takes_spans_as_they_come() -> None:
    assert match([1, 2, 7], [(2, 4), (5, 6)]) == ([1, None], [], [0, 2])


def fall(model: str, **more: Any) -> list[dict[str, Any]]:
    """100 values around 0.9, then 20 of 0.5."""
    return [metrics(60 * n, 0.9 + n % 2 / 100 if n < 100 else 0.5, model, **more) for n in range(120)]


WATCHED = Settings(
    monitor=[
        {"metric": "accuracy", "window": {"size": 50, "min_samples": 10}},
        {"metric": "extras.auc", "window": {"size": 50, "min_samples": 10}},
    ]
)


def test_the_alarms_of_a_backtest_are_scored_model_by_model() -> None:
    timelines = Timelines()
    events = [event for each in ("a", "b", "c") for event in fall(each)]
    result = backtest(events, WATCHED, observer=timelines)
    labels = parse_labels({"a": [100], "b": [], "d": [3]})
    document = score_alarms(result.drift, labels, timelines, Rules(max_delay=20)).as_dict()
    a, b = document["series"]
    first = result.drift[0]
    assert (a["model"], a["found"], a["false_alarms"]) == ("a", 1, 0)
    (found,) = a["found_labels"]
    assert found == {"begin": 100, "end": 100, "alarm": first["event_id"], "delay": {"events": 0, "seconds": 0.0}}
    assert (b["labels"], b["false_alarms"], b["events"]) == (0, sum(d["model_name"] == "b" for d in result.drift), 120)
    assert (document["not_labelled"], document["not_in_source"]) == (["c"], ["d"])
    assert document["total"]["alarms"] == a["alarms"] + b["alarms"]
    assert document["rules"] == {"max_delay": "20 events", "repeats": "ignored", "probation": 0.0}


def test_a_label_of_one_metric_is_found_by_that_metric_alone() -> None:
    events = fall("a", extras={"auc": 0.7})
    timelines = Timelines()
    result = backtest(events, WATCHED, observer=timelines)
    labels = parse_labels([{"model": "a", "metric": "extras.auc", "begin_event": 100}, {"begin_event": 100}])
    either, auc = score_alarms(result.drift, labels, timelines, Rules(max_delay=20)).series
    assert (either.metric, len(either.score.found)) == ("", 1)
    assert (auc.metric, len(auc.score.missed), auc.score.alarms) == ("extras.auc", 1, 0)


def test_a_warning_is_no_alarm() -> None:
    settings = Settings(monitor=[{"metric": "error", "detector": {"name": "ddm"}}])
    time = START.isoformat()
    wrong = [[0] * 9 + [1]] * 20 + [[0, 1, 1, 1, 1]] * 20
    events = [
        {"type": "outcomes", "model_name": "a", "timestamp": time, "y_true": [0] * len(y), "y_pred": y} for y in wrong
    ]
    timelines = Timelines()
    drift = backtest(events, settings, observer=timelines).drift
    assert {each["severity"] for each in drift} == {"warning", "drift"}
    total = score_alarms(drift, parse_labels({"a": [200]}), timelines, Rules(0, "false")).total
    assert total.alarms == sum(each["severity"] == "drift" for each in drift)


def test_a_label_in_time_is_that_in_events() -> None:
    timelines = Timelines()
    result = backtest(fall("a"), WATCHED, observer=timelines)
    by_time = parse_labels([{"begin": (START + timedelta(minutes=100)).isoformat()}])
    by_event = parse_labels([{"begin_event": 100}])
    one, other = (score_alarms(result.drift, each, timelines, Rules()).total.as_dict() for each in (by_time, by_event))
    assert one == other


@pytest.mark.parametrize(
    ("text", "delay", "in_words"),
    [
        ("500", 500, "500 events"), ("90m", timedelta(minutes=90), "1h30m"), ("none", None, "up to the next label"),
    ],
)  # fmt: skip
def test_a_max_delay_is_a_number_of_events_a_duration_or_none(text: str, delay: MaxDelay, in_words: str) -> None:
    assert parse_max_delay(text) == delay
    assert told(delay) == in_words


def test_another_max_delay_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a number of events, a duration"):
        parse_max_delay("soon")
