"""Tables in `.parquet` files, some thousand rows at a time, by pyarrow (the extra `backtest`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agents.backtest.sources.mapping import ColumnMapping, check_columns
from agents.backtest.sources.rows import CHUNK_ROWS, RowMessages
from agents.recording.items import SourceError, SourceRecord


def read_parquet(path: Path, mapping: ColumnMapping) -> Iterator[SourceRecord]:
    """The rows of a file. A row's offset is its number, from 1.

    Raises SourceError if the file cannot be read, lacks a mapped column, or pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise SourceError(
            f"{path}: reading .parquet needs the extra 'backtest': pip install 'visutility-streams[backtest]'"
        ) from None
    try:
        with parquet.ParquetFile(path, pre_buffer=False) as file:
            check_columns(str(path), mapping, file.schema_arrow.names)
            messages = RowMessages(path.name, mapping)
            columns, done = list(dict.fromkeys(mapping.columns.values())), 0
            for batch in file.iter_batches(CHUNK_ROWS, columns=columns, use_threads=False):
                cells = [_cells(batch.column(column)) for column in mapping.columns.values()]
                yield from messages.records(cells, range(done + 1, done + batch.num_rows + 1))
                done += batch.num_rows
            yield from messages.finish()
    except (pyarrow.ArrowException, UnicodeDecodeError) as problem:
        raise SourceError(f"{path}: not parquet, or damaged: {str(problem).splitlines()[0]}") from None
    except OSError as problem:
        raise SourceError(f"{path}: cannot be read: {problem.strerror or str(problem).splitlines()[0]}") from None


def _cells(column: Any) -> list[Any]:
    """The values as Python's own; numbers by way of numpy, which is several times quicker."""
    import pyarrow.types as types

    kind = column.type
    if column.null_count == 0 and (types.is_integer(kind) or types.is_float64(kind)):
        numbers: list[Any] = column.to_numpy(zero_copy_only=False).tolist()
        return numbers
    if types.is_timestamp(kind) and kind.unit == "ns":
        column = column.cast(f"timestamp[us, tz={kind.tz}]" if kind.tz else "timestamp[us]", safe=False)
    values: list[Any] = column.to_pylist()
    return values
