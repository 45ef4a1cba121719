"""How events are batched, and how models are spread over processes, changes nothing of what comes out."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.backtest import Timelines, backtest, recorded, replay, spread
from agents.backtest.replay import Findings, monitor
from agents.backtest.result import in_time_order
from agents.backtest.share import Share
from agents.backtest.sources import EventLike, Item, Source
from agents.backtest.spread import ProcessLost
from agents.monitor.stage import MonitorInput, MonitorStage
from agents.recording.items import Recorded, SourceRecord, TimePassed
from agents.settings import MonitorRule, RetrainRule, Settings, WindowSettings
from schemas.columns.decoder import ColumnDecoder
from schemas.compact import compact_parser
from schemas.kernel import COMPILED
from schemas.metrics import ValidationScore
from schemas.parse import parser_for
from streams.origin import ORIGIN_HEADERS
from streams.partitioner import partition_of
from streams.parts import MemoryTable
from streams.processor import Processor
from streams.records import Forward, Output
from tests.backtest.events import START, metrics

QUICK = Settings(
    heartbeat_timeout=timedelta(seconds=60),
    monitor=[MonitorRule(window=WindowSettings(size=10, min_samples=3))],
    retrain=[RetrainRule(min={"accuracy": 0.5}, cooldown=timedelta(seconds=90))],
    retrain_budget_per_hour=3,
)

#: Time alone completes its windows.
IDLE = Settings(
    heartbeat_timeout=timedelta(seconds=60),
    monitor=[
        {
            "detector": {"threshold": 0.7},
            "window": {"duration": "40s", "advance": "20s", "idle": "30s", "min_samples": 2},
        }
    ],
    retrain=[RetrainRule(min={"accuracy": 0.6}, cooldown=timedelta(seconds=90))],
)

#: The last is at home in another process than the others, of two, and in another partition.
models = st.sampled_from(["a", "b", "d"])
steps = st.sampled_from([0, 1, 5, 20, 35, 61, 200, -30])


@st.composite
def histories(draw: st.DrawFn) -> list[bytes | dict[str, Any]]:
    """Metrics, heartbeats, and lines that are no message, at times that mostly go on."""
    time, events = 0, list[bytes | dict[str, Any]]()
    for _ in range(draw(st.integers(1, 60))):
        time += draw(steps)
        value = draw(st.sampled_from([0.9, 0.91, 0.92, 0.9, 0.4]))
        event = metrics(time, value, draw(models), model_version=draw(st.sampled_from(["1", "1", "2"])))
        if draw(st.booleans()):  # as columns take it
            event["timestamp"] = event["timestamp"].replace("+00:00", "Z")
        kind = draw(st.integers(0, 9))
        events.append(b"{" if kind == 0 else event | {"type": "heartbeat"} if kind < 4 else event)
    return events


COLUMNS = ColumnDecoder(compact_parser(parser_for(MonitorInput))) if COMPILED else None


def told(
    events: Sequence[bytes | dict[str, Any]] | Source,
    batch: int,
    columns: ColumnDecoder | None = None,
    settings: Settings = QUICK,
    in_processes: Callable[..., Findings] = spread.monitor_in_processes,
    **more: Any,
) -> str:
    """Everything that comes out, as text, where `batch` records are applied together."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replay, "BATCH_RECORDS", batch)
        patch.setattr(spread, "monitor_in_processes", in_processes)
        if columns is not None:  # however few they are
            patch.setattr(MonitorStage, "decode_columns", lambda _, values: columns.decode(values))
        result = backtest(events, settings, **more).as_dict()
    return json.dumps(result | {"elapsed_seconds": 0, "events_per_second": 0})


def one_after_the_other(events: Iterable[EventLike | Item], settings: Settings, processes: int) -> Findings:
    """What so many processes find, without making them."""
    found = Findings()
    for number in range(processes):
        found.add(monitor(events, [settings], share=Share(number, processes))[0])
    return found


