"""Files of lines: `.jsonl`, plain or compressed, one message of the metrics topic a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from sys import getrefcount
from typing import Any, BinaryIO, Final, overload

import numpy as np

from agents.backtest.sources.line_ends import BREAK, RETURN, SPACE, ends_of_lines
from agents.recording.compressed import CutShort, Damaged, open_bytes
from agents.recording.items import SourceError, SourceRecord
from schemas.columns.columns import Integers
from schemas.columns.packed import PADDING, PackedValues
from schemas.columns.words import Bytes
from schemas.parse import MAX_SIZE
from streams.records import RecordBatch

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

#: Bytes whose lines are handed over together, and bytes looked through at once: some that the cache holds.
CHUNK: Final = 3 * 2**24
_PIECE: Final = 2**18

#: References to a buffer that nobody looks at: the list of buffers, and the argument of who counts.
_UNUSED: Final = 2


class LineRecords(RecordBatch):
    """Lines of a file as the records that `read_lines` gives; one is made where somebody looks at it."""

    __slots__ = ("_lines", "_name", "_numbers")

    def __init__(self, name: str, numbers: Sequence[int] | Integers, lines: Sequence[bytes]) -> None:
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
        return SourceRecord(self._name, 0, int(self._numbers[index]), 0, None, self._lines[index])

    def values(self) -> Sequence[bytes]:
        return self._lines

    @property
    def size(self) -> int:
        """Bytes of all values."""
        lines = self._lines
        return int((lines.ends - lines.starts).sum()) if isinstance(lines, PackedValues) else sum(map(len, lines))

    def with_headers(self) -> bool:
        return False

    def release(self) -> None:
        """Nobody looks at them any more: what holds their text may be read into again."""
        self._numbers, self._lines = (), ()


def read_line_batches(path: Path) -> Iterator[LineRecords]:
    """The records of `read_lines`, many at a time. Raises SourceError as it does."""
    number = 0
    try:
        for text in whole_lines(path):
            records, count = _records_in(text, path.name, number)
            del text  # which is now held by the records alone
            yield records
            number += count
    except Damaged as problem:
        raise SourceError(f"{path}: after line {number}: {problem}") from None
    except OSError as problem:
        raise SourceError(f"{path}: cannot be read: {problem.strerror or problem}") from None


def _records_in(text: Bytes, name: str, before: int) -> tuple[LineRecords, int]:
    """The records of a padded text after so many lines of a file, and how many lines it has."""
    ends, any_unusual = ends_of_lines(text, MAX_SIZE)
    return LineRecords(name, *_lines_in(text, ends, before, any_unusual)), len(ends)


def whole_lines(path: Path, may_be_cut_short: bool = False) -> Iterator[Bytes]:
    """What is in a file, cut between lines, each piece with `PADDING` after it; of a long line only the beginning.

    Of a file that `may_be_cut_short` a last line without an end is left out.
    """
    rest, buffers = np.empty(0, np.uint8), _Buffers()
    with open_bytes(path) as file:
        while True:
            text = buffers.get(len(rest) + CHUNK + len(PADDING))
            text[: len(rest)] = rest
            read = _read_into(text[len(rest) : len(rest) + CHUNK].data, file, may_be_cut_short)
            if not read:
                break
            end = len(rest) + read
            begun = _last_break(text[:end]) + 1
            rest = text[begun:end].copy()
            if begun:
                yield _padded(text, begun)
            else:
                rest = rest[: MAX_SIZE + 2]
            del text
    if len(rest) and not may_be_cut_short:
        text[len(rest)] = BREAK  # it ends here
        yield _padded(text, len(rest) + 1)


def _read_into(buffer: memoryview, file: Any, may_be_cut_short: bool) -> int:
    """Fill a buffer, as far as the file goes; how many bytes that were."""
    if not may_be_cut_short:
        return int(file.readinto(buffer))
    read = 0
    try:  # piece by piece, for what raises gives nothing of what it has read
        while read < len(buffer) and (some := file.readinto1(buffer[read:])):
            read += some
    except CutShort:
        pass
    return read


class _Buffers:
    """Memory to read into, again where nobody looks at it any more: fresh memory costs more than what is read."""

    def __init__(self) -> None:
        self._known: list[Bytes] = []

    def get(self, size: int) -> Bytes:
        """Some of at least this size."""
        for number in range(len(self._known)):
            if getrefcount(self._known[number]) == _UNUSED:
                if len(self._known[number]) < size:
                    self._known[number] = np.empty(size, np.uint8)
                return self._known[number]
        self._known.append(np.empty(size, np.uint8))
        return self._known[-1]


def _last_break(text: Bytes) -> int:
    """Where the last line ends; -1 if none does."""
    end = len(text)
    while end:
        begin = max(end - _PIECE, 0)
        if len(found := np.flatnonzero(text[begin:end] == BREAK)):
            return begin + int(found[-1])
        end = begin
    return -1


def _padded(text: Bytes, end: int) -> Bytes:
    text[end : end + len(PADDING)] = BREAK
    padded = text[: end + len(PADDING)]
    padded.flags.writeable = False
    return padded


def _lines_in(
    text: Bytes, ends: Integers, before: int, any_unusual: bool
) -> tuple[Sequence[int] | Integers, PackedValues]:
    """The lines that end there, with their numbers, after so many others; without those that are blank."""
    starts, numbers = np.append(0, ends[:-1] + 1), range(before + 1, before + 1 + len(ends))
    if not any_unusual and (before or text[0] != _BYTE_ORDER_MARK[0]):
        return numbers, PackedValues(text, starts, ends)
    ends = np.minimum(ends, starts + MAX_SIZE + 2)
    if not before and text[:3].tobytes() == _BYTE_ORDER_MARK:
        starts[0] += 3
    returned = np.flatnonzero(text[ends - 1] == RETURN)
    while len(returned := returned[(ends > starts)[returned] & (text[ends[returned] - 1] == RETURN)]):
        ends[returned] -= 1
    lines = PackedValues(text, starts, ends)
    unusual = np.flatnonzero(text[starts] <= SPACE)  # what begins with a space may be nothing but spaces
    blank = [at for at in unusual.tolist() if not lines[at].strip()]
    if not blank:
        return numbers, lines
    kept = np.delete(np.arange(len(ends)), blank)
    return kept + (before + 1), lines.only(kept)


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
