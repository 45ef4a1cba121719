"""A reference read from a file: one column of numbers."""

from __future__ import annotations

import csv
import gzip
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_KINDS: Final = ".csv, .jsonl (both also .gz) or .npy"


def read_reference(file: str, column: str | None, most: int) -> NDArray[np.float64]:
    """The numbers of a column, or `most` of them, evenly spaced, where there are more; in the file's order.

    A .csv has a line of names; a .jsonl an object on each line, in which `column` may be a path ("extras.amount"); a
    .npy is an array of one dimension and has no columns. Raises ValueError, which begins with "reference_file:" or
    "column:", for a file that cannot be read, a column that is not there, fewer than two numbers, or what is no finite
    number.
    """
    suffix = _suffix(Path(file))
    if suffix not in (".csv", ".jsonl", ".npy"):
        raise ValueError(f"reference_file: expected a name that ends in {_KINDS}, got {file!r}")
    if suffix != ".npy" and column is None:
        raise ValueError(f"column: expected the name of the column of {file} that is the reference")
    try:
        values = _array(Path(file), column) if suffix == ".npy" else read_numbers(file, str(column))
    except MissingColumn as problem:
        raise ValueError(f"column: {problem}") from None
    except ValueError as problem:
        text = str(problem)
        raise ValueError(text if text.startswith("column:") else f"reference_file: {text}") from None
    if len(values) < 2:
        raise ValueError(f"reference_file: expected at least two numbers in {file}, got {len(values)}")
    return values[np.arange(most) * len(values) // most] if len(values) > most else values


class MissingColumn(ValueError):
    """A file has no column of this name; the message lists those that it has."""


def read_numbers(file: str, column: str) -> NDArray[np.float64]:
    """The finite numbers of a column of a .csv or .jsonl; ValueError for anything else, with its line."""
    cells = read_cells(file, column)
    return np.array([_number(cell, line, file) for line, cell in cells], dtype=np.float64)


def read_cells(file: str, column: str) -> list[tuple[int, object]]:
    """(line, content) of each cell of a column of a .csv or .jsonl, also .gz. Raises ValueError or MissingColumn."""
    path = Path(file)
    suffix = _suffix(path)
    if suffix not in (".csv", ".jsonl"):
        raise ValueError(f"expected a name that ends in .csv or .jsonl (both also .gz), got {file!r}")
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
            return list(_of_csv(lines, column, file) if suffix == ".csv" else _of_jsonl(lines, column))
    except (OSError, EOFError, UnicodeDecodeError) as problem:
        raise ValueError(f"{file} cannot be read: {problem}") from None


def _suffix(path: Path) -> str:
    """Of what is within, if it is packed; of a packed array none: numpy would not find it."""
    suffix = Path(path.name.removesuffix(".gz")).suffix
    return "" if path.suffix == ".gz" and suffix == ".npy" else suffix


def _array(path: Path, column: str | None) -> NDArray[np.float64]:
    if column is not None:
        raise ValueError(f"column: expected none, for a .npy has no columns, got {column!r}")
    try:
        array = np.load(path, allow_pickle=False)
        values = np.asarray(array, dtype=np.float64)
    except OSError as problem:
        raise ValueError(f"{path} cannot be read: {problem}") from None
    except (ValueError, TypeError, EOFError) as problem:
        raise ValueError(f"{path} is no array of numbers: {problem}") from None
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError(f"expected one dimension of finite numbers in {path}")
    return values


def _of_csv(lines: Any, column: str, file: str) -> Iterator[tuple[int, object]]:
    rows = csv.DictReader(lines)
    names = rows.fieldnames or []
    if column not in names:
        raise MissingColumn(f"{file} has no column {column!r}; it has {', '.join(names) or 'none'}")
    for row in rows:
        yield rows.line_num, row[column]


def _of_jsonl(lines: Any, column: str) -> Iterator[tuple[int, object]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            cell = json.loads(line)
        except ValueError:
            cell = None
        for part in [column] if isinstance(cell, dict) and column in cell else column.split("."):
            cell = cell.get(part) if isinstance(cell, dict) else None
        yield number, cell


def _number(cell: object, line: int, file: str) -> float:
    try:
        value = float(cell)  # type: ignore[arg-type] # what is none is told
    except (TypeError, ValueError):
        value = math.nan
    if isinstance(cell, bool) or not math.isfinite(value):
        raise ValueError(f"line {line} of {file}: expected a finite number, got {cell!r}")
    return value
