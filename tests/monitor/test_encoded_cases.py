"""What a step over a state as it is written takes, and what it leaves to a step over the decoded one."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from agents.monitor.encoded import blocks
from agents.monitor.encoded.blocks import LARGEST_BLOCK
from agents.monitor.encoded.layout import MOST
from agents.monitor.encoded.steps import LONGEST
from agents.monitor.joining import Waiting
from agents.monitor.stage import MonitorStage
from agents.monitor.state import FORMAT, MonitorState, TimedPanes, Version, decode_state, encode_state
from agents.settings import Settings
from schemas.kernel import COMPILED
from schemas.status import ModelState
from streams.panes import PANE
from streams.parts import MemoryTable
from streams.processor import Processor
from streams.records import StoredRecord
from streams.stage import Tick
from streams.window_sums import lower_median
from tests.monitor.test_encoded import KEPT, MODELS, Counting, Fleet, stage_of

pytestmark = pytest.mark.skipif(not COMPILED, reason="needs numba: the extra fast")


def z_score(size: int = 20, **detector: Any) -> Settings:
    window = {"size": size, "min_samples": 5}
    return Settings(monitor=[{"window": window, "detector": {"threshold": 4.0, **detector}}])


def minimum(least: float, of: str) -> Settings:
    return Settings(monitor=[], retrain=[{"min": {"accuracy": least}, "of": of}])


@dataclass(frozen=True)
class Case:
    """Each model has sent `begun` calm messages with `first` in them, and its state was changed; then it sends `count`.

    By default none of these values is to be marked with its time, and no pane or window ends.
    """

    asked: Settings = field(default_factory=z_score)
    begun: int = 31
    sent: dict[str, Any] = field(default_factory=dict)
    change: Callable[[MonitorState], object] = lambda state: None
    first: dict[str, Any] = field(default_factory=dict)
    now: Settings | None = None
    count: int = 1
    partitions: int = 1
    #: What each model sends in the same batch, too.
    also: dict[str, Any] = field(default_factory=dict)
    #: Bytes of the state that are replaced once.
    damage: tuple[bytes, bytes] = b"", b""


def of_accuracy(**fields: Any) -> Callable[[MonitorState], None]:
    return lambda state: _set(state.versions[0].series["accuracy"], fields)


def of_window(**fields: Any) -> Callable[[MonitorState], None]:
    return lambda state: _set(state.versions[0].series["accuracy"].window, fields)


def of_model(**fields: Any) -> Callable[[MonitorState], None]:
    return lambda state: _set(state, fields)


def _set(changed: object, fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        setattr(changed, name, value)


def reversed_series(state: MonitorState) -> None:
    version = state.versions[0]
    version.series = dict(reversed(version.series.items()))


#: Far from the level: of the squared deviations all digits that matter are lost.
ILL = of_window(level=0.9 - 1_000, total=15_000.0, squares=15e6)

LEFT = {
    "a value below the minimum": Case(minimum(0.8, "value"), sent={"accuracy": 0.5}),
    "a mean below the minimum": Case(minimum(0.95, "mean"), sent={"accuracy": 0.99}),
    "a value that fires": Case(sent={"accuracy": 0.2}),
    "a value that fires on its side": Case(z_score(direction="down"), sent={"accuracy": 0.2}),
    "the end of warming up": Case(z_score(40), begun=4),
    "a series in drift": Case(change=of_accuracy(phase=ModelState.DRIFT)),
    "a series that is in drift before it has warmed up": Case(begun=3, change=of_accuracy(phase=ModelState.DRIFT)),
    "a mean that older values bring below the minimum": Case(
        Settings(monitor=z_score(200).monitor, retrain=minimum(0.85, "mean").retrain),
        begun=331,
        change=of_window(after_total=-20.0, after_squares=20.0),
    ),
    "other settings": Case(now=z_score(threshold=9.0)),
    "a window of another size": Case(change=of_window(size=24)),
    "a window of no size": Case(change=of_window(size=0)),
    "a window by time": Case(change=of_accuracy(panes=TimedPanes())),
    "digits that are lost": Case(begun=15, sent={"accuracy": 0.9}, change=ILL),
    "a silent model": Case(change=of_model(silent=True)),
    "a model that waits for labels": Case(change=of_model(waiting=Waiting())),
    "the first metrics": Case(change=of_model(counts={"heartbeat": 1})),
    "a new metric": Case(sent={"f1_score": 0.9}),
    "another version": Case(sent={"model_version": "2"}),
    "another version seen last": Case(change=of_model(last_version="2")),
    "another version before": Case(change=lambda state: state.versions.insert(0, Version("0"))),
    "a block of few values, and the next": Case(begun=38, count=3),
    "a block of more values than are put together, and the next": Case(
        z_score(LARGEST_BLOCK + 1), LARGEST_BLOCK, count=2
    ),
    "a block with zeros of either sign": Case(KEPT, begun=490, first={"accuracy": -0.0}, count=12),
    "a value that fires after a block's end": Case(z_score(64), begun=127, also={"accuracy": 0.2}),
    "what leaves the window is not at hand": Case(change=of_window(trailing=b"")),
    "nor is it of a pane that begins": Case(z_score(800), begun=864 + PANE - 1, change=of_window(trailing=b"")),
    "fewer values to leave the window than come": Case(
        z_score(200), 331, change=of_window(trailing=bytes(40)), count=3
    ),
    "an open pane that lacks values": Case(change=of_window(open=b"")),
    "a series whose number is too great": Case(change=of_accuracy(number=2**32)),
    "values that leave a window that is not full": Case(begun=11, change=of_window(trailing=bytes(8))),
    "two kinds of messages": Case(also={"precision": None}),
    "a heartbeat as well": Case(also={"type": "heartbeat"}),
    "too many": Case(KEPT, begun=5, count=LONGEST + 1),
    "a value that fires after many": Case(z_score(800), begun=801, count=MOST + 1, also={"accuracy": 0.2}),
}

DAMAGED = {
    "a metric twice": (b"\xa6recall", b"\xa9precision"),
    "a number that cannot be counted on": (b"\xa7metrics\x1f", b"\xa7metrics\xcf" + b"\xff" * 8),
    "a number of metrics twice": (b"\x81\xa7metrics\x1f", b"\x82\xa7metrics\x1f\xa7metrics\x1f"),
    "text for values": (b"\xc4\x58", b"\xd9\x58"),
    "text for times": (b"\xc4\x60", b"\xd9\x60"),
    "bytes for the version seen last": (b"\xa11\xc2\xc2\xc2", b"\xc4\x011\xc2\xc2\xc2"),
    "fewer versions than it says": (b"\x91\x95\xa11", b"\x92\x95\xa11"),
}

TAKEN = {
    "a pane that gets full among several": Case(KEPT, begun=PANE - 3, count=5),
    "a pane that gets full": Case(KEPT, begun=PANE - 1),
    "a calm value": Case(),
    "several calm values": Case(z_score(800), begun=801, count=15),
    "a window of several panes": Case(z_score(200), begun=331, count=3),
    "a value below the minimum of the mean": Case(minimum(0.8, "mean"), sent={"accuracy": 0.5}),
    "a value beyond on the other side": Case(z_score(direction="up"), sent={"accuracy": 0.2}),
    "an outlier while there are few values": Case(z_score(threshold=1.0), begun=3, sent={"accuracy": 0.2}),
    "a pane of a window that is not full": Case(z_score(200), begun=PANE - 3, count=5),
    "a pane of a full window": Case(z_score(800), begun=864 + PANE - 1, count=5),
    "another pane that is to leave next": Case(z_score(800), begun=864 + PANE - 2),
    "another pane from which values leave": Case(z_score(800), begun=864 + PANE - 5, count=30),
    "another pane, and most of it": Case(z_score(800), begun=864 + PANE - 2, count=MOST),
    "the last pane of a block": Case(z_score(200), begun=200 + 3 * PANE - 4, count=5),
    "another pane, and no more before the block ends": Case(z_score(200), begun=200 + 3 * PANE - 4, count=11),
    "nothing that is to leave before the block ends": Case(z_score(200), begun=395, count=4),
    "nearly a block that ends with a pane": Case(z_score(2 * PANE), begun=4 * PANE - 8, count=7),
    "a block that ends": Case(KEPT, begun=498, count=3),
    "a block of few values": Case(begun=31, count=9),
    "the largest block": Case(z_score(LARGEST_BLOCK), LARGEST_BLOCK - 1, count=2),
    "a block that ends among the later ones of many": Case(KEPT, begun=498 - MOST, count=MOST + 3),
    "the last value of a block": Case(z_score(64), begun=127),
    "the first value of a block, after one whose last pane is short": Case(z_score(100), begun=200),
    "a block's end for which nothing that leaves need be at hand": Case(
        z_score(64), begun=127, change=of_window(trailing=bytes(64), after_total=9.0), count=3
    ),
    "many that are only kept": Case(KEPT, begun=5, count=LONGEST),
    "many of a window that is not full": Case(z_score(800, threshold=9.0), begun=201, count=LONGEST),
    "many of a full window": Case(z_score(800, threshold=9.0), begun=864 + 5, count=LONGEST),
    "many, by one more than are taken at a time": Case(z_score(800), begun=864 + 5, count=MOST + 1),
    "a constant": Case(first={"accuracy": 0.9}, sent={"accuracy": 0.9}),
    "an older time": Case(sent={"timestamp": 1.6e9}),
    "a series that is measured no more": Case(KEPT, change=of_window(trailing=bytes(8 * PANE))),
    "a model that last sent no version": Case(change=of_model(last_version="")),
    "series in another order": Case(change=reversed_series),
}


def messages(fleet: Fleet, count: int, **content: Any) -> list[StoredRecord]:
    made = [fleet.record(model) for _ in range(count) for model in range(MODELS)]
    return [replace(record, value=json.dumps(json.loads(record.value or b"") | content).encode()) for record in made]


def taken(case: Case) -> int:
    """How many steps were taken over states as they are written. All comes out as it does otherwise."""
    fleet, encoded = Fleet(11, 0.0), MemoryTable()
    Processor(MonitorStage(case.asked), 0, 1, encoded).process(messages(fleet, case.begun, **case.first))
    known = [name for name in encoded if b"\0" not in name]
    assert len(known) == MODELS  # what began no model would show nothing
    for name in known:
        state = decode_state(encoded[name])
        case.change(state)
        encoded[name] = encode_state(state).replace(*case.damage, 1)
    decoded, now = MemoryTable(encoded), case.now or case.asked
    stage, steps = stage_of(now)
    one = Processor(stage, 0, case.partitions, encoded)
    other = Processor(MonitorStage(now), 0, case.partitions, decoded)
    batch = messages(fleet, case.count, **case.sent) + (messages(fleet, 1, **case.also) if case.also else [])
    assert one.tick(70) == other.tick(70)
    assert one.process(batch) == other.process(batch)
    assert encoded == decoded
    assert set(one.take_touched()) == set(other.take_touched())
    return steps.taken


NO_PANES: list[bytes | None] = [None, b"", bytes(7), bytes(8 * PANE + 8), bytes(8)]
NO_SUMS: list[bytes | None] = [None, b"", bytes(7), bytes(8)]


@pytest.mark.parametrize(
    ("which", "damaged"), [*(("pane", each) for each in NO_PANES), *(("sums", each) for each in NO_SUMS)]
)
def test_a_pane_that_is_damaged_is_left(which: str, damaged: bytes | None) -> None:
    asked, fleet, encoded = z_score(200), Fleet(11, 0.0), MemoryTable()
    Processor(MonitorStage(asked), 0, 1, encoded).process(messages(fleet, 200 + PANE - 4))
    for name in [name for name in encoded if b"\0" in name[1:] and name.endswith(b"f") == (which == "sums")]:
        if damaged is None:
            del encoded[name]
        else:
            encoded[name] = damaged
    decoded, batch, (stage, steps) = MemoryTable(encoded), messages(fleet, 9), stage_of(asked)
    assert Processor(stage, 0, 1, encoded).process(batch) == Processor(MonitorStage(asked), 0, 1, decoded).process(
        batch
    )
    assert encoded == decoded
    assert not steps.taken


@pytest.mark.parametrize("case", LEFT.values(), ids=LEFT)
def test_what_may_have_consequences_is_left(case: Case) -> None:
    assert taken(case) == 0


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_what_is_damaged_is_left(damage: tuple[bytes, bytes]) -> None:
    assert taken(Case()) == MODELS
    assert taken(Case(damage=damage)) == 0


@pytest.mark.parametrize("case", TAKEN.values(), ids=TAKEN)
def test_what_is_calm_is_taken(case: Case) -> None:
    assert taken(case) == MODELS


@profile(max_examples=40, deadline=None)
@given(
    size=st.sampled_from([MOST + 1, PANE + 1, PANE + 2, 2 * PANE, 2 * PANE + 1, 77, 100, 160]),
    ended=st.integers(1, 3),
    before=st.integers(0, MOST),
    count=st.integers(1, 3 * MOST),
    is_measured=st.booleans(),
)
def test_blocks_end_as_they_do_otherwise(size: int, ended: int, before: int, count: int, is_measured: bool) -> None:
    asked = z_score(size, threshold=40.0) if is_measured else KEPT
    assert taken(Case(asked, begun=max(ended * size - before, 1), count=count)) == MODELS


@pytest.mark.parametrize("later", [0, 1, 5])
def test_what_leaves_the_window_after_a_block_counts_no_more(later: int) -> None:
    """With the outlier at this place in the window no value fires, and without it the one that comes as it leaves."""
    asked, fleet, tables = z_score(64, threshold=3.0), Fleet(11, 0.0), (MemoryTable(), MemoryTable())
    usual = [0.90, 0.92] * 32
    accuracy = [*usual[:later], 0.0, *usual[later + 1 :], *usual[:later], 0.97]
    records = [message for value in accuracy for message in messages(fleet, 1, accuracy=value)]
    begun = 63 * MODELS
    Processor(MonitorStage(asked), 0, 1, tables[0]).process(records[:begun])
    tables[1].update(tables[0])
    stage, steps = stage_of(asked)
    found = [
        Processor(own, 0, 1, table).process(records[begun:])
        for own, table in zip((stage, MonitorStage(asked)), tables, strict=True)
    ]
    assert found[0] == found[1]
    assert len(found[0]) >= MODELS
    assert tables[0] == tables[1]
    assert not steps.taken


NOT_PLAIN: list[bytes | None] = [None, b"", bytes(7), bytes(8 * PANE - 8), struct.pack("<d", math.nan) * PANE]


@pytest.mark.parametrize(("asked", "begun"), [(z_score(200), 199), (KEPT, 499)])
@pytest.mark.parametrize("damaged", NOT_PLAIN)
def test_a_block_of_a_damaged_pane_is_left(asked: Settings, begun: int, damaged: bytes | None) -> None:
    fleet, encoded = Fleet(11, 0.0), MemoryTable()
    Processor(MonitorStage(asked), 0, 1, encoded).process(messages(fleet, begun))
    for name in [name for name in encoded if name.endswith(b"\0\0\0\x02")]:
        if damaged is None:
            del encoded[name]
        else:
            encoded[name] = damaged
    decoded, batch, (stage, steps) = MemoryTable(encoded), messages(fleet, 3), stage_of(asked)
    other = Processor(MonitorStage(asked), 0, 1, decoded)
    assert Processor(stage, 0, 1, encoded).process(batch) == other.process(batch)
    assert encoded == decoded
    assert not steps.taken


@profile(max_examples=200, deadline=None)
@given(values=st.lists(st.floats(-1e9, 1e9).map(lambda value: round(value, -7) + 0.0), min_size=1, max_size=60))
def test_a_lower_median_is_that_of_sorting(values: list[float]) -> None:
    assert blocks.lower_median(np.array(values), len(values)) == lower_median(np.array(values))


def test_models_of_other_partitions_are_left() -> None:
    assert 0 < taken(Case(partitions=2)) < MODELS


def test_steps_that_are_taken_are_no_failures() -> None:
    fleet, table, (stage, steps) = Fleet(11, 0.0), MemoryTable(), stage_of(z_score())
    Processor(MonitorStage(z_score()), 0, 1, table).process(messages(fleet, 31))
    table[b"model-0"] = FORMAT + b"damaged"
    processor = Processor(stage, 0, 1, table, max_failures=1)
    for _ in range(2):
        processor.process(messages(fleet, 1))
    assert steps.taken == 2 * (MODELS - 1)


class Failing(MonitorStage):
    """Raises where time passes, for as long as it is told to."""

    fails = True
    encoded_steps: Counting | None = None

    def step(self, state: Any, inputs: Any) -> Any:
        if self.fails and isinstance(inputs[0], Tick):
            raise RuntimeError("planted")
        return super().step(state, inputs)


def test_a_model_whose_tick_failed_has_a_step_that_sets_its_next_deadline() -> None:
    asked = z_score()
    fleet, tables, found = Fleet(11, 0.0), (MemoryTable(), MemoryTable()), []
    begun, later = [*messages(fleet, 30), *messages(fleet, 1, type="heartbeat")], messages(fleet, 1)
    encoded, steps = stage_of(asked)
    for table, own in zip(tables, (encoded, None), strict=True):
        stage = Failing(asked)
        if own is not None:
            stage.encoded_steps, stage.decode_columns = steps, own.decode_columns  # type: ignore[method-assign]
        processor = Processor(stage, 0, 1, table)
        outputs = [processor.process(begun), processor.tick(10**9), processor.process(later)]
        stage.fails = False
        found.append([*outputs, processor.tick(10**9)])
    assert found[0] == found[1]
    assert len(found[0][-1]) >= MODELS
    assert tables[0] == tables[1]
