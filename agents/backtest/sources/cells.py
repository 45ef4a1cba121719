"""Cells of a table as JSON: numbers, times, names, class labels; a column at a time, for that is several times quicker.

A cell that is not what its field asks for stays what it is, as a JSON string: the schema then says what is wrong.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any, Final

import msgspec

from agents.backtest.sources.mapping import NUMBERS, SCALARS

Texts = list[str | None]
"""The cells of one column as JSON texts; None where there is nothing."""

Converter = Callable[[Sequence[Any]], Texts]

#: Cells that hold nothing, as tables write it.
_NOTHING: Final = frozenset({"", "nan", "NaN", "NA", "N/A", "null", "NULL", "None"})
_BOOLEANS: Final = {"True": "true", "False": "false", "true": "true", "false": "false"}
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", re.ASCII)
_LENIENT = re.compile(r"\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\s*", re.ASCII)

#: Without an offset, as the times that it is taken from.
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001

_numbers = msgspec.json.Decoder(list[int | float]).decode


def converter_for(field: str) -> Converter:
    """What makes JSON of the cells of the column for `field`."""
    group = field.partition(".")[0]
    if field == "timestamp":
        return _instants
    if field in NUMBERS or group == "extras":
        return _all_numbers
    return _scalars if field in SCALARS else _names


def _all_numbers(cells: Sequence[Any]) -> Texts:
    return _clean_numbers(cells) or [_number(cell) for cell in cells]


def _scalars(cells: Sequence[Any]) -> Texts:
    return _clean_numbers(cells) or [_scalar(cell) for cell in cells]


def _names(cells: Sequence[Any]) -> Texts:
    return [None if cell is None or cell == "" else json.dumps(str(cell)) for cell in cells]


def _clean_numbers(cells: Sequence[Any]) -> Texts | None:
    """The cells themselves if each of them is a JSON number as it stands; else None."""
    kinds = set(map(type, cells))
    if kinds == {str}:
        try:
            return list(cells) if len(_numbers("[" + ",".join(cells) + "]")) == len(cells) else None
        except (msgspec.MsgspecError, UnicodeEncodeError):
            return None
    if kinds == {int} or (kinds == {float} and all(map(math.isfinite, cells))):
        return list(map(repr, cells))
    return None


def _number(cell: Any) -> str | None:
    if isinstance(cell, str):
        if cell in _NOTHING:
            return None
        return repr(float(cell)) if _LENIENT.fullmatch(cell) and math.isfinite(float(cell)) else json.dumps(cell)
    return _plain(cell)


def _scalar(cell: Any) -> str | None:
    """A class label: a number or a boolean where it looks like one, so that 1, 1.0 and True are the same class."""
    if isinstance(cell, str):
        if cell in _NOTHING:
            return None
        return _BOOLEANS.get(cell) or (cell if _NUMBER.fullmatch(cell) else json.dumps(cell))
    return _plain(cell)


def _plain(cell: Any) -> str | None:
    """A value of a typed column."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return None
    if isinstance(cell, bool | int | float):
        return json.dumps(cell)
    return _number(str(cell))  # a decimal, for one


def _instants(cells: Sequence[Any]) -> Texts:
    if set(map(type, cells)) == {str}:
        try:
            return [repr(_seconds(moment)) for moment in map(datetime.fromisoformat, cells)]
        except ValueError:
            pass  # some are no times; one by one
    return [_instant(cell) for cell in cells]


def _instant(cell: Any) -> str | None:
    """Epoch seconds. A time without an offset is UTC."""
    if isinstance(cell, str):
        if cell in _NOTHING:
            return None
        try:
            return repr(_seconds(datetime.fromisoformat(cell)))
        except ValueError:
            return cell if _NUMBER.fullmatch(cell) else json.dumps(cell)
    if isinstance(cell, datetime):
        return repr(_seconds(cell))
    if isinstance(cell, date):
        return repr(_seconds(datetime(cell.year, cell.month, cell.day)))  # noqa: DTZ001 - taken for UTC below
    return _plain(cell)


def _seconds(moment: datetime) -> float:
    return (moment - _EPOCH).total_seconds() if moment.tzinfo is None else moment.timestamp()
