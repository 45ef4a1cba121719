"""A recorder may be killed at any byte: what it saved can be read, and recording goes on there."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.backtest import SourceError, open_source
from agents.recording.files import RecordingFile, parts_of
from agents.recording.format import Header, Positions
from agents.recording.items import Item, SourceRecord, TimePassed

TOPIC = "p.metrics"
HEADER = Header(1, {TOPIC: 1, "p.monitor-internal": 1}, "p.", ("monitor",))
NAMES = ["r.jsonl", "r.jsonl.gz", "r.jsonl.zst"]


def item(offset: int) -> Item:
    if offset % 5 == 4:
        return TimePassed("monitor", 0, offset)
    return SourceRecord(TOPIC, 0, offset, 1_750_000_000_000 + offset, b"m", b'{"a":%d}' % offset)


def record(path: Path, end: int, rotate_at: int | None = None) -> None:
    """Go on with a recording until it has `end` items, saving after every third, as a recorder would."""
    pytest.importorskip("zstandard")
    file = RecordingFile(path, HEADER, rotate_at)
    try:
        begin = file.positions.positions[TOPIC][0] if file.positions is not None else 0
        for at in range(begin, end):
            file.add([item(at)])
            if at % 3 == 2 or at == end - 1:
                file.save(Positions({TOPIC: [at + 1]}))
    finally:
        file.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_is_a_source_with_what_it_knows_of_itself(tmp_path: Path, name: str) -> None:
    record(tmp_path / name, 20)
    source = open_source(tmp_path / name)
    assert list(source) == [item(at) for at in range(20)]
    assert source.recorded is not None
    assert (source.recorded.topic_prefix, source.recorded.partitions_of("monitor")) == ("p.", 1)


@pytest.mark.parametrize("name", NAMES)
def test_killed_at_any_byte_it_can_be_read_and_goes_on_as_if_nothing_had_happened(tmp_path: Path, name: str) -> None:
    record(tmp_path / name, 12)
    whole = (tmp_path / name).read_bytes()
    for size in range(0, len(whole), 29):
        file = tmp_path / f"{size}-{name}"
        file.write_bytes(whole[:size])
        if size > 200:  # beyond the header
            read = list(open_source(file))
            assert read == [item(at) for at in range(len(read))]
        record(file, 20)
        assert list(open_source(file)) == [item(at) for at in range(20)]


def test_a_recorder_may_be_killed_between_two_files(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl.gz"
    record(path, 30, rotate_at=300)
    parts = parts_of(path)
    assert [part.name for part in parts[:2]] == ["r.000001.jsonl.gz", "r.000002.jsonl.gz"]
    assert len(parts) > 2
    parts[-1].write_bytes(b"")
    record(path, 40, rotate_at=300)
    assert list(open_source(path)) == [item(at) for at in range(40)]
    assert list(open_source(tmp_path)) == [item(at) for at in range(40)]


def test_two_recorders_do_not_write_one_file(tmp_path: Path) -> None:
    file = RecordingFile(tmp_path / "r.jsonl", HEADER)
    with pytest.raises(SourceError, match=r"r\.jsonl: another recorder is writing it"):
        RecordingFile(tmp_path / "r.jsonl", HEADER)
    file.close()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"type":"heartbeat"}\n', "is there and is no recording"),
        (
            b'{"recording":1,"topics":{"p.drift":2},"topic_prefix":"p."}\n',
            r"is a recording of p\.drift \(2 part",
        ),
        (
            b'{"recording":2,"topics":{},"topic_prefix":"p."}\n',
            "a recording of version 2; this program reads",
        ),
    ],
)
def test_another_file_is_not_written_over(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "r.jsonl").write_bytes(content)
    with pytest.raises(SourceError, match=reason):
        record(tmp_path / "r.jsonl", 5)
    assert (tmp_path / "r.jsonl").read_bytes() == content


def test_damage_in_the_middle_is_told_and_nothing_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl.gz"
    record(path, 20)
    whole = path.read_bytes()
    middle = whole.index(b"\x1f\x8b", len(whole) // 2)
    broken = whole[:middle] + b"\0" * 9 + whole[middle + 9 :]
    path.write_bytes(broken)
    with pytest.raises(SourceError, match=r"not what its name says.*; move it away"):
        record(path, 30)
    assert path.read_bytes() == broken
    with pytest.raises(SourceError, match=r"r\.jsonl\.gz: after line \d+: not what its name says"):
        list(open_source(path))