@settings(max_examples=60, deadline=None)
@given(histories(), st.integers(2, 30))
def test_what_comes_out_does_not_depend_on_batches(events: list[bytes | dict[str, Any]], batch: int) -> None:
    one_by_one = told(events, 1)
    assert told(events, batch) == one_by_one
    assert told(events, 10_000) == one_by_one
    assert told(events, batch, COLUMNS) == one_by_one


@settings(max_examples=30, deadline=None)
@given(histories(), st.integers(2, 30))
def test_events_are_numbered_alike_in_columns(events: list[bytes | dict[str, Any]], batch: int) -> None:
    one_by_one, in_columns = Timelines(), Timelines()
    told(events, 1, observer=one_by_one)
    told(events, batch, COLUMNS, observer=in_columns)
    assert in_columns.keys() == one_by_one.keys()
    for model, timeline in one_by_one.items():
        assert vars(in_columns[model]) == vars(timeline)


def test_a_model_is_silent_from_its_last_record_on_though_many_came_together() -> None:
    events: list[bytes | dict[str, Any]] = [metrics(0, 0.9, "a") | {"type": "heartbeat"}, *[metrics(0, 0.9, "b")] * 50]
    begin = START.timestamp()  # epoch seconds go the quick way
    events += [metrics(second, 0.9, "a") | {"timestamp": begin + second} for second in range(1, 51)]
    for last, alerts in ((109, 0), (110, 1)):
        assert len(json.loads(told([*events, metrics(last, 0.9, "b")], 51))["alerts"]) == alerts


@pytest.mark.parametrize(
    "first", [("heartbeat", "prediction"), ("prediction", "heartbeat"), ("heartbeat", "label")], ids="-".join
)
def test_a_half_is_given_up_before_the_other_though_both_came_together(first: tuple[str, str]) -> None:
    """Time passes by the records of another model."""
    fields = {"heartbeat": {}, "prediction": {"y_pred": 1}, "label": {"y_true": 1}}

    def of_a(second: int, kind: str) -> dict[str, Any]:
        shared = {"type": kind, "model_name": "a", "timestamp": metrics(second, 0)["timestamp"]}
        return shared | fields[kind] | ({} if kind == "heartbeat" else {"prediction_id": "1"})

    (other,) = {"prediction", "label"} - {*first}
    rules = Settings(label_horizon=timedelta(seconds=10))
    for late, given_up in ((10, 0), (15, 1)):
        events: list[bytes | dict[str, Any]] = [of_a(0, first[0]), of_a(1, first[1])]
        events += [metrics(late, 0.9, "b"), of_a(5, other), metrics(20, 0.9, "b")]
        one_by_one = told(events, 1, settings=rules)
        assert len(json.loads(one_by_one)["alerts"]) == given_up
        assert told(events, 10_000, settings=rules) == one_by_one


def test_a_budget_is_spent_in_the_order_of_time() -> None:
    events: list[bytes | dict[str, Any]] = [metrics(0, 0.4, "a"), metrics(100, 0.4, "a"), metrics(50, 0.4, "b")]
    events += [metrics(60, 0.4, "c"), metrics(30, 0.4, "d")]
    assert [each["model_name"] for each in json.loads(told(events, 10_000))["retrain"]] == ["a", "d", "b"]


def test_what_a_model_was_told_stays_in_order_where_its_clock_goes_back() -> None:
    first, second, third = (
        ValidationScore(model_name=model, timestamp=START + timedelta(seconds=time), score=0)
        for model, time in (("a", 50), ("a", 10), ("b", 20))
    )
    assert in_time_order([first, second, third]) == [third, first, second]
    assert in_time_order([first, third], [second]) == [second, third, first]


