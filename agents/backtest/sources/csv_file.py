"""Tables in `.csv[.gz|.zst]` files, by the standard library: nearly as quick as pyarrow's reader, and it knows lines.

pyarrow's streaming reader counts no lines, and takes the type of a column from its first block.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from agents.backtest.sources.mapping import ColumnMapping, check_columns
from agents.backtest.sources.rows import CHUNK_ROWS, RowMessages
from agents.recording.compressed import Damaged, open_bytes
from agents.recording.items import SourceError, SourceRecord

#: A longer cell, most likely one whose quote is never closed, is refused; so is a longer first line.
_LONGEST = 2**20


@dataclass
class Table:
    """A table being read: the names of its columns, and what gives its rows, each on the line `lines()` after it."""

    header: list[str]
    rows: Iterator[list[str]]
    lines: Callable[[], int]


def read_csv(path: Path, mapping: ColumnMapping) -> Iterator[SourceRecord]:
    """The rows of a file whose first line names its columns; blank lines are left out. A row's offset is its last line.

    Columns are separated by commas, or by semicolons or tabs if the first line has these and no comma.
    Raises SourceError if the file cannot be read or lacks a mapped column.
    """
    with open_table(path) as table:
        check_columns(str(path), mapping, table.header)
        messages = RowMessages(path.name, mapping)
        wanted = [table.header.index(column) for column in mapping.columns.values()]
        reached = 1
        while chunk := list(islice(table.rows, CHUNK_ROWS)):
            lines = _lines(chunk, reached, table.lines())
            yield from _records(chunk, lines, len(table.header), wanted, messages)
            reached = table.lines()
        yield from messages.finish()


@contextmanager
def open_table(path: Path) -> Iterator[Table]:
    """A `.csv[.gz|.zst]` file whose first line names its columns. Raises SourceError, also while it is being read."""
    table: Table | None = None
    try:
        with open_bytes(path) as file, io.TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline="") as text:
            csv.field_size_limit(_LONGEST)
            first = text.readline(_LONGEST)
            header = [name.strip() for name in next(csv.reader([first], delimiter=_delimiter(first)), [])]
            if not any(header):
                raise SourceError(f"{path}: expected the columns' names in the first line, got none")
            reader = csv.reader(text, delimiter=_delimiter(first))
            table = Table(header, reader, lambda: reader.line_num + 1)
            yield table
    except (Damaged, csv.Error) as problem:
        raise SourceError(f"{path}: after line {table.lines() if table else 0}: {problem}") from None
    except OSError as problem:
        raise SourceError(f"{path}: cannot be read: {problem.strerror or problem}") from None


def _delimiter(first: str) -> str:
    return next((mark for mark in ",;\t" if mark in first), ",")


def _lines(chunk: Sequence[Sequence[str]], before: int, after: int) -> Sequence[int]:
    """The line on which each row ends."""
    if after - before == len(chunk):
        return range(before + 1, after + 1)
    lines = []  # some cells, in quotes, hold line ends
    for row in chunk:
        before += 1 + sum(cell.count("\n") for cell in row)
        lines.append(before)
    return lines


def _records(
    chunk: Sequence[Sequence[str]], lines: Sequence[int], width: int, wanted: list[int], messages: RowMessages
) -> Iterator[SourceRecord]:
    if set(map(len, chunk)) != {width}:
        rows = [(row, line) for row, line in zip(chunk, lines, strict=True) if row]
        for row, line in rows:
            if len(row) != width:
                yield messages.not_a_row(line, f"{len(row)} cells under {width} columns")
        rows = [(row, line) for row, line in rows if len(row) == width]
        chunk, lines = [row for row, _ in rows], [line for _, line in rows]
    if chunk:
        columns: list[tuple[Any, ...]] = list(zip(*chunk, strict=True))
        yield from messages.records([columns[place] for place in wanted], lines)
