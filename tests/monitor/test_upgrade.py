"""State that earlier releases wrote is read, and goes on as those releases would have gone on."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.monitor.stage import MonitorStage
from agents.monitor.state import FORMAT, MonitorState, Version, encode_state
from agents.monitor.upgrade import upgraded
from agents.settings import Settings
from streams.parts import MemoryTable, Parts
from streams.processor import Processor
from streams.records import Output, StoredRecord

SETTINGS = Settings(monitor=[{"window": {"size": 12, "min_samples": 5}}])

#: Of a model after 30 accuracies around 0.9 and two of 0.5, in a window of 12.
WRITTEN_THEN = base64.b85decode(
    "0h^(1k&~e@fv90)V|8+2V|kUtbpZ?j001BW00000004RECNT)C>_4JKw)6ee>_5-<Q{$zZ>_2zDpBgXS>_4P%Jqp*O>_2(wCNT)C"
    ">_2(wCNT)C>_2fm3fH4>?LW=T%*@Qp>_2zDpBgXS>_4CyFWn>t?LPnj00000;6DHW00000;6DJRWO8X{bO6gg>-!Rcib-F>fv0U{"
    "baH89b07oH00s&q8TUoN0HHC$!omO"
)
AFTERWARDS = [
    0.92,
    0.898,
    0.894,
    0.925,
    0.885,
    0.896,
    0.907,
    0.923,
    0.891,
    0.876,
    0.907,
    0.895,
    0.896,
    0.905,
    0.902,
    0.903,
    0.896,
    0.913,
    0.915,
    0.9,
    0.595,
    0.607,
    0.605,
    0.59,
    0.595,
    0.61,
    0.599,
    0.597,
    0.602,
    0.6,
    0.6,
    0.581,
    0.617,
    0.602,
    0.591,
    0.61,
    0.603,
    0.6,
    0.61,
    0.623,
]
SAID_THEN = "681a9bbe14ebad94f721025abfd4c78ef0f4eb87162d420329932a3d80b06914"
#: What messages have come to say besides.
SINCE_THEN = rb',"begin":[^,}]*,"end":[^,}]*'


def test_a_state_of_the_first_release_goes_on_as_it_would_have_there() -> None:
    table = MemoryTable({b"m": WRITTEN_THEN})
    processor = Processor(MonitorStage(SETTINGS), 0, 1, table)
    outputs = []
    for at, accuracy in enumerate(AFTERWARDS):
        plain = {"type": "metrics", "model_name": "m", "model_version": "1"}
        value = json.dumps(plain | {"timestamp": 1.7e9 + 100 + at, "accuracy": accuracy}).encode()
        outputs += processor.process([StoredRecord("metrics", 0, 100 + at, 0, b"m", value)])
    messages = [output.message for output in outputs if isinstance(output, Output) and output.message]
    assert [message.type for message in messages] == ["model_status", "model_status", "drift_detected", "model_status"]
    said = re.sub(SINCE_THEN, b"", b"".join(message.to_json() for message in messages))
    assert hashlib.sha256(said).hexdigest() == SAID_THEN
    assert table[b"m"][:1] == FORMAT


#: Ids and statistics of what format 2 said after the state in the file.
SAID_IN_FORMAT_2 = "c28ff784186c7e78d58150c5bc6fcb697ef9ceeced56c3e7d26f63a04aeba4d5"
WATCHED = Settings(
    monitor=[
        {"window": {"size": 12, "min_samples": 5}},
        {"metric": "error", "window": {"size": 12, "min_samples": 5}, "detector": {"name": "ddm"}},
    ]
)


def record(number: int) -> StoredRecord:
    """Accuracies, outcomes of which more and more are wrong, and now and then a prediction."""
    message: dict[str, Any] = {"model_name": "m", "model_version": "1", "timestamp": 1.7e9 + number}
    if number % 3 == 0:
        wrong = [1, 1, int(number < 60), 1, int(number < 50), 1, 1, 0]
        message |= {"type": "outcomes", "y_true": [1] * 8, "y_pred": wrong}
    elif number % 7 == 0:
        message |= {"type": "prediction", "prediction_id": f"p{number}", "y_pred": 1}
    else:
        message |= {"type": "metrics", "accuracy": AFTERWARDS[number % 12] - (0.3 if number % 40 == 39 else 0)}
    return StoredRecord("metrics", 0, number, 0, b"m", json.dumps(message).encode())


def test_a_state_of_format_2_goes_on_as_it_would_have_there() -> None:
    written = json.loads((Path(__file__).parent / "format_2.json").read_text())
    table = MemoryTable({base64.b85decode(key): base64.b85decode(value) for key, value in written.items()})
    assert table[b"m"][:1] == b"\x02"
    outputs = Processor(MonitorStage(WATCHED), 0, 1, table).process([record(number) for number in range(45, 120)])
    messages = [output.message for output in outputs if isinstance(output, Output) and output.message]
    said = [[message.event_id, repr(getattr(message, "statistic", None))] for message in messages]
    assert len(said) == 10
    assert hashlib.sha256(json.dumps(said).encode()).hexdigest() == SAID_IN_FORMAT_2
    assert table[b"m"][:1] == FORMAT


def test_versions_of_a_former_format_count_as_seen_when_it_was_written() -> None:
    state = MonitorState("m", [Version("1"), Version("2")], event_time=7)
    read = upgraded(b"\x02" + encode_state(state)[1:], Parts(MemoryTable()))
    assert [version.seen for version in read.versions] == [7, 0]


#: Ids and statistics of what format 3, whose panes had 64 values, said after the state in the file.
SAID_IN_FORMAT_3 = {
    "330": "cbca8fce524af84bd247fdf0fcbdbd1b644adeb15d04e3165cf62a6547c4b447",
    "450": "4732f8a63371a880e1fb8af0d5938cf27b3267df67a91bec83d73d21eca63035",
}
CUT_ANEW: Any = {"size": 150, "min_samples": 20}
WIDE = Settings(
    monitor=[
        {"window": CUT_ANEW, "detector": {"threshold": 3.0}},
        {"metric": "precision", "window": {"size": 64, "min_samples": 20}, "detector": {"threshold": 3.0}},
        {"metric": "recall", "window": {"duration": "1m", "grace": "5s"}},
        {"metric": "accuracy", "window": CUT_ANEW, "segment_by": "region", "detector": {"threshold": 3.0}},
    ],
    retrain=[{"min": {"accuracy": 0.86}, "of": "mean"}],
)


def wide_record(number: int) -> StoredRecord:
    """Numbers that go up and down, of three regions; after 300 those of one fall for a while."""
    message = {
        "type": "metrics",
        "model_name": "m",
        "model_version": "1",
        "timestamp": 1.7e9 + number,
        "accuracy": round(0.9 + 0.013 * ((number * 7919 % 101) / 101 - 0.5) - (0.09 if 430 < number < 460 else 0), 6),
        "precision": round(0.8 + 0.02 * ((number * 104729 % 89) / 89 - 0.5) - (0.2 if number % 97 == 96 else 0), 6),
        "recall": round(0.7 + 0.03 * ((number * 1299709 % 83) / 83 - 0.5), 6),
        "extras": {"kept": number % 17},
        "labels": {"region": "abc"[number % 3]} if number % 2 else {},
    }
    return StoredRecord("metrics", 0, number, 0, b"m", json.dumps(message).encode())


def said_of(processor: Processor[Any], numbers: range) -> list[list[str]]:
    """Ids and statistics, a few records at a time."""
    outputs = []
    for first in numbers[::7]:
        outputs += processor.process([wide_record(number) for number in range(first, min(first + 7, numbers.stop))])
    messages = [output.message for output in outputs if isinstance(output, Output) and output.message]
    return [[str(message.event_id), repr(getattr(message, "statistic", None))] for message in messages]


def format_3(begun: str) -> MemoryTable:
    written = json.loads((Path(__file__).parent / "format_3.json").read_text())[begun]
    return MemoryTable({base64.b85decode(key): base64.b85decode(value) for key, value in written.items()})


@pytest.mark.parametrize("begun", ["330", "450"])
def test_a_state_of_format_3_goes_on_as_it_would_have_there(begun: str) -> None:
    table = format_3(begun)
    assert table[b"m"][:1] == b"\x03"
    said = said_of(Processor(MonitorStage(WIDE), 0, 1, table), range(int(begun), 640))
    assert hashlib.sha256(json.dumps(said).encode()).hexdigest() == SAID_IN_FORMAT_3[begun]
    assert table[b"m"][:1] == FORMAT


@settings(max_examples=300, deadline=None)
@given(flips=st.lists(st.tuples(st.integers(0), st.integers(0, 255)), min_size=1, max_size=4), is_segment=st.booleans())
def test_a_state_of_format_3_that_is_damaged_is_refused_or_read(flips: list[tuple[int, int]], is_segment: bool) -> None:
    table = format_3("330")
    name = b"m\0\xffs\0\0\0\x05" if is_segment else b"m"
    data = bytearray(table[name])
    for at, value in flips:
        data[1 + at % (len(data) - 1)] = value
    table[name] = bytes(data)
    with suppress(ValueError):
        MonitorStage(WIDE).decode_state("m", table[b"m"], Parts(table, b"m\0"))


def test_a_state_of_format_3_without_a_part_is_refused() -> None:
    table = format_3("330")
    del table[b"m\0\xffs\0\0\0\x05"]
    with pytest.raises(ValueError, match="is missing"):
        MonitorStage(WIDE).decode_state("m", table[b"m"], Parts(table, b"m\0"))


@pytest.mark.parametrize("number", [-1, 2**32])
def test_a_series_of_format_3_with_a_number_that_cannot_be_is_refused(number: int) -> None:
    state = ["m", [["1", {"accuracy": [[20, 0], number]}]]]
    with pytest.raises(ValueError, match=r"Expected `int`"):
        upgraded(b"\x03" + msgspec.msgpack.encode(state), Parts(MemoryTable()))


def test_a_version_of_format_3_that_nothing_is_known_of_is_read() -> None:
    state = upgraded(b"\x03" + msgspec.msgpack.encode(["m", [["1"]]]), Parts(MemoryTable()))
    assert [version.name for version in state.versions] == ["1"]
