"""Writing a recording so that whatever kills the recorder, what is in the file can be read, and goes on from there.

Each write is a group of whole lines that ends with `Positions`, in a compressed file a member of its own. What a kill
leaves behind the last such group is cut off when recording goes on.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterable
from pathlib import Path

from agents.recording.compressed import Damaged, compressor_for, whole_members
from agents.recording.format import (
    Header,
    NotARecording,
    Positions,
    header_line,
    header_of,
    is_recording,
    item_line,
    positions_in,
    positions_line,
)
from agents.recording.items import Item, SourceError

EXTENSIONS = (".jsonl", ".jsonl.gz", ".jsonl.zst")

#: A recording that is rotated, by size, is a row of files: `NAME.000001.jsonl.gz` and on.
_NUMBERED = re.compile(r"(.*)\.(\d{6})", re.ASCII)


def parts_of(path: Path) -> list[Path]:
    """The files of a recording, in order: itself, then those that it was rotated into; none if there are none."""
    stem, extension = _split(path)
    numbered = [each for each in path.parent.glob(f"*{extension}") if _number(each, stem, extension) is not None]
    return [*([path] if path.exists() else []), *sorted(numbered)]


def part_name(path: Path, number: int) -> Path:
    """The name of one file of a rotated recording."""
    stem, extension = _split(path)
    return path.with_name(f"{stem}.{number:06d}{extension}")


def _split(path: Path) -> tuple[str, str]:
    extension = next((each for each in EXTENSIONS if path.name.endswith(each)), "")
    if not extension:
        raise SourceError(f"{path}: expected a file named {', '.join(EXTENSIONS[:-1])} or {EXTENSIONS[-1]}")
    return path.name.removesuffix(extension), extension


def _number(path: Path, stem: str, extension: str) -> int | None:
    found = _NUMBERED.fullmatch(path.name.removesuffix(extension))
    return int(found[2]) if found is not None and found[1] == stem else None


class RecordingFile:
    """A recording that is being written; `rotate_at` bytes begin another file. Close it when done.

    `header` is what it is to hold. If there are files already, `positions` is how far they go and writing goes on
    there. Raises SourceError if they hold something else or another recorder writes them, OSError if writing fails.
    """

    def __init__(self, path: Path, header: Header, rotate_at: int | None = None) -> None:
        self._path, self._header, self._rotate_at = path, header, rotate_at
        self._compress = compressor_for(path)
        self._lines: list[bytes] = []
        #: Bytes that wait for `save`, and bytes written to files.
        self.waiting, self.written = 0, 0
        self.positions: Positions | None = None
        parts = parts_of(path)
        stem, extension = _split(path)
        self._number = (_number(parts[-1], stem, extension) or 0) if parts else int(rotate_at is not None)
        self.file = parts[-1] if parts else (path if rotate_at is None else part_name(path, 1))
        self._descriptor = self._opened(self.file)
        try:
            if parts:
                self._go_on()
            self._size = os.lseek(self._descriptor, 0, os.SEEK_END)
        except BaseException:
            os.close(self._descriptor)
            raise

    def add(self, items: Iterable[Item]) -> int:
        """Take in what comes next; returns how many items that were. It is written by `save`."""
        lines = list(map(item_line, items))
        self._lines += lines
        self.waiting += sum(map(len, lines))
        return len(lines)

    def save(self, positions: Positions) -> None:
        """Write what was taken in, which is all that lies below `positions`."""
        if not self._lines and self.positions == positions:
            return
        first = [] if self._size else [header_line(self._header)]
        content = self._compress(b"".join([*first, *self._lines, positions_line(positions)]))
        written = 0
        while written < len(content):
            written += os.write(self._descriptor, content[written:])
        os.fsync(self._descriptor)
        self._lines, self.waiting, self.positions = [], 0, positions
        self._size += written
        self.written += written
        if self._rotate_at is not None and self._size >= self._rotate_at:
            self._rotate()

    def close(self) -> None:
        """What was not saved is not written."""
        os.close(self._descriptor)

    def _rotate(self) -> None:
        os.close(self._descriptor)
        self._number += 1
        self.file = part_name(self._path, self._number)
        self._descriptor, self._size = self._opened(self.file), 0

    def _opened(self, path: Path) -> int:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise SourceError(f"{path}: another recorder is writing it") from None
        return descriptor

    def _go_on(self) -> None:
        """Cut off what was not saved to its end, and find how far the rest goes."""
        end, self.positions = _saved(self.file, self._header)
        if self.positions is None and self._number:  # killed between two files
            before = part_name(self._path, self._number - 1) if self._number > 1 else self._path
            _, self.positions = _saved(before, self._header) if before.exists() else (0, None)
        os.ftruncate(self._descriptor, end)


def _saved(path: Path, header: Header) -> tuple[int, Positions | None]:
    """Where the last saved group ends, and the positions there. Raises SourceError if it is another recording."""
    end, positions, first = 0, None, True
    try:
        for at, content in whole_members(path):
            if first:
                _check_header(path, content.split(b"\n", 1)[0], header)
                first = False
            last = content.rstrip(b"\n").rpartition(b"\n")[2]
            if (found := positions_in(last)) is not None:
                end, positions = at, found
    except (Damaged, NotARecording) as problem:
        raise SourceError(f"{path}: {problem}; move it away, or record to another file") from None
    return end, positions


def _check_header(path: Path, line: bytes, header: Header) -> None:
    if not is_recording(line):
        raise SourceError(f"{path}: is there and is no recording; record to another file")
    there = header_of(line)
    if (there.topics, there.ordered_by) != (header.topics, header.ordered_by):
        raise SourceError(
            f"{path}: is a recording of {_described(there)}, not of {_described(header)}; record to another file"
        )


def _described(header: Header) -> str:
    topics = ", ".join(f"{topic} ({count} partitions)" for topic, count in sorted(header.topics.items()))
    return f"{topics}, ordered by {', '.join(header.ordered_by)}" if header.ordered_by else topics
