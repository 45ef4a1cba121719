"""Lines read many at a time are the lines read one at a time."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zstandard import ZstdCompressor

from agents.backtest.sources import lines
from agents.backtest.sources.lines import LineRecords, read_line_batches, read_lines
from agents.recording.items import SourceError

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


@given(pieces, st.integers(1, 20), st.integers(1, 9), st.sampled_from(sorted(PACKED)))
def test_however_a_file_is_cut_into_chunks(
    folder: Path, content: list[bytes], chunk: int, piece: int, as_: str
) -> None:
    file = folder / f"a.jsonl{as_}"
    file.write_bytes(PACKED[as_](b"".join(content)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "CHUNK", chunk)
        patch.setattr(lines, "_PIECE", piece)
        patch.setattr(lines, "MAX_SIZE", 20)
        together = [record for batch in read_line_batches(file) for record in batch]
        values = [value for batch in read_line_batches(file) for value in batch.values()]
        assert together == list(read_lines(file))
        assert values == [record.value for record in together]


def test_some_of_the_lines_keep_their_numbers() -> None:
    batch = LineRecords("f", range(5, 9), [b"a", b"b", b"c", b"d"])
    assert [(record.offset, record.value) for record in batch[1:3]] == [(6, b"b"), (7, b"c")]


def test_a_damaged_file_is_named_with_the_line_reached(tmp_path: Path) -> None:
    file = tmp_path / "cut.jsonl.gz"
    file.write_bytes(gzip.compress(b"{}\n" * 9, mtime=0)[:-9])
    with pytest.raises(SourceError, match=r"cut\.jsonl\.gz: after line \d: it is cut short$"):
        list(read_line_batches(file))
