"""The verifier of the fault runs must itself fail when a record or an output is missing or doubled."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pytest

from agents.backtest import backtest
from agents.monitor.stage import MonitorStage
from agents.settings import Settings
from schemas.internal import Run
from streams.cuts import cut_record
from streams.partitioner import partition_of
from streams.parts import MemoryTable
from streams.processor import Processor
from streams.records import StoredRecord
from tests.chaos.fleet import MALFORMED, Sent, stream
from tests.chaos.poison import fragile_monitor
from tests.chaos.verifier import Json, Seen, StageSeen, is_malformed, order_told, verify
from tests.loop.driving import PARTITIONS

SETTINGS = Settings()
RECORDS = 6_500
MODEL, INTERNAL = "m1", "monitor-internal"
HOME = partition_of(MODEL, PARTITIONS)
TOPICS = ("drift", "retrain", "alerts", "dead-letter")


def stored(number: int, sent: Sent) -> StoredRecord:
    headers = [(MALFORMED, b"1")] if sent.malformed else []
    return StoredRecord("metrics", 0, number, number, sent.key.encode(), sent.value, headers)


@pytest.fixture(scope="module", autouse=True)
def fragile() -> Iterator[None]:
    with fragile_monitor():
        yield


@pytest.fixture(scope="module")
def recorded() -> list[StoredRecord]:
    return [stored(number, sent) for number, sent in enumerate(islice(stream(seed=1), RECORDS))]


def what_a_worker_leaves(recorded: list[StoredRecord], applied: Iterable[StoredRecord]) -> Seen:
    """The input as recorded, and what comes out where `applied` is what really was applied."""
    applied = list(applied)
    said = backtest(applied, SETTINGS)
    outputs = {"drift": said.drift, "retrain": said.retrain, "alerts": said.alerts, "dead-letter": said.dead_letters}
    monitor: Processor[Any] = Processor(MonitorStage(SETTINGS), partition=0, partitions=1, table=MemoryTable())
    monitor.process(applied)
    return Seen(recorded, outputs, dict(monitor.states()))


def model_of(record: StoredRecord) -> str | None:
    if is_malformed(record) or record.value is None:
        return None
    name: str = json.loads(record.value)["model_name"]
    return name


@pytest.fixture(scope="module")
def faultless(recorded: list[StoredRecord]) -> Seen:
    return what_a_worker_leaves(recorded, recorded)


def with_outputs(seen: Seen, topic: str, messages: list[Json]) -> Seen:
    return replace(seen, outputs={**seen.outputs, topic: messages})


def test_a_run_without_fault_has_no_problems_and_something_to_compare(faultless: Seen) -> None:
    verdict = verify(faultless, SETTINGS)
    assert verdict.problems == []
    assert verdict.compared["drift"] > 50
    assert min(verdict.compared.values()) > 10


@pytest.mark.parametrize("place", [0, RECORDS // 2, RECORDS - 1])
def test_one_record_dropped_is_found_wherever_it_was(recorded: list[StoredRecord], place: int) -> None:
    seen = what_a_worker_leaves(recorded, recorded[:place] + recorded[place + 1 :])
    assert verify(seen, SETTINGS).problems


@pytest.mark.parametrize("place", [0, RECORDS // 2, RECORDS - 1])
def test_one_record_applied_twice_is_found_wherever_it_was(recorded: list[StoredRecord], place: int) -> None:
    seen = what_a_worker_leaves(recorded, [*recorded[: place + 1], *recorded[place:]])
    assert verify(seen, SETTINGS).problems


def test_records_of_one_model_applied_in_the_wrong_order_are_found(recorded: list[StoredRecord]) -> None:
    own = [number for number, record in enumerate(recorded) if record.key == b"m1" and not is_malformed(record)]
    swapped = list(recorded)
    swapped[own[-1]], swapped[own[-2]] = swapped[own[-2]], swapped[own[-1]]
    assert verify(what_a_worker_leaves(recorded, swapped), SETTINGS).problems


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("place", [0, -1])
def test_one_output_missing_is_found(faultless: Seen, topic: str, place: int) -> None:
    messages = list(faultless.outputs[topic])
    del messages[place]
    problems = verify(with_outputs(faultless, topic, messages), SETTINGS).problems
    assert len(problems) == 1
    assert problems[0].startswith(topic)


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("place", [0, -1])
def test_one_output_doubled_is_found(faultless: Seen, topic: str, place: int) -> None:
    messages = [*faultless.outputs[topic], faultless.outputs[topic][place]]
    problems = verify(with_outputs(faultless, topic, messages), SETTINGS).problems
    assert len(problems) == 1
    assert problems[0].startswith(topic)


@pytest.mark.parametrize("topic", ["drift", "retrain", "alerts"])
def test_one_digit_of_an_output_is_found(faultless: Seen, topic: str) -> None:
    first, *others = faultless.outputs[topic]
    changed = first | {"event_id": first["event_id"][:-1] + "x"}
    assert verify(with_outputs(faultless, topic, [changed, *others]), SETTINGS).problems


def test_outputs_of_one_model_in_the_wrong_order_are_found(faultless: Seen) -> None:
    about = [message for message in faultless.outputs["drift"] if message["model_name"] == "m1"]
    others = [message for message in faultless.outputs["drift"] if message["model_name"] != "m1"]
    turned = [*others, about[1], about[0], *about[2:]]
    assert verify(with_outputs(faultless, "drift", turned), SETTINGS).problems


def test_a_model_without_state_and_a_state_without_model_are_found(faultless: Seen) -> None:
    states = dict(faultless.states)
    states["m99"] = states.pop("m3")
    assert len(verify(replace(faultless, states=states), SETTINGS).problems) == 2


def test_lag_and_open_transactions_are_found(faultless: Seen) -> None:
    seen = replace(faultless, lag={"monitor": 0, "retrain": 1}, open_transactions={"drift [0]": 3, "drift [1]": 0})
    assert len(verify(seen, SETTINGS).problems) == 2


@pytest.fixture(scope="module")
def in_runs(recorded: list[StoredRecord]) -> StageSeen:
    """What a monitor read in two partitions' worth of runs, its cuts, and the state that it came to."""
    lane = [replace(record, partition=HOME) for record in recorded[:2_000] if model_of(record) == MODEL]
    others = [replace(record, topic=INTERNAL, offset=number) for number, record in enumerate(lane[-50:])]
    lane = [replace(record, offset=number) for number, record in enumerate(lane[:-50])]
    runs = [[Run(topic="metrics", begin=0, end=20)], [Run(topic=INTERNAL, begin=0, end=30)]]
    runs += [[Run(topic="metrics", begin=20, end=len(lane))], [Run(topic=INTERNAL, begin=30, end=50)]]
    table = MemoryTable()
    monitor: Processor[Any] = Processor(MonitorStage(SETTINGS), HOME, PARTITIONS, table)
    for part in (lane[:20], others[:30], lane[20:], others[30:]):
        monitor.process(part)
    made = (cut_record("monitor", HOME, each, datetime(2025, 1, 1, tzinfo=UTC)) for each in runs)
    cuts = [
        StoredRecord(INTERNAL, HOME, 50 + number, 0, cut.key, cut.value, cut.headers) for number, cut in enumerate(made)
    ]
    state = {key: value for key, value in table.items() if not key.startswith(b"\0")}
    return StageSeen(MonitorStage(SETTINGS), "", [*lane, *others, *cuts], state)


def test_cuts_that_tell_the_order_are_no_problem(in_runs: StageSeen) -> None:
    assert order_told(in_runs) == []


@pytest.mark.parametrize("number", range(1, 5))
def test_a_cut_that_is_missing_is_found(in_runs: StageSeen, number: int) -> None:
    inputs = list(in_runs.inputs)
    del inputs[-number]
    assert len(order_told(replace(in_runs, inputs=inputs))) == 1


def test_a_cut_that_is_there_twice_is_found(in_runs: StageSeen) -> None:
    assert len(order_told(replace(in_runs, inputs=[*in_runs.inputs, in_runs.inputs[-1]]))) == 1


def test_cuts_in_another_order_are_found(in_runs: StageSeen) -> None:
    *others, one, two, three, four = in_runs.inputs
    problems = order_told(replace(in_runs, inputs=[*others, two, one, three, four]))
    assert f"cuts of monitor: the state of {MODEL.encode()!r} is another one in their order" in problems
