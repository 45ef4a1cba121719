"""Rows with a label and a prediction as `outcomes` messages of some hundred rows: columns are read far quicker."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import compress

from agents.backtest.sources.cells import Texts
from agents.backtest.sources.mapping import GROUPS

#: Fields that each row has its own value of, and what they are called in the message.
_OF_ROWS = {"y_true": "y_true", "y_pred": "y_pred", "score": "scores", "timestamp": "timestamps"}

Shared = tuple[tuple[str, str | None], ...]
"""What the rows of a message have in common: field and JSON text."""


Places = tuple[int, int]
"""The line of a row in its file, and its number among the rows, from 0."""


class OutcomeBatches:
    """Holds rows back until there are `size` with the same model, version and labels.

    `time_of_row` gives the time, as JSON, of a row of a table that has no times.
    """

    def __init__(self, size: int, item_times: bool, time_of_row: Callable[[int], str]) -> None:
        self._size, self._item_times, self._time_of_row = size, item_times, time_of_row
        self._held: dict[Shared, _Held] = {}

    def messages(self, texts: dict[str, Texts], lines: Sequence[int], rows: Sequence[int]) -> Iterator[tuple[int, str]]:
        """The messages that are complete, each with its last row's line.

        A row without a label, a prediction or a time is a message of its own, which the schema refuses.
        """
        columns = {field: texts[field] for field in _OF_ROWS if field in texts}
        shared = {field: column for field, column in texts.items() if field not in _OF_ROWS}
        places: Sequence[Places] = list(zip(lines, rows, strict=True))
        if any(None in column for column in columns.values()):
            whole = [None not in row for row in zip(*columns.values(), strict=True)]
            for at in (at for at, good in enumerate(whole) if not good):
                alone = {field: [column[at]] for field, column in columns.items()}
                yield lines[at], self._message(_common(shared, at), alone, rows[at])
            columns, shared = ({f: list(compress(c, whole)) for f, c in some.items()} for some in (columns, shared))
            places = list(compress(places, whole))
        for common, chosen in _alike(shared, len(places)).items():
            held = self._held.setdefault(common, _Held(columns))
            held.extend(columns, places, chosen)
            while len(held.places) >= self._size:
                yield self._first(common, held, self._size)

    def finish(self) -> Iterator[tuple[int, str]]:
        """What is held back, whatever its size."""
        for common, held in self._held.items():
            if held.places:
                yield self._first(common, held, len(held.places))

    def _first(self, common: Shared, held: _Held, size: int) -> tuple[int, str]:
        (line, row), columns = held.take(size)
        return line, self._message(common, columns, row)

    def _message(self, common: Shared, columns: dict[str, Texts], last_row: int) -> str:
        members = [f"{json.dumps(field)}:{text}" for field, text in common if not _grouped(field) and text is not None]
        for group in GROUPS:
            inner = {field.partition(".")[2]: text for field, text in common if field.startswith(f"{group}.")}
            if inner := {name: text for name, text in inner.items() if text is not None}:
                members.append(f'"{group}":{{{",".join(f"{json.dumps(n)}:{text}" for n, text in inner.items())}}}')
        time = columns["timestamp"][-1] if "timestamp" in columns else self._time_of_row(last_row)
        members.append(f'"timestamp":{time or "null"}')
        for field, column in columns.items():
            if field != "timestamp" or self._item_times:
                members.append(f'"{_OF_ROWS[field]}":[{_joined(column)}]')
        return f'{{"type":"outcomes",{",".join(members)}}}'


class _Held:
    """Rows that wait for more."""

    def __init__(self, fields: Iterable[str]) -> None:
        self.columns: dict[str, Texts] = {field: [] for field in fields}
        self.places: list[Places] = []

    def extend(self, columns: dict[str, Texts], places: Sequence[Places], chosen: list[int] | None) -> None:
        """Take in the chosen rows; None means all."""
        for field, column in columns.items():
            self.columns[field] += column if chosen is None else [column[at] for at in chosen]
        self.places += places if chosen is None else [places[at] for at in chosen]

    def take(self, size: int) -> tuple[Places, dict[str, Texts]]:
        """The first rows, and the place of the last of them."""
        batch = {field: column[:size] for field, column in self.columns.items()}
        place = self.places[size - 1]
        self.columns = {field: column[size:] for field, column in self.columns.items()}
        del self.places[:size]
        return place, batch


def _joined(column: Texts) -> str:
    try:
        return ",".join(column)  # type: ignore[arg-type]
    except TypeError:  # a row on its own lacks something
        return ",".join("null" if text is None else text for text in column)


def _grouped(field: str) -> bool:
    return field.partition(".")[0] in GROUPS


def _common(shared: dict[str, Texts], place: int) -> Shared:
    return tuple((field, column[place]) for field, column in shared.items())


def _alike(shared: dict[str, Texts], count: int) -> dict[Shared, list[int] | None]:
    """The rows that have the same in all shared columns, by place; None where it is all of them."""
    if not count:
        return {}
    if all(column.count(column[0]) == count for column in shared.values()):
        return {_common(shared, 0): None}
    found: dict[Shared, list[int] | None] = {}
    names = tuple(shared)
    for place, row in enumerate(zip(*shared.values(), strict=True)):
        places = found.setdefault(tuple(zip(names, row, strict=True)), [])
        assert places is not None
        places.append(place)
    return found
