"""A recording read by the block is the recording read line by line."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from zstandard import ZstdCompressor

from agents.backtest import open_source, recorded, replay
from agents.backtest.sources import RecordingBlock, Source, SourceError, blocks, lines
from agents.backtest.sources.blocks import read_recording_blocks
from agents.backtest.sources.recording import read_recording
from agents.monitor.stage import MonitorStage
from agents.recording.format import Header, Positions, header_line, item_line, positions_line
from agents.recording.items import Item, SourceRecord, TimePassed
from schemas.kernel import COMPILED
from streams.partitioner import partition_of
from streams.records import Record
from tests.backtest.events import metrics
from tests.backtest.test_batches import COLUMNS, IDLE, QUICK, one_after_the_other, recordings, told

pytestmark = pytest.mark.skipif(not COMPILED, reason="blocks are read by kernels, which need numba")

TOPICS = ["metrics", "monitor-internal"]
PACKED: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".zst": ZstdCompressor().compress}
VALUE = b'{"type":"metrics","model_name":"a","timestamp":1700000000.5,"accuracy":0.9}'
USUAL = b'{"topic":"metrics","partition":1,"offset":7,"timestamp":17,"key":"a","value":%s}\n'

#: What a recorder writes beside what the monitor reads, and what it never writes.
WRITTEN = [
    item_line(SourceRecord("metrics", 0, 70, 17, b"a", VALUE)),
    item_line(SourceRecord("metrics", 1, 71, 18, None, VALUE)),
    item_line(SourceRecord("metrics", 1, 71, 18, b"\xff", VALUE)),
    item_line(SourceRecord("metrics", 1, 72, 18, "ä".encode(), VALUE.replace(b'"a"', '"ä"'.encode()))),
    item_line(SourceRecord("metrics", 1, 72, 18, b'"\\', VALUE.replace(b'"a"', rb'"a\"}\\"'))),
    item_line(SourceRecord("metrics", 0, 73, 10**13, b"a", VALUE, (("name", b"text"), ("none", b"\xff")))),
    item_line(SourceRecord("metrics", 0, 74, 19, b"a", None)),
    item_line(SourceRecord("metrics", 0, 75, 19, b"a", b"[1]")),
    item_line(SourceRecord("metrics", 0, 76, 19, b"a", b"\xff")),
    item_line(SourceRecord("models", 5, 77, 99, b"a", b'{"type":"model"}')),
    item_line(SourceRecord("monitor-internal", 1, 78, 20, b"a", VALUE)),
    item_line(TimePassed("retrain", 9, 1_000)),
    positions_line(Positions({"metrics": [8, 9]})),
    USUAL % (VALUE + b',"partition":0,"headers":[["a","b"]]'),
    USUAL % (VALUE + b',"value":{}'),
    USUAL % b'{"b":[{}]}' + USUAL % b'{"b":"}"}',
    (USUAL % VALUE).replace(b":7,", b": 7,"),
    (USUAL % VALUE).replace(b"\n", b"\r\n"),
    (USUAL % VALUE).replace(b'"topic":"metrics","partition":1', b'"partition":1,"topic":"metrics"'),
    (USUAL % VALUE).replace(b'"key":"a"', rb'"key":"\u0061"'),
]
DAMAGED = [
    b"\n",
    b"{}\n",
    USUAL % b"{]}",
    USUAL % b'{"a":1}}',
    USUAL % b'{"a":"\xff"}',
    USUAL % b'{"a" 1}',
    (USUAL % VALUE).replace(b":7,", b":07,"),
    (USUAL % VALUE)[:-30] + b"\n",
    (USUAL % VALUE).replace(b":7,", b":7x,"),
    USUAL % b'{"a":"\\"}',
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("blocks")


@contextmanager
def cut_into(chunk: int) -> Iterator[None]:
    """Blocks of so many bytes, however short the recording."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "CHUNK", chunk)
        patch.setattr(replay, "_WORTH_LOADING", 1)
        patch.setattr(MonitorStage, "hasten", lambda *_: None)
        yield


def header(ordered: bool) -> bytes:
    return header_line(Header(1, {"metrics": 2, "monitor-internal": 2}, "", ("monitor",) * ordered))


def first_of(items: Iterator[Item]) -> tuple[list[Item], bool]:
    """The items up to the first damaged line, and whether there is one."""
    found = list[Item]()
    try:
        for item in items:
            found.append(item)
    except SourceError:
        return found, True
    return found, False


def usual_of(block: RecordingBlock) -> list[tuple[str, int, int, bytes]]:
    """What the kernel tells of the usual lines."""
    told = list[tuple[str, int, int, bytes]]()
    for topic in TOPICS:
        for line in block.usual_on(frozenset([topic]), 2).tolist():
            value = block.text[block.starts[line] : block.ends[line] - 1].tobytes()
            told.append((topic, int(block.partitions[line]), line, value))
    return told


@example(WRITTEN, [], 10_000)
@example([USUAL % VALUE], [(42, b"0" * 20)], 10_000)
@given(
    st.lists(st.sampled_from([*WRITTEN, *DAMAGED, USUAL % VALUE]), max_size=5),
    st.lists(st.tuples(st.integers(0, 400), st.sampled_from([b'"', b"{", b"}", b"\\", b"0", b"\n", b",", b"\xff"]))),
    st.sampled_from([50, 10_000]),
)
def test_what_is_told_of_usual_lines_is_what_they_say(
    folder: Path, content: list[bytes], noise: list[tuple[int, bytes]], chunk: int
) -> None:
    text = b"".join(content)
    for at, byte in noise:
        text = text[:at] + byte + text[at:]
    file = folder / "told.jsonl"
    file.write_bytes(header(ordered=True) + text)
    items, damaged = first_of(read_recording(file))
    found = list[Record | TimePassed]()
    with cut_into(chunk):
        try:
            for block in read_recording_blocks(file, TOPICS):
                records, values = block.records(), block.records().values()
                for topic, partition, line, value in usual_of(block):
                    try:
                        record = blocks.record_in(block.text[block.begins[line] : block.ends[line]])
                    except SourceError:
                        continue
                    assert (record.topic, record.partition, record.value) == (topic, partition, value)
                    assert not record.headers
                assert [record.value for record in records] == list(values)
                found += records
        except SourceError:
            assert damaged
        else:
            assert not damaged
            assert found == [item for item in items if not isinstance(item, TimePassed)]


