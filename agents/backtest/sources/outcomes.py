"""Rows with a label and a prediction as `outcomes` messages of some hundred rows: columns are read far quicker."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import compress

from agents.backtest.sources.cells import Texts
from agents.backtest.sources.mapping import GROUPS

#: Fields that each row has its own value of, and what they are called in the message.
_OF_ROWS = {"y_true": "y_true", "y_pred": "y_pred", "score": "scores", "timestamp": "timestamps"}

Shared = tuple[tuple[str, str | None], ...]
"""What the rows of a message have in common: field and JSON text."""


class OutcomeBatches:
    """Holds rows back until there are `size` with the same model, version and labels."""

    def __init__(self, size: int, item_times: bool) -> None:
        self._size, self._item_times = size, item_times
        self._held: dict[Shared, _Held] = {}

    def messages(self, texts: dict[str, Texts], lines: Sequence[int]) -> Iterator[tuple[int, str]]:
        """The messages that are complete, each with its last row's line.

        A row without a label, a prediction or a time is a message of its own, which the schema refuses.
        """
        columns = {field: texts[field] for field in _OF_ROWS if field in texts}
        shared = {field: column for field, column in texts.items() if field not in _OF_ROWS}
        if any(None in column for column in columns.values()):
            whole = [None not in row for row in zip(*columns.values(), strict=True)]
            for place in (place for place, good in enumerate(whole) if not good):
                alone = {field: [column[place]] for field, column in columns.items()}
                yield lines[place], self._message(_at(shared, place), alone)
            columns, shared = ({f: list(compress(c, whole)) for f, c in some.items()} for some in (columns, shared))
            lines = list(compress(lines, whole))
        for common, places in _alike(shared, len(lines)).items():
            yield from self._add(common, columns, lines, places)

    def finish(self) -> Iterator[tuple[int, str]]:
        """What is held back, whatever its size."""
        held, self._held = self._held, {}
        for common, rows in held.items():
            if rows.lines:
                yield rows.lines[-1], self._message(common, rows.columns)

    def _add(
        self, common: Shared, columns: dict[str, Texts], lines: Sequence[int], places: list[int] | None
    ) -> Iterator[tuple[int, str]]:
        held = self._held.setdefault(common, _Held(columns))
        held.extend(columns, lines, places)
        while len(held.lines) >= self._size:
            line, batch = held.take(self._size)
            yield line, self._message(common, batch)

    def _message(self, common: Shared, columns: dict[str, Texts]) -> str:
        members = [f"{json.dumps(field)}:{text}" for field, text in common if not _grouped(field) and text is not None]
        for group in GROUPS:
            inner = {field.partition(".")[2]: text for field, text in common if field.startswith(f"{group}.")}
            if inner := {name: text for name, text in inner.items() if text is not None}:
                members.append(f'"{group}":{{{",".join(f"{json.dumps(n)}:{text}" for n, text in inner.items())}}}')
        for field, column in columns.items():
            if field == "timestamp":
                members.append(f'"timestamp":{column[-1] or "null"}')
            if field != "timestamp" or self._item_times:
                members.append(f'"{_OF_ROWS[field]}":[{",".join("null" if t is None else t for t in column)}]')
        return f'{{"type":"outcomes",{",".join(members)}}}'


class _Held:
    """Rows that wait for more."""

    def __init__(self, fields: dict[str, Texts]) -> None:
        self.columns: dict[str, Texts] = {field: [] for field in fields}
        self.lines: list[int] = []

    def extend(self, columns: dict[str, Texts], lines: Sequence[int], places: list[int] | None) -> None:
        for field, column in columns.items():
            self.columns[field] += column if places is None else [column[place] for place in places]
        self.lines += lines if places is None else [lines[place] for place in places]

    def take(self, size: int) -> tuple[int, dict[str, Texts]]:
        """The first rows, and the line of the last of them."""
        batch = {field: column[:size] for field, column in self.columns.items()}
        line = self.lines[size - 1]
        self.columns = {field: column[size:] for field, column in self.columns.items()}
        del self.lines[:size]
        return line, batch


def _grouped(field: str) -> bool:
    return field.partition(".")[0] in GROUPS


def _at(shared: dict[str, Texts], place: int) -> Shared:
    return tuple((field, column[place]) for field, column in shared.items())


def _alike(shared: dict[str, Texts], count: int) -> dict[Shared, list[int] | None]:
    """The rows that have the same in all shared columns, by place; None where it is all of them."""
    if not count:
        return {}
    if all(column.count(column[0]) == count for column in shared.values()):
        return {_at(shared, 0): None}
    found: dict[Shared, list[int] | None] = {}
    names = tuple(shared)
    for place, row in enumerate(zip(*shared.values(), strict=True)):
        places = found.setdefault(tuple(zip(names, row, strict=True)), [])
        assert places is not None
        places.append(place)
    return found
