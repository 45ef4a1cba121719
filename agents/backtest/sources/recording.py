"""Recordings as sources: records and ticks as they were processed, with their places on Kafka."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from agents.backtest.sources.lines import numbered_lines
from agents.recording.format import Header, NotARecording, header_of, is_recording, item_of
from agents.recording.items import Item, Recorded, SourceError


def first_line(path: Path) -> bytes:
    """The first line of a file; empty where there is none, for its writer was killed before. Raises SourceError."""
    line = next((line for _, line in numbered_lines(path, may_be_cut_short=True)), b"")
    return line if line.endswith(b"\n") or not is_recording(line) else b""


def header_in(path: Path, line: bytes) -> Header | None:
    """The header of a recording that begins with this line; None for a file that is none. Raises SourceError."""
    try:
        return header_of(line) if is_recording(line) else None
    except NotARecording as problem:
        raise SourceError(f"{path}: {problem}") from None


def read_recording(path: Path) -> Iterator[Item]:
    """The records and ticks of a recording's file. What its recorder was killed over, at the end, is left out.

    Raises SourceError, with the line, for a damaged one.
    """
    for number, line in numbered_lines(path, may_be_cut_short=True):
        if number == 1 or not line.endswith(b"\n"):
            continue
        try:
            item = item_of(line)
        except NotARecording as problem:
            raise SourceError(f"{path}: line {number}: no line of a recording: {problem}") from None
        if item is not None:
            yield item


def recorded_of(header: Header) -> Recorded:
    """What a recording's header says for those that process it."""
    return Recorded(header.topic_prefix, header.topics, header.ordered_by)
