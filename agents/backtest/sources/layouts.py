"""Ready mappings of public collections of data, whose files say in their names what they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from agents.backtest.sources.csv_file import read_csv
from agents.backtest.sources.mapping import ColumnMapping
from agents.recording.items import Item, SourceError

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


def _only_csv(layout: str, files: list[Path]) -> list[Path]:
    for file in files:
        if ".csv" not in file.name:
            raise SourceError(f"{file}: the layout {layout} has .csv files alone")
    return files


LAYOUTS: dict[str, Layout] = {"nab": read_nab}
