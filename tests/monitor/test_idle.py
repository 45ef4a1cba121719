"""Windows by event time that time alone completes, where a model or a segment has fallen silent (`window.idle`)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from agents.backtest import backtest
from agents.settings import Settings
from schemas.drift import DriftDetected, ThresholdBreached
from schemas.message import Message
from schemas.metrics import Metrics, Prediction
from schemas.status import ModelStatus
from streams.stage import Input, Tick
from tests.monitor.driving import MODEL, Driven, at, heartbeat, metrics, of_type

WINDOW = {"duration": "10m", "advance": "1m", "grace": "30s", "idle": "2m", "min_samples": 5}
SILENT = Settings(monitor=[{"window": WINDOW, "detector": {"threshold": 2.0}}])


def minutes(count: int, last: float = 0.9) -> list[Metrics]:
    """Six records a minute around 0.9; those of the last minute around `last`."""
    return [
        metrics(10.0 * number, accuracy=(last if number >= 6 * (count - 1) else 0.9) + number % 5 / 200)
        for number in range(6 * count)
    ]


def test_the_last_pane_of_a_silent_model_is_judged_when_its_time_has_passed() -> None:
    driven = Driven(SILENT)
    driven.clock = 5_000
    driven.feed(*minutes(8, last=0.7))  # the last record is of 7:50
    due = 5_000 + (480 + 30 + 120 - 470) * 1_000
    assert driven.deadline == due
    assert driven.feed(Tick(due - 1)) == []
    driven.feed(Tick(due + 800))
    (drift,) = of_type(DriftDetected, driven.outputs)
    assert (drift.window.end, drift.timestamp) == (at(480), at(480 + 30 + 120))
    assert drift.cause.offset == 47
    status = of_type(ModelStatus, driven.outputs)[-1]
    assert (str(status.state), status.timestamp) == ("drift", drift.timestamp)
    assert driven.deadline is None


def test_its_numbers_are_those_that_the_next_record_would_have_told() -> None:
    silent, goes_on = Driven(SILENT), Driven(SILENT)
    for driven in (silent, goes_on):
        driven.feed(*minutes(8, last=0.7))
    silent.feed(Tick(10**6))
    goes_on.feed(metrics(3_000))
    (told,), (expected,) = (of_type(DriftDetected, driven.outputs) for driven in (silent, goes_on))
    apart = {"timestamp", "cause"}
    assert told.model_dump(exclude=apart) == expected.model_dump(exclude=apart)


def test_what_comes_after_that_is_late_for_the_pane_and_in_time_for_the_next() -> None:
    driven = Driven(SILENT)
    driven.feed(*minutes(8), Tick(10**9))
    driven.clock = 10**9
    driven.feed(metrics(479), metrics(480), metrics(481))
    assert driven.state.counts["late_values"] == 1
    panes = driven.state.versions[0].series["accuracy"].panes
    assert panes is not None
    assert panes.panes[max(panes.panes)].count == 2


def test_without_idle_no_tick_completes_anything() -> None:
    window = {key: value for key, value in WINDOW.items() if key != "idle"}
    driven = Driven(Settings(monitor=[{"window": window}]))
    driven.feed(*minutes(8))
    assert driven.deadline is None
    assert driven.feed(Tick(10**9)) == []


def test_a_minimum_is_held_against_the_last_pane_too() -> None:
    driven = Driven(Settings(monitor=SILENT.monitor, retrain=[{"min": {"accuracy": 0.8}}]))
    driven.feed(*minutes(8, last=0.7))
    driven.feed(Tick(10**6))
    (breach,) = of_type(ThresholdBreached, driven.outputs)
    assert (breach.timestamp, breach.cause.offset) == (at(630), 47)


def test_a_silent_segment_is_judged_although_the_others_go_on() -> None:
    driven = Driven(Settings(monitor=[{"segment_by": "region", "window": WINDOW, "detector": {"threshold": 2.0}}]))
    out_of_order = metrics(461, accuracy=0.7)
    driven.feed(*(labelled(message, "eu") for message in [*minutes(8, last=0.7), out_of_order]))
    for minute in range(3):
        driven.clock = 60_000 * (minute + 1)
        driven.feed(labelled(metrics(480 + 60.0 * minute), "us"))
        assert driven.deadline == 160_000
        driven.feed(Tick(driven.clock))
    (drift,) = of_type(DriftDetected, driven.outputs)
    assert (drift.segment, drift.timestamp, drift.cause.offset) == ("eu", at(630), 48)


def labelled(message: Metrics, region: str) -> Metrics:
    return message.model_copy(update={"labels": {"region": region}})


EVERYWHERE: dict[str, Any] = {"duration": "20s", "advance": "5s", "grace": "3s", "min_samples": 2}
BOTH = Settings(
    monitor=[
        {"window": EVERYWHERE | {"idle": "4s"}, "detector": {"threshold": 1.0}},
        {"metric": "recall", "window": EVERYWHERE | {"advance": "4s", "idle": "9s"}, "detector": {"threshold": 0.7}},
        {"segment_by": "region", "window": EVERYWHERE | {"idle": "7s"}, "detector": {"threshold": 0.8}},
    ],
    retrain=[{"min": {"accuracy": 0.6}}],
)


@st.composite
def records(draw: st.DrawFn) -> Message:
    value, other = draw(st.sampled_from([0.9, 0.91, 0.92, 0.5])), draw(st.none() | st.sampled_from([0.8, 0.4]))
    made = metrics(draw(st.integers(0, 40)), draw(st.sampled_from(["1", "1", "2"])), accuracy=value, recall=other)
    return made.model_copy(update={"labels": draw(st.sampled_from([{}, {"region": "eu"}, {"region": "us"}]))})


def inputs_of(driven: Driven, items: list[Message | int], short: bool) -> list[Input]:
    """Messages as events; of numbers as many milliseconds, in one tick or in many short ones."""
    inputs: list[Input] = []
    for item in items:
        if not isinstance(item, int):
            inputs.append(driven.event(item))
            continue
        end, step = driven.clock + item, 700 if short else item
        inputs += [Tick(clock) for clock in range(driven.clock + step, end, step)]
        driven.clock = end
        inputs.append(Tick(end))
    return inputs


@profile(max_examples=60, deadline=None)
@given(
    st.lists(records() | st.sampled_from([900, 5_000, 30_000]), max_size=50),
    st.lists(st.integers(0, 300), max_size=8),
)
def test_however_ticks_and_steps_are_cut_the_same_is_said(items: list[Message | int], cuts: list[int]) -> None:
    whole, pieces = Driven(BOTH), Driven(BOTH)
    whole.step(inputs_of(whole, items, short=False))
    inputs = inputs_of(pieces, items, short=True)
    edges = [0, *sorted(min(cut, len(inputs)) for cut in cuts), len(inputs)]
    for begin, end in pairwise(edges):
        pieces.step(inputs[begin:end])
    assert pieces.outputs == whole.outputs
    assert (pieces.data, pieces.table) == (whole.data, whole.table)
    assert whole.deadline is None or whole.deadline > whole.clock
    ids = [output.message.event_id for output in whole.outputs if output.message]
    assert len(set(ids)) == len(ids)


def test_a_backtest_judges_a_silent_model_when_others_show_that_time_has_passed() -> None:
    others = [metrics(second).model_copy(update={"model_name": "other"}) for second in range(480, 800, 10)]
    silent = minutes(8, last=0.7)
    (drift,) = backtest([*silent, *others], SILENT).drift
    assert (drift["model_name"], drift["timestamp"]) == (MODEL, at(630).isoformat().replace("+00:00", "Z"))
    assert backtest([*silent, *others[:14]], SILENT).drift == []


def test_a_backtest_wakes_a_model_whose_deadline_follows_from_a_record_of_the_same_batch() -> None:
    asked = Settings(monitor=SILENT.monitor, retrain=[{"min": {"accuracy": 0.8}}])
    others = [metrics(second).model_copy(update={"model_name": "other"}) for second in range(60, 290, 10)]
    (breach,) = backtest([*minutes(1, last=0.7), *others], asked).drift
    assert (breach["model_name"], breach["cause"]["offset"]) == (MODEL, 6)  # its last line


def test_a_pane_waits_on_though_the_one_before_it_was_completed_by_another_record_of_the_same_step() -> None:
    driven = Driven(SILENT)
    driven.feed(*minutes(1), metrics(60), metrics(91, f1_score=0.5))
    assert driven.deadline == (120 + 30 + 120 - 91) * 1_000


def test_nothing_else_of_a_model_without_heartbeats_waits_for_a_tick() -> None:
    driven = Driven(Settings(monitor=SILENT.monitor, label_horizon="10s"))
    waits = Prediction(model_name=MODEL, timestamp=at(470), prediction_id="a", y_pred=1)
    driven.feed(*minutes(8), waits, Tick(10**6))
    assert driven.state.counts["unmatched_predictions"] == 1


def test_a_replay_of_old_records_is_not_ahead_of_them_by_the_years_since() -> None:
    driven = Driven(SILENT)
    driven.clock = 10**11
    for message in minutes(8, last=0.7):
        driven.feed(message)
        driven.clock += 20  # at five hundred times the speed
        driven.feed(Tick(driven.clock))
    assert of_type(DriftDetected, driven.outputs) == []
    assert "late_values" not in driven.state.counts


def test_a_silent_model_with_heartbeats_is_judged_before_it_is_told_to_be_silent() -> None:
    driven = Driven(Settings(monitor=SILENT.monitor, heartbeat_timeout="10m"))
    driven.feed(*minutes(8, last=0.7), heartbeat(471))
    driven.feed(Tick(10**9))
    assert driven.states()[-2:] == ["drift", "silent"]


@pytest.mark.parametrize("window", [{"idle": "1m"}, {"size": 100, "idle": "1m"}])
def test_idle_needs_a_duration(window: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected a duration beside advance, grace and idle"):
        Settings(monitor=[{"window": window}])


def test_state_from_before_there_was_idle_is_read_and_waits_for_the_next_record() -> None:
    driven = Driven(SILENT)
    driven.feed(*minutes(8))
    assert driven.data is not None
    fields = msgspec.msgpack.decode(driven.data[1:])
    *former, timed = fields
    panes = former[1][0][1]["accuracy"][-1]
    assert (timed, panes.pop()[1:]) == ({}, ["metrics", 0, 47])
    driven.data = driven.data[:1] + msgspec.msgpack.encode(former)
    assert driven.deadline is None
    driven.feed(metrics(479))
    assert driven.deadline == (480 + 30 + 120 - 479) * 1_000