@settings(max_examples=20, deadline=None)
@given(
    recordings(),
    st.lists(st.tuples(st.integers(0, 50), st.sampled_from(WRITTEN)), max_size=8),
    st.sampled_from([*[b""] * 30, *DAMAGED]),
    st.sampled_from([QUICK, IDLE]),
    st.sampled_from([(1, 2), (7, 2), (7, 100), (64_000, 500_000)]),
    st.sampled_from([(100, ""), (1_000, ".gz"), (3_000, ".zst"), (2**20, "")]),
    st.booleans(),
    st.sampled_from([b"", USUAL % VALUE, (USUAL % VALUE)[:-1], (USUAL % VALUE)[:50]]),
)
def test_what_comes_out_of_a_recording_does_not_depend_on_blocks(
    folder: Path,
    source: Source,
    more: list[tuple[int, bytes]],
    damaged: bytes,
    rules: object,
    sizes: tuple[int, int],
    written: tuple[int, str],
    ordered: bool,
    end: bytes,
) -> None:
    content = [item_line(item) for item in source]
    for at, line in [*more, (20, damaged)]:
        content.insert(at, line)
    chunk, packed = written
    file = folder / f"recording.jsonl{packed}"
    file.write_bytes(PACKED[packed](header(ordered) + b"".join(content) + end))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorded, "BATCH_RECORDS", sizes[0])
        patch.setattr(recorded, "MOST_WAITING", sizes[1])
        one_by_one = outcome(file, rules)
        with cut_into(chunk):
            assert outcome(file, rules) == one_by_one
            assert outcome(file, rules, columns=COLUMNS) == one_by_one
            if ordered:
                in_turn = outcome(file, rules, columns=COLUMNS, in_processes=one_after_the_other, processes=2)
                assert in_turn == one_by_one


def test_time_passes_after_the_lines_before_it(tmp_path: Path) -> None:
    items = list[Item]()
    for offset, model in enumerate("ad"):
        beat = json.dumps(metrics(0, 0.9, model) | {"type": "heartbeat"}).encode()
        items.append(SourceRecord("metrics", partition_of(model, 2), offset, 0, None, beat))
    items += [TimePassed("monitor", number, 61_000) for number in range(2)]
    file = tmp_path / "ticks.jsonl"
    file.write_bytes(header(ordered=True) + b"".join(map(item_line, items)))
    one_by_one = outcome(file, QUICK)
    assert len(json.loads(one_by_one)["alerts"]) == 2
    with cut_into(2**20):
        assert outcome(file, QUICK) == one_by_one


def test_what_is_forwarded_in_the_middle_of_a_block_comes_after_the_lines_before_it(tmp_path: Path) -> None:
    """The third misplaced record of "d" sends on the first, to where a record of "d" has been standing since the start.

    Values tell the order apart: each is told of with the window as it was then.
    """
    values = [(1, 0.95), (0, 0.1), (0, 0.2), (0, 0.3), (1, 0.05), (1, 0.04)]
    items = [
        SourceRecord("metrics", partition, offset, 0, None, json.dumps(metrics(offset, accuracy, "d")).encode())
        for offset, (partition, accuracy) in enumerate(values)
    ]
    file = tmp_path / "misplaced.jsonl"
    file.write_bytes(header(ordered=True) + b"".join(map(item_line, items)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorded, "BATCH_RECORDS", 6)
        patch.setattr(recorded, "MOST_WAITING", 2)
        one_by_one = outcome(file, QUICK)
        assert json.loads(one_by_one)["drift"][0]["window"]["count"] >= 1
        with cut_into(2**20):
            assert outcome(file, QUICK) == one_by_one


def outcome(file: Path, rules: object, **more: object) -> str:
    """What comes out, or what is wrong with the recording."""
    try:
        return told(open_source(file), 7, settings=rules, **more)  # type: ignore[arg-type]
    except SourceError as problem:
        return str(problem)


def test_a_recording_that_is_cut_short_is_read_to_there(tmp_path: Path) -> None:
    file = tmp_path / "cut.jsonl.gz"
    content = header(ordered=True) + b"".join(WRITTEN[:2])
    file.write_bytes(gzip.compress(content) + gzip.compress(WRITTEN[3] * 50)[:-9])
    found = [record for block in read_recording_blocks(file, TOPICS) for record in block.records()]
    assert found == list(read_recording(file))
    assert len(found) >= 2


def test_a_line_longer_than_any_message_is_left_out_as_where_lines_are_read_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "long.jsonl"
    file.write_bytes(header(ordered=True) + b"".join(WRITTEN))
    for most in range(len(WRITTEN[0]) - 4, len(WRITTEN[0]) + 2):
        for module in (lines, blocks):
            monkeypatch.setattr(module, "MAX_SIZE", most)
        found = [record for block in read_recording_blocks(file, TOPICS) for record in block.records()]
        assert found == [item for item in read_recording(file) if not isinstance(item, TimePassed)]