def test_processes_find_what_one_finds() -> None:
    values = [0.9, 0.91, 0.92, 0.9, 0.91] * 10 + [0.3] * 5
    events: list[bytes | dict[str, Any]] = [
        metrics(second * 30, value, model) for second, value in enumerate(values) for model in "abcdefgh"
    ]
    events[7:7] = [b"{", metrics(0, 0.9, "a") | {"type": "heartbeat"}]
    one = told(events, 10_000)
    assert len(json.loads(one)["retrain"]) == 3
    assert told(events, 10_000, processes=3) == one


@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.parametrize("processes", [1, 2])
def test_a_misplaced_record_with_an_offset_beyond_any_is_put_aside_once_as_live(copied: bool, processes: int) -> None:
    """A worker forwards it, and where it belongs it is refused for its headers, whether or not that is recorded."""
    record = misplaced(metrics(0, 0.9, "d"), 0, 10**18)
    live = [Processor(MonitorStage(QUICK), number, PARTITIONS, MemoryTable()) for number in range(PARTITIONS)]
    (sent,) = live[0].process([record])
    assert isinstance(sent, Forward)
    copy = SourceRecord("monitor-internal", 1, 0, 0, sent.key, sent.value, sent.headers)
    (refused,) = live[1].process([copy])
    items: list[Item] = [record, *[copy] * copied, misplaced(metrics(1, 0.9, "d"), 1, 0)]
    out = json.loads(told(recording_of(items), 7, None, QUICK, one_after_the_other, processes=processes))
    assert isinstance(refused, Output)
    assert refused.message is not None
    assert out["dead_letters"] == [refused.message.model_dump(mode="json")]


def test_a_copy_that_names_a_partition_that_is_not_there_is_processed() -> None:
    copy = copy_of(misplaced(metrics(0, 0.4, "d"), 9, 0), 1)
    (breach,) = json.loads(told(recording_of([copy]), 7))["drift"]
    assert breach["cause"]["partition"] == 9


def test_processes_need_events_that_can_be_read_again() -> None:
    with pytest.raises(ValueError, match=r"^processes: expected 1 for events that can be read only once$"):
        backtest(iter([metrics(0, 0.9)]), processes=2)


@settings(max_examples=25, deadline=None)
@given(histories(), st.sampled_from([QUICK, IDLE]), st.integers(2, 4), st.integers(2, 30))
def test_what_comes_out_does_not_depend_on_processes(
    events: list[bytes | dict[str, Any]], rules: Settings, processes: int, batch: int
) -> None:
    one_by_one = told(events, 1, settings=rules)
    for columns in (None, COLUMNS):
        in_turn = told(events, batch, columns, rules, one_after_the_other, processes=processes)
        assert in_turn == one_by_one


@pytest.mark.parametrize("processes", [2, 3, 4])
def test_a_model_is_silent_while_those_of_other_processes_go_on(processes: int) -> None:
    events: list[bytes | dict[str, Any]] = [metrics(0, 0.9, "a") | {"type": "heartbeat"}]
    events += [metrics(second, 0.9, "b") for second in (1, 1_000, 2_000)]
    one = told(events, 10_000)
    assert len(json.loads(one)["alerts"]) == 1
    assert told(events, 10_000, in_processes=one_after_the_other, processes=processes) == one


PARTITIONS = 2


@st.composite
def recordings(draw: st.DrawFn) -> Source:
    """Records in two partitions, some in the wrong one, of these some with their copies, ticks, what is broken."""
    items, strays, time = list[Item](), list[SourceRecord](), 0
    for offset in range(draw(st.integers(1, 50))):
        time += abs(draw(steps))
        partition, kind = draw(st.integers(0, PARTITIONS - 1)), draw(st.integers(0, 9))
        event = metrics(time, draw(st.sampled_from([0.9, 0.91, 0.4])), draw(models))
        if kind == 0 or (kind == 1 and not strays):
            items.append(TimePassed("monitor", partition, draw(st.sampled_from([1_000, 61_000]))))
        elif kind == 1:
            copied = strays.pop(0)
            wrong = draw(st.integers(0, 4)) == 0
            home = partition_of(json.loads(copied.value or b"")["model_name"], PARTITIONS)
            topic = b"no topic" if draw(st.integers(0, 4)) == 0 else b"metrics"
            items.append(copy_of(copied, 1 - home if wrong else home, topic))
        else:
            written = b"{" if kind == 2 else json.dumps(event | ({"type": "heartbeat"} if kind < 6 else {})).encode()
            record = SourceRecord("metrics", partition, offset, 1000 * time, None, written)
            items.append(record)
            if kind != 2 and partition_of(event["model_name"], PARTITIONS) != partition:
                strays.append(record)
    return recording_of(items)


