"""SOURCE as people name it: a file, a folder of files, or topics on Kafka."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

from agents.backtest.sources.blocks import RecordingBlock, read_recording_blocks
from agents.backtest.sources.csv_file import read_csv
from agents.backtest.sources.inference_logs import predictions_of
from agents.backtest.sources.layouts import LAYOUTS
from agents.backtest.sources.lines import LineRecords, read_line_batches, read_lines
from agents.backtest.sources.mapping import ColumnMapping
from agents.backtest.sources.parquet_file import read_parquet
from agents.backtest.sources.recording import first_line, header_in, read_recording, recorded_of
from agents.recording.files import parts_of
from agents.recording.format import Header
from agents.recording.items import Item, Recorded, SourceError
from schemas.inference_logs import IDS
from schemas.kernel import COMPILED
from streams.security import Security

KAFKA = "kafka://"

R = TypeVar("R")
B = TypeVar("B")

_LINES = (".jsonl", ".jsonl.gz", ".jsonl.zst")
_TABLES: dict[str, Callable[[Path, ColumnMapping], Iterator[Item]]] = {
    ".csv": read_csv, ".csv.gz": read_csv, ".csv.zst": read_csv, ".parquet": read_parquet,
}  # fmt: skip
#: How much shorter compressed messages are, roughly.
_PACKED = 8
EXTENSIONS = (*_LINES, *_TABLES)


class Source:
    """What a SOURCE holds, in order, read anew by each iteration and never all in memory.

    `recorded` tells what a recording knows beside its records; None for everything else. `grows`: the next iteration
    may give more. `size`: about how many bytes of messages there are, as far as that is known. Iterating raises
    SourceError.
    """

    def __init__(
        self,
        name: str,
        items: Callable[[], Iterator[Item]],
        recorded: Recorded | None = None,
        batches: Callable[[], Iterator[Item | LineRecords | RecordingBlock]] | None = None,
        grows: bool = False,
        size: int = 0,
    ) -> None:
        self.name, self._items, self.recorded, self.grows, self.size = name, items, recorded, grows, size
        self._batches = batches or items

    def __iter__(self) -> Iterator[Item]:
        return self._items()

    def batches(self) -> Iterator[Item | LineRecords | RecordingBlock]:
        """The same, with many lines at a time where they cost less together: those of a recording only with numba.

        Where a line is none of a recording, iterating raises the SourceError that says so; this may raise another.
        """
        return self._batches()


def open_source(
    spec: str | Path,
    mapping: ColumnMapping | None = None,
    layout: str | None = None,
    security: Security | None = None,
) -> Source:
    """The source that `spec` names; `mapping` says what the columns of tables are, `layout` is a ready one.

    `spec`: a file with one of the `EXTENSIONS`, a folder of such (all below it, by name), or
    `kafka://HOST:PORT[,…]/TOPIC[,TOPIC…]?from=…&to=…`; what was recorded in several files is named as if it were one.
    Raises SourceError for what cannot be: no such file, another extension, a table without a mapping, a layout that
    does not exist; the columns are looked at when it is read. Brokers are reached by `security`, else in plain text.
    """
    mapping = mapping or ColumnMapping()
    if layout is not None and layout not in LAYOUTS:
        raise SourceError(f"no layout {layout!r}: there are {', '.join(LAYOUTS)}")
    if isinstance(spec, str) and spec.startswith(KAFKA):
        from agents.backtest.sources.kafka import kafka_source

        source = kafka_source(spec, security)
        if layout not in IDS:
            return source
        return Source(spec, lambda: predictions_of(layout, source), grows=source.grows)
    root = Path(spec)
    files = _files(root)
    if layout is not None:
        read = LAYOUTS[layout]
        return Source(str(spec), lambda: read(root, files, mapping))
    if any(_extension(file) in _TABLES for file in files):
        if not mapping.columns:
            raise SourceError(f"{spec}: which column is what? give --map FIELD=COLUMN,… (or --layout)")
        mapping.type  # noqa: B018 - raises now rather than at the first row
    begins = {file: first_line(file) for file in files if _extension(file) in _LINES}
    headers = {file: header_in(file, line) for file, line in begins.items()}
    if any(headers.values()):  # a recorder may have been killed before it wrote into its next file
        files = [file for file in files if begins.get(file) != b""]
    read_all, recorded = partial(_read, files, headers, mapping), _recorded(str(spec), files, headers)
    batches, size = partial(read_all, read_line_batches, _in_blocks), sum(map(_size, begins))
    return Source(str(spec), lambda: read_all(read_lines, _one_by_one), recorded, batches, size=size)


def _read(
    files: list[Path],
    headers: Mapping[Path, Header | None],
    mapping: ColumnMapping,
    read_plain: Callable[[Path], Iterator[R]],
    read_recorded: Callable[[Path, Header], Iterator[B]],
) -> Iterator[Item | R | B]:
    for file in files:
        read = _TABLES.get(_extension(file))
        if read is not None:
            yield from read(file, mapping)
        elif (header := headers[file]) is None:
            yield from read_plain(file)
        else:
            yield from read_recorded(file, header)


def _one_by_one(file: Path, header: Header) -> Iterator[Item]:
    return read_recording(file)


def _in_blocks(file: Path, header: Header) -> Iterator[Item | RecordingBlock]:
    return read_recording_blocks(file, sorted(header.topics)) if COMPILED else read_recording(file)


def _size(file: Path) -> int:
    """About how many bytes of text a file holds."""
    return file.stat().st_size * (1 if file.name.endswith(_LINES[0]) else _PACKED)


def _recorded(spec: str, files: list[Path], headers: Mapping[Path, Header | None]) -> Recorded | None:
    """What recordings know of themselves, which must be the same in all files."""
    found = [recorded_of(header) for header in headers.values() if header is not None]
    if not found:
        return None
    if len(found) < len(files) or any(each != found[0] for each in found):
        raise SourceError(f"{spec}: holds several recordings, or other files beside one; name them one by one")
    return found[0]


def _files(root: Path) -> list[Path]:
    """The files of a folder that can be read, by name; of a file itself. Raises SourceError if there is none."""
    if root.is_dir():
        found = sorted(file for file in root.rglob("*") if file.is_file() and _extension(file))
        if not found:
            raise SourceError(f"{root}: no file in this folder is named {_listed()}")
        return found
    if not _extension(root):
        if root.exists():
            raise SourceError(f"{root}: expected a file named {_listed()}")
    elif files := parts_of(root) if _extension(root) in _LINES else [root] * root.exists():
        return files
    raise SourceError(f"{root}: cannot be read: No such file or directory")


def _listed() -> str:
    return f"{', '.join(EXTENSIONS[:-1])} or {EXTENSIONS[-1]}"


def _extension(file: Path) -> str:
    return next((each for each in EXTENSIONS if file.name.endswith(each)), "")
