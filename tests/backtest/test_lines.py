"""Lines read many at a time are the lines read one at a time."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from zstandard import ZstdCompressor

from agents.backtest import backtest, open_source
from agents.backtest.sources import line_ends, lines
from agents.backtest.sources.lines import LineRecords, read_line_batches, read_lines
from agents.recording.items import SourceError
from schemas.kernel import COMPILED
from tests.backtest.test_batches import COLUMNS

pieces = st.lists(
    st.sampled_from(
        [b"\n", b"\r\n", b"\xef\xbb\xbf", b"{}", b" ", b"\r", b"a" * 30, b"\x0b", b"\xff\xfe", b"\0", b"\n\n", b"x"]
    ),
    max_size=12,
)
PACKED: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".zst": ZstdCompressor().compress}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lines")


@pytest.mark.parametrize("by_kernel", [True, False] if COMPILED else [False])
@example([b"\xef\xbb\xbf", b"{}", b"\r", b"\r\n", b"{}"], 20, 9, "")
@example([b"a" * 30, b"\n", b"x\n" * 9, b" x\n", b"x \r\n", b"\x0b\n\x0b", b"\n"], 300, 9, "")
@given(pieces, st.integers(1, 90), st.integers(1, 9), st.sampled_from(sorted(PACKED)))
def test_however_a_file_is_cut_into_chunks(
    folder: Path, by_kernel: bool, content: list[bytes], chunk: int, piece: int, as_: str
) -> None:
    if by_kernel:
        line_ends.load()
    file = folder / f"a.jsonl{as_}"
    file.write_bytes(PACKED[as_](b"".join(content)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "CHUNK", chunk)
        patch.setattr(lines, "_PIECE", piece)
        patch.setattr(line_ends, "_PIECE", piece)
        patch.setattr(line_ends, "_TOGETHER", piece + 7)
        patch.setattr(line_ends.load, "done", by_kernel)
        patch.setattr(lines, "MAX_SIZE", 20)
        together = [record for batch in read_line_batches(file) for record in batch]
        values = [value for batch in read_line_batches(file) for value in batch.values()]
        assert together == list(read_lines(file))
        assert values == [record.value for record in together]


USUAL = b'{"type":"metrics","model_name":"m%d","timestamp":1700000000.5,"accuracy":0.%d}'
written = st.tuples(
    st.integers(1, 3),
    st.integers(1, 9999),
    st.sampled_from([b"", b" ", b"\xff", b"}", b"{", b"\0", b"1"]),
    st.integers(0, 80),
)


@pytest.mark.skipif(COLUMNS is None, reason="columns are decoded by kernels, which need numba")
@given(st.lists(written, min_size=1, max_size=8), st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\n \n"]), st.booleans())
def test_lines_are_decoded_where_they_lie_as_when_they_are_apart(
    folder: Path, content: list[tuple[int, int, bytes, int]], end: bytes, ended: bool
) -> None:
    assert COLUMNS is not None
    texts = [(text := USUAL % (model, digits))[:at] + noise + text[at:] for model, digits, noise, at in content]
    file = folder / "columns.jsonl"
    file.write_bytes(end.join(texts) + end * ended)
    for batch in read_line_batches(file):
        (packed, left), (apart, left_apart) = COLUMNS.decode(batch.values()), COLUMNS.decode([*batch.values()])
        assert left == left_apart
        for one, other in zip(packed, apart, strict=True):
            assert one.kind == other.kind
            assert (one.places.tolist(), one.times.tolist()) == (other.places.tolist(), other.times.tolist())
            assert one.values.tobytes() == other.values.tobytes()


def test_some_of_the_lines_keep_their_numbers() -> None:
    batch = LineRecords("f", range(5, 9), [b"a", b"b", b"c", b"d"])
    assert [(record.offset, record.value) for record in batch[1:3]] == [(6, b"b"), (7, b"c")]


def test_a_damaged_file_is_named_with_the_line_reached(tmp_path: Path) -> None:
    file = tmp_path / "cut.jsonl.gz"
    file.write_bytes(gzip.compress(b"{}\n" * 9, mtime=0)[:-9])
    with pytest.raises(SourceError, match=r"cut\.jsonl\.gz: after line \d: it is cut short$"):
        list(read_line_batches(file))


def test_a_backtest_reads_all_of_a_file_into_the_same_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = list[lines._Buffers]()

    class Buffers(lines._Buffers):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr(lines, "CHUNK", 1_000)
    monkeypatch.setattr(lines, "_Buffers", Buffers)
    file = tmp_path / "a.jsonl"
    file.write_bytes(b"".join(USUAL % (at % 3, 9) + b"\n" for at in range(200)))
    assert backtest(open_source(file)).events_read == 200
    assert [len(each._known) for each in made] == [1]