def misplaced(event: dict[str, Any], partition: int, offset: int) -> SourceRecord:
    return SourceRecord("metrics", partition, offset, 0, None, json.dumps(event).encode())


def copy_of(record: SourceRecord, partition: int, topic: bytes = b"metrics") -> SourceRecord:
    places = (topic, b"%d" % record.partition, b"%d" % record.offset)
    headers = tuple(zip(ORIGIN_HEADERS, places, strict=True))
    return SourceRecord("monitor-internal", partition, 0, 0, None, record.value, headers)


def recording_of(items: Sequence[Item]) -> Source:
    known = Recorded("", {"metrics": PARTITIONS, "monitor-internal": PARTITIONS}, ("monitor",))
    return Source("recording", lambda: iter(items), known)


@settings(max_examples=40, deadline=None)
@given(recordings(), st.sampled_from([QUICK, IDLE]), st.integers(2, 4), st.sampled_from([2, 3, 100]))
def test_what_comes_out_of_a_recording_does_not_depend_on_processes(
    source: Source, rules: Settings, processes: int, waiting: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorded, "MOST_WAITING", waiting)
        patch.setattr(recorded, "BATCH_RECORDS", 7)
        one = told(source, 10_000, settings=rules)
        in_turn = told(source, 10_000, None, rules, one_after_the_other, processes=processes)
    assert in_turn == one


@pytest.mark.parametrize(("copied", "alerts"), [(False, 1), (True, 0)])
def test_records_wait_for_their_copies_with_those_of_other_processes(copied: bool, alerts: int) -> None:
    """Of three that wait the oldest is forwarded, before time passes. Model "d" is another process's than "a"."""
    heartbeat, first, second = metrics(0, 0.9, "a") | {"type": "heartbeat"}, metrics(0, 0.9, "d"), metrics(1, 0.9, "d")
    items: list[Item] = [
        misplaced(heartbeat, 1, 0),
        misplaced(first, 0, 0),
        misplaced(second, 0, 1),
        TimePassed("monitor", 0, 61_000),
    ]
    if copied:
        items.insert(2, copy_of(misplaced(first, 0, 0), 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorded, "MOST_WAITING", 2)
        patch.setattr(recorded, "BATCH_RECORDS", 1)
        one = told(recording_of(items), 1)
        assert len(json.loads(one)["alerts"]) == alerts
        assert told(recording_of(items), 1, in_processes=one_after_the_other, processes=2) == one


def test_processes_need_events_that_do_not_grow() -> None:
    grows = Source("kafka://here/metrics", lambda: iter(()), grows=True)
    with pytest.raises(ValueError, match=r"^processes: expected 1 for kafka://here/metrics, which grows: record it"):
        backtest(grows, processes=2)


def test_a_process_that_ends_without_a_result_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spread, "monitor", lambda *_, **__: os._exit(9))
    with pytest.raises(ProcessLost, match="before it was done"):
        backtest([metrics(0, 0.9)], processes=2)


def test_what_is_no_event_is_told_from_a_process_too() -> None:
    with pytest.raises(TypeError, match=r"^event 2: "):
        backtest([metrics(0, 0.9), 7], processes=2)  # type: ignore[list-item]
