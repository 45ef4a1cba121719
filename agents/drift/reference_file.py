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
    path = Path(file)
    suffix = Path(path.name.removesuffix(".gz")).suffix
    if suffix not in (".csv", ".jsonl", ".npy") or path.name.endswith(".npy.gz"):
        raise ValueError(f"reference_file: expected a name that ends in {_KINDS}, got {file!r}")
    if suffix != ".npy" and column is None:
        raise ValueError(f"column: expected the name of the column of {file} that is the reference")
    try:
        values = _array(path, column) if suffix == ".npy" else _column(path, suffix, str(column))
    except (OSError, EOFError, UnicodeDecodeError) as problem:
        raise ValueError(f"reference_file: {file} cannot be read: {problem}") from None
    if len(values) < 2:
        raise ValueError(f"reference_file: expected at least two numbers in {file}, got {len(values)}")
    return values[np.arange(most) * len(values) // most] if len(values) > most else values


def _array(path: Path, column: str | None) -> NDArray[np.float64]:
    if column is not None:
        raise ValueError(f"column: expected none, for a .npy has no columns, got {column!r}")
    try:
        array = np.load(path, allow_pickle=False)
        values = np.asarray(array, dtype=np.float64)
    except (ValueError, TypeError) as problem:
        raise ValueError(f"reference_file: {path} is no array of numbers: {problem}") from None
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError(f"reference_file: expected one dimension of finite numbers in {path}")
    return values


def _column(path: Path, suffix: str, column: str) -> NDArray[np.float64]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        cells = _of_csv(lines, column, path) if suffix == ".csv" else _of_jsonl(lines, column)
        return np.array([_number(cell, number, path) for number, cell in cells], dtype=np.float64)


def _of_csv(lines: Any, column: str, path: Path) -> Iterator[tuple[int, object]]:
    rows = csv.DictReader(lines)
    names = rows.fieldnames or []
    if column not in names:
        raise ValueError(f"column: {path} has no column {column!r}; it has {', '.join(names) or 'none'}")
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


def _number(cell: object, line: int, path: Path) -> float:
    try:
        value = float(cell)  # type: ignore[arg-type] # what is none is told
    except (TypeError, ValueError):
        value = math.nan
    if isinstance(cell, bool) or not math.isfinite(value):
        raise ValueError(f"reference_file: line {line} of {path}: expected a finite number, got {cell!r}")
    return value
