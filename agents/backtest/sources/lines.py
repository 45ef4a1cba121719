"""Files of lines: `.jsonl`, plain or compressed, one message of the metrics topic a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from agents.recording.compressed import CutShort, Damaged, open_bytes
from agents.recording.items import SourceError, SourceRecord
from schemas.parse import MAX_SIZE

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


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
