"""Rows of a table as messages of the metrics topic, some hundred at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from agents.backtest.sources.cells import Texts, converter_for
from agents.backtest.sources.mapping import GROUPS, ColumnMapping
from agents.backtest.sources.outcomes import OutcomeBatches
from agents.recording.items import SourceError, SourceRecord

#: In a constant, stands for the file's name up to its first dot.
FILE = "{file}"

#: How many rows a reader hands over together. With more lists than some 700 at once, Python's collector of cycles looks
#: at them again and again: 1,000 take twice as long a row.
CHUNK_ROWS = 500


class RowMessages:
    """Makes records of the rows of one table, which `name` names as the origin. Raises SourceError if it cannot."""

    def __init__(self, name: str, mapping: ColumnMapping) -> None:
        self._name, self._mapping, self._type = name, mapping, mapping.type
        if "model_name" not in mapping.columns and "model_name" not in mapping.constants:
            raise SourceError(f"{name}: which model? give --model NAME, or map model_name to a column")
        self._converters = {field: converter_for(field) for field in mapping.columns}
        self._constants = {
            field: converter_for(field)([value.replace(FILE, name.partition(".")[0])])[0]
            for field, value in mapping.constants.items()
            if field != "type"
        }
        self._rows = 0
        self._start, self._step = mapping.start.timestamp(), mapping.interval / timedelta(seconds=1)
        self._batches: OutcomeBatches | None = None
        if self._type == "outcomes":
            self._batches = OutcomeBatches(mapping.batch_rows, mapping.item_times, self._time)

    def records(self, cells: Sequence[Sequence[Any]], lines: Sequence[int]) -> Iterator[SourceRecord]:
        """Records of some rows: `cells` of each mapped column in the mapping's order, and the line of each row."""
        texts = self._texts(cells, len(lines))
        if self._batches is not None:
            for line, message in self._batches.messages(texts, lines, range(self._rows - len(lines), self._rows)):
                yield self._record(line, message)
        else:
            yield from map(self._record, lines, _messages(self._type, texts, len(lines)))

    def finish(self) -> Iterator[SourceRecord]:
        """What is still held back when the table has ended."""
        if self._batches is not None:
            for line, message in self._batches.finish():
                yield self._record(line, message)

    def not_a_row(self, line: int, problem: str) -> SourceRecord:
        """A record that becomes a dead letter with the `problem` as the reason, for a line that is no row."""
        return self._record(line, json.dumps(problem))

    def _record(self, line: int, message: str) -> SourceRecord:
        return SourceRecord(self._name, 0, line, 0, None, message.encode("utf-8", "surrogatepass"))

    def _texts(self, cells: Sequence[Sequence[Any]], count: int) -> dict[str, Texts]:
        """The JSON text of each cell, by field."""
        texts: dict[str, Texts] = {field: [text] * count for field, text in self._constants.items()}
        for (field, convert), column in zip(self._converters.items(), cells, strict=True):
            texts[field] = convert(column)
        if "timestamp" not in texts and (self._batches is None or self._mapping.item_times):
            texts["timestamp"] = list(map(self._time, range(self._rows, self._rows + count)))
        self._rows += count
        return texts

    def _time(self, row: int) -> str:
        """The time of a row, from 0, of a table that tells none."""
        return repr(self._start + row * self._step)


def _messages(kind: str, texts: dict[str, Texts], count: int) -> Iterator[str]:
    """One message a row; a field without a value is left out."""
    parts = [_members(field, texts[field]) for field in texts if field.partition(".")[0] not in GROUPS]
    for group in GROUPS:
        inner = [_members(field.partition(".")[2], texts[field]) for field in texts if field.startswith(f"{group}.")]
        if inner:
            parts.append([_object(group, "".join(row)) for row in zip(*inner, strict=True)])
    head = f'{{"type":{json.dumps(kind)}'
    for row in zip([head] * count, *parts, strict=True):
        yield "".join(row) + "}"


def _members(name: str, column: Texts) -> list[str]:
    head = f",{json.dumps(name)}:"
    if None in column:
        return ["" if text is None else head + text for text in column]
    return [head + text for text in column]  # type: ignore[operator]


def _object(name: str, members: str) -> str:
    return f',"{name}":{{{members[1:]}}}' if members else ""
