"""Files of lines: `.jsonl`, plain or compressed, one message of the metrics topic a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final, overload

from agents.recording.compressed import CutShort, Damaged, open_bytes
from agents.recording.items import SourceError, SourceRecord
from schemas.parse import MAX_SIZE
from streams.records import RecordBatch

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

#: Bytes whose lines are handed over together.
CHUNK: Final = 2**22


class LineRecords(RecordBatch):
    """Lines of a file as the records that `read_lines` gives; one is made where somebody looks at it."""

    __slots__ = ("_lines", "_name", "_numbers")

    def __init__(self, name: str, numbers: Sequence[int], lines: Sequence[bytes]) -> None:
        self._name, self._numbers, self._lines = name, numbers, lines

    def __len__(self) -> int:
        return len(self._lines)

    @overload
    def __getitem__(self, index: int) -> SourceRecord: ...
    @overload
    def __getitem__(self, index: slice) -> LineRecords: ...
    def __getitem__(self, index: int | slice) -> SourceRecord | LineRecords:
        if isinstance(index, slice):
            return LineRecords(self._name, self._numbers[index], self._lines[index])
        return SourceRecord(self._name, 0, self._numbers[index], 0, None, self._lines[index])

    def values(self) -> Sequence[bytes]:
        return self._lines

    def with_headers(self) -> bool:
        return False

    def only(self, places: Sequence[int]) -> LineRecords:
        """Those at some places."""
        return LineRecords(self._name, [self._numbers[at] for at in places], [self._lines[at] for at in places])


def read_line_batches(path: Path) -> Iterator[LineRecords]:
    """The records of `read_lines`, some thousand at a time. Raises SourceError as it does."""
    number, rest = 0, b""
    try:
        with open_bytes(path) as file:
            while data := file.read(CHUNK):
                whole, ended, begun = data.rpartition(b"\n")
                if not ended:
                    rest = (rest + data)[: MAX_SIZE + 2]
                    continue
                yield _batch(path.name, number, (rest + whole).split(b"\n"))
                number, rest = number + data.count(b"\n"), begun
        if rest:
            yield _batch(path.name, number, [rest])
    except Damaged as problem:
        raise SourceError(f"{path}: after line {number}: {problem}") from None
    except OSError as problem:
        raise SourceError(f"{path}: cannot be read: {problem.strerror or problem}") from None


def _batch(name: str, before: int, lines: list[bytes]) -> LineRecords:
    """The lines after so many others, without those that are blank."""
    lines[0] = lines[0][: MAX_SIZE + 2]  # it may have come in many pieces
    if not before:
        lines[0] = lines[0].removeprefix(_BYTE_ORDER_MARK)
    lines = [line.rstrip(b"\r") for line in lines]
    records = LineRecords(name, range(before + 1, before + 1 + len(lines)), lines)
    if all(lines) and not any(map(bytes.isspace, lines)):
        return records
    return records.only([place for place, line in enumerate(lines) if line and not line.isspace()])


def read_lines(path: Path) -> Iterator[SourceRecord]:
    """The lines of a `.jsonl[.gz|.zst]` file as records, one at a time; blank lines are left out.

    A record's topic is the file's name, its partition 0, its offset the number of its line, from 1. Of a line longer
    than any message may be only the beginning is kept: enough to be told apart as too long.
    Raises SourceError if the file cannot be read or its name ends otherwise.
    """
    if not path.name.endswith((".jsonl", ".jsonl.gz", ".jsonl.zst")):
        raise SourceError(f"{path}: expected a file named .jsonl, .jsonl.gz or .jsonl.zst, one message a line")
    name = path.name
    for number, line in numbered_lines(path):
        content = line.rstrip(b"\r\n")
        if content and not content.isspace():
            yield SourceRecord(name, 0, number, 0, None, content)


def numbered_lines(path: Path, may_be_cut_short: bool = False) -> Iterator[tuple[int, bytes]]:
    """Each line with its number, from 1, without a byte order mark. Raises SourceError with the line reached."""
    number = 0
    try:
        with open_bytes(path) as file:
            for number, line in enumerate(_bounded_lines(file), start=1):
                yield number, line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
    except CutShort as problem:
        if not may_be_cut_short:
            raise SourceError(f"{path}: after line {number}: {problem}") from None
    except Damaged as problem:
        raise SourceError(f"{path}: after line {number}: {problem}") from None
    except OSError as problem:
        raise SourceError(f"{path}: cannot be read: {problem.strerror or problem}") from None


def _bounded_lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(MAX_SIZE + 2):
        rest = line
        while not rest.endswith(b"\n") and (rest := file.readline(MAX_SIZE)):
            pass
        yield line
