"""Ready mappings: of public collections, whose files say in their names what they are, and of inference logs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from agents.backtest.sources.csv_file import Table, open_table, read_csv
from agents.backtest.sources.inference_logs import read_inference_logs
from agents.backtest.sources.mapping import ColumnMapping, check_columns
from agents.backtest.sources.rows import CHUNK_ROWS, RowMessages
from agents.recording.items import Item, SourceError

Rows = Iterator[tuple[int, tuple[str, ...]]]
"""Cells of rows, each with the row's line."""

_NANNYML = re.compile(r"(?P<name>.+)_(?P<part>reference|analysis)(?P<target>_targets?)?\.csv(\.gz|\.zst)?")

Layout = Callable[[Path, list[Path], ColumnMapping], Iterator[Item]]
"""`layout(root, files, mapping)`: root as it was named, the files in it; the mapping's constants and times count."""


def read_nab(root: Path, files: list[Path], mapping: ColumnMapping) -> Iterator[Item]:
    """The Numenta Anomaly Benchmark: each `timestamp,value` file is a model, its values are `extras.value`.

    A model is named as NAB names the series, folder/file without the extension; `__` in a file's name stands for `/`.
    """
    for file in _only_csv("nab", files):
        name = file.relative_to(root if root.is_dir() else file.parent).as_posix().partition(".csv")[0]
        model = {"model_name": name.replace("__", "/")}
        columns = {"timestamp": "timestamp", "extras.value": "value"}
        yield from read_csv(file, replace(mapping, columns=columns).with_constants(**model))


def read_nannyml(root: Path, files: list[Path], mapping: ColumnMapping) -> Iterator[Item]:
    """NannyML's sets of classifiers: each is a model, named as its files are, and its rows are outcomes.

    `NAME_reference.csv` has labels; those of `NAME_analysis.csv` are in `NAME_analysis_target.csv` (or `_targets`), by
    `id` and in the same order. What is read is what has a label; a row's offset is its line.
    """
    sets: dict[str, dict[str, Path]] = {}
    for file in _only_csv("nannyml", files):
        if (named := _NANNYML.fullmatch(file.name)) is not None:
            sets.setdefault(named["name"], {})["target" if named["target"] else named["part"]] = file
    if not sets:
        raise SourceError(f"{root}: the layout nannyml has NAME_reference.csv and NAME_analysis.csv; none is there")
    for name, parts in sets.items():
        yield from _nannyml_set(name, parts, mapping.with_constants(model_name=name))


def _nannyml_set(name: str, parts: dict[str, Path], mapping: ColumnMapping) -> Iterator[Item]:
    label = "y_true"
    if "target" in parts:
        with open_table(parts["target"]) as table:
            label = next((column for column in table.header if column not in ("id", "")), label)
    if "reference" in parts:
        columns = {"timestamp": "timestamp", "y_true": label, "y_pred": "y_pred"}
        yield from read_csv(parts["reference"], replace(mapping, columns=columns))
    if "analysis" in parts and "target" in parts:
        yield from _joined(parts["analysis"], parts["target"], label, mapping)


def _joined(analysis: Path, target: Path, label: str, mapping: ColumnMapping) -> Iterator[Item]:
    """The rows of an analysis that have a label, with it."""
    columns = {"timestamp": "timestamp", "y_pred": "y_pred", "y_true": label}
    messages = RowMessages(analysis.name, replace(mapping, columns=columns))
    with open_table(analysis) as table, open_table(target) as labels:
        rows = _picked(analysis, table, ("id", "timestamp", "y_pred"))
        labelled = _labelled(analysis, rows, target, _picked(target, labels, ("id", label)))
        while chunk := list(islice(labelled, CHUNK_ROWS)):
            columns_of_cells = list(zip(*(cells for _, cells in chunk), strict=True))
            yield from messages.records(columns_of_cells, [line for line, _ in chunk])
        yield from messages.finish()


def _labelled(analysis: Path, rows: Rows, target: Path, labels: Rows) -> Rows:
    """Line, time, prediction and label of each row that has one."""
    for at, (wanted, label) in labels:
        for line, (row_id, *cells) in rows:  # goes on after the row of the label before
            if row_id == wanted:
                yield line, (*cells, label)
                break
        else:
            raise SourceError(
                f"{target}: line {at}: the id {wanted!r} is not in {analysis.name}, or comes there before the id above"
            )


def _picked(path: Path, table: Table, columns: Sequence[str]) -> Rows:
    """Some cells of each row, with its line."""
    check_columns(str(path), ColumnMapping({column: column for column in columns}), table.header)
    places = [table.header.index(column) for column in columns]
    for row in table.rows:
        if len(row) == len(table.header):
            yield table.lines(), tuple(row[place] for place in places)
        elif row:
            raise SourceError(f"{path}: line {table.lines()}: {len(row)} cells under {len(table.header)} columns")


def _only_csv(layout: str, files: list[Path]) -> list[Path]:
    for file in files:
        if ".csv" not in file.name:
            raise SourceError(f"{file}: the layout {layout} has .csv files alone")
    return files


LAYOUTS: dict[str, Layout] = {
    "nab": read_nab,
    "nannyml": read_nannyml,
    "kserve": lambda _, files, mapping: read_inference_logs("kserve", files, mapping),
    "seldon": lambda _, files, mapping: read_inference_logs("seldon", files, mapping),
}
