"""Columns are a shorter way to the same place: states and outputs are those of one event after the other."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.monitor.columns import columns_of
from agents.monitor.stage import MonitorInput, MonitorStage
from agents.settings import Settings
from schemas.columns.decoder import ColumnDecoder
from schemas.compact import CompactMetrics, compact_parser
from schemas.kernel import COMPILED
from schemas.parse import parser_for
from streams import measuring
from streams.parts import MemoryTable, Parts
from streams.processor import Processor
from streams.records import Forward, Output, StoredRecord
from streams.run import EventRun
from streams.stage import Event

SETTINGS = Settings(
    monitor=[{"metric": "accuracy", "window": {"size": 8, "min_samples": 3}, "detector": {"threshold": 1.5}}],
    retrain=[{"min": {"precision": 0.5, "extras.auc": 0.2}, "min_average_precision_recall": 0.6}],
)

#: What may be taken the quick way: nothing is asked that needs more than the window.
QUICK = Settings(monitor=[{"metric": "accuracy", "window": {"size": 12, "min_samples": 3}}])

#: A detector with a memory of its own beside one that judges by the window.
REMEMBERS = Settings(
    monitor=[
        {"metric": "accuracy", "detector": {"name": "adwin", "clock": 1, "delta": 0.5, "grace_period": 5}},
        {"metric": "precision", "window": {"size": 8, "min_samples": 3}, "detector": {"threshold": 1.5}},
        {"metric": "extras.b", "detector": {"name": "stepd", "window_size": 5}},
    ],
)

#: Nothing is said of calm values, but what waits and versions that went away go soon.
FORGETS = Settings(
    monitor=[{"metric": "precision"}, {"metric": "error", "window": {"size": 5, "min_samples": 2}}],
    label_horizon="4s",
    version_retention="5s",
)

#: What waits and a former version are to go while nothing but calm values come; and windows by event time are complete.
TIMED = Settings(
    monitor=[{"metric": metric, "window": {"duration": "20s", "min_samples": 2}} for metric in ("accuracy", "error")],
    label_horizon="9s",
)

ratios = st.sampled_from([0.1, 0.5, 0.8, 0.9, 1])
messages = st.fixed_dictionaries(
    {"accuracy": ratios},
    optional={
        "precision": ratios,
        "recall": ratios,
        "extras": st.sampled_from([{"auc": 0.1}, {"auc": 0.9, "b": 7}, {"b": 7, "auc": 0.9}]),
        "model_version": st.sampled_from(["1", "2"]),
        "labels": st.just({"region": "eu"}),
        "type": st.sampled_from(["metrics", "heartbeat", "schema_drift"]),
    },
)
# Mostly alike, as fleets send them, so that columns are made; and now and then anything.
retirements = st.just({"type": "operator_action", "action": "retire", "actor": "ann"})
halves = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["prediction", "label"]),
        "prediction_id": st.sampled_from("abc"),
        "y_pred": st.just(1),
        "y_true": st.just(0),
    }
)
streams = st.one_of(
    st.lists(messages, max_size=40),
    st.lists(messages.map(lambda m: {"accuracy": m["accuracy"]}) | halves, max_size=40),
    st.lists(messages | retirements, max_size=20),
    st.lists(messages.map(lambda m: {"accuracy": m["accuracy"]})),
)


def records(contents: list[dict[str, Any]]) -> list[StoredRecord]:
    plain = {"type": "metrics", "model_name": "m", "model_version": "1"}
    values = [json.dumps(plain | {"timestamp": 1.7e9 + at} | content).encode() for at, content in enumerate(contents)]
    return [StoredRecord("metrics", 0, at, 0, b"m", value) for at, value in enumerate(values)]


def one_by_one(stored: list[StoredRecord], asked: Settings) -> tuple[bytes | None, list[Output]]:
    stage, outputs = MonitorStage(asked), []
    state = stage.new_state("m", Parts(MemoryTable()))
    for record in stored:
        message = stage.decode(record.value, ())
        (event,) = EventRun(0, [record], [0], [message])
        assert isinstance(event, Event)
        state, found = stage.step(state, [event])
        outputs += found
    return stage.encode_state(state), outputs


COLUMNS = ColumnDecoder(compact_parser(parser_for(MonitorInput))) if COMPILED else None

#: What decodes in columns, and what decodes one by one.
DECODING = ["by kernels", "one by one"] if COMPILED else ["one by one"]


@pytest.mark.parametrize("decoding", DECODING)
@settings(max_examples=300, deadline=None)
@given(streams, st.sets(st.integers(0, 40)), st.sampled_from([SETTINGS, QUICK, REMEMBERS, TIMED]))
def test_any_batches_of_columns_equal_one_event_after_the_other(
    decoding: str, contents: list[dict[str, Any]], cuts: set[int], asked: Settings
) -> None:
    stored = records(contents)
    table = MemoryTable()
    stage = MonitorStage(asked)
    expected_state, expected = one_by_one(stored, asked)
    bounds = [0, *sorted(cut for cut in cuts if cut < len(stored)), len(stored)]
    with pytest.MonkeyPatch.context() as patch:
        if decoding == "by kernels":
            assert COLUMNS is not None
            patch.setattr(stage, "decode_columns", COLUMNS.decode)  # however few they are
            patch.setattr(measuring.load, "done", True)
        processor, found = Processor(stage, 0, 1, table), list[Output | Forward]()
        for begin, end in pairwise(bounds):
            found += processor.process(stored[begin:end])
    assert found == expected
    if stored:
        assert table.get(b"m") == expected_state


def run_of(messages: list[Any]) -> EventRun:
    return EventRun(0, [], range(len(messages)), messages)


def test_what_fleets_send_nearly_always_is_taken_in_columns() -> None:
    stage = MonitorStage(SETTINGS)
    decoded = [stage.decode(record.value, ()) for record in records([{"accuracy": 0.9, "extras": {"auc": 0.8}}] * 3)]
    assert [type(message) for message in decoded] == [CompactMetrics] * 3
    columns = columns_of(run_of(decoded[1:]), with_average=False)
    assert columns is not None
    values = {metric: column.tolist() for metric, column in columns.values.items()}
    assert values == {"accuracy": [0.9, 0.9], "extras.auc": [0.8, 0.8]}
    assert columns.latest == 1_700_000_002_000_000
    labelled = stage.decode(records([{"accuracy": 0.9, "labels": {"region": "eu"}}])[0].value, ())
    assert columns_of(run_of([*decoded, labelled]), with_average=False) is None


KINDS: dict[str, list[dict[str, Any]]] = {
    "metrics": [{"accuracy": 0.9 + at % 7 / 100} for at in range(130)],
    "outcomes": [{"type": "outcomes", "y_true": [1, 0], "y_pred": [1, int(at % 7 == 0)]} for at in range(130)],
}


@pytest.mark.parametrize("together", [7, 60])
@pytest.mark.parametrize("asked", [FORGETS, TIMED], ids=["forgets", "by event time"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_time_brings_about_is_not_passed_over(kind: str, asked: Settings, together: int) -> None:
    calm = list(KINDS[kind])
    calm[8] = {"type": "prediction", "prediction_id": "a", "y_pred": 1}
    stored = records([message | {"model_version": "1" if at < 7 else "2"} for at, message in enumerate(calm)])
    table = MemoryTable()
    processor, found = Processor(MonitorStage(asked), 0, 1, table), list[Output | Forward]()
    for begin in (0, *range(10, len(stored), together)):
        found += processor.process(stored[begin : 10 if not begin else begin + together])
        expected_state, expected = one_by_one(stored[: 10 if not begin else begin + together], asked)
        assert found == expected
        assert table.get(b"m") == expected_state
