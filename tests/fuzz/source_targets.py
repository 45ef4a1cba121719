"""What reads files that people name: recordings, tables, labels. What cannot be read is one line that says why."""

from __future__ import annotations

import atexit
import json
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pyarrow
from pyarrow import parquet

from agents.backtest.labels import LabelsError, read_labels
from agents.backtest.sources import SourceError, open_source
from agents.backtest.sources.mapping import parse_mapping
from agents.recording.compressed import compressor_for
from agents.recording.format import (
    Header,
    NotARecording,
    Positions,
    header_line,
    header_of,
    item_line,
    item_of,
    positions_in,
    positions_line,
)
from agents.recording.items import SourceRecord, TimePassed
from agents.recording.retiming import key_of, shifted, shifted_headers, time_of
from schemas.inference_logs import predictions_in
from schemas.message import InvalidMessage
from tests.fuzz.message_targets import Headers, headers
from tests.fuzz.mutation import Mutator
from tests.fuzz.seeds import USUAL, malformed
from tests.fuzz.target import Target, refused_with

_CSV = b"""ts,accuracy,model,region
2025-01-01T00:00:00Z,0.9,fraud,eu
2025-01-01 00:01:00,0.8,"fraud, eu",
1735689720,NaN,fraud,"a ""b"" c"
"""
_LABELS_CSV = b"model,metric,begin,end\nfraud,accuracy,2025-01-01T00:00:00Z,2025-01-02\n*,,1735689600,\nquiet,,,\n"
_LABELS: tuple[object, ...] = (
    [{"model": "fraud", "begin": "2025-01-01T00:00:00Z", "end": 1735776000}, {"model": "quiet"}, {"begin_event": 3}],
    {"labels": [{"model": "f*", "begin_event": 1, "end_event": 9, "metric": "accuracy"}]},
    {"a.csv": ["2025-01-01 00:00:00", 1735689600], "b.csv": [], "c": [[1, 5]]},
    {"windows": {"a": [["2025-01-01", "2025-01-02"]]}},
    {"series": {"1": [3, 9], "2": [4], "3": []}},
    [{"path": "streams/a__b.csv.gz", "rows": 9, "drifts": [4]},
     {"path": "predictions/a__m.csv.gz", "rows": 4, "drifts": [5]}],
)  # fmt: skip
_LOGGED: tuple[object, ...] = (
    {"predictions": [1, "a", True, [0.1, 0.9]]},
    {"model_version": "2", "outputs": [{"name": "predict", "shape": [2, 1], "data": [0.5, 1]}]},
    {"outputs": [{"name": "p", "shape": [2], "data": [1, 0]}, {"name": "scores", "shape": [1, 2], "data": [0, 1]}]},
    {"data": {"names": ["t:0", "t:1"], "ndarray": [[0.2, 0.8]]}, "meta": {}},
    {"data": {"tensor": {"shape": [1, 2], "values": [0.2, 0.8]}}},
    {"specversion": "1.0", "id": "i", "time": "2024-01-01T00:00:00Z", "data": {"predictions": [1]}},
    {"specversion": "1.0", "type": "x.inference.response", "data_base64": "eyJwcmVkaWN0aW9ucyI6WzFdfQ=="},
)  # fmt: skip


def source_targets(draw: random.Random) -> Iterator[Target]:
    """Lines of recordings; files; the times that a replay moves."""
    lines = _recorded_lines()
    yield _lines_target(draw, lines)
    yield _replay_target(draw)
    yield _inference_target(draw)
    folder = Path(tempfile.mkdtemp(prefix="visutility-fuzz-", dir=_memory()))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    labels = [json.dumps(each).encode() for each in _LABELS]
    yield _file_target(draw, "labels json", folder / "labels.json", labels, _labels)
    yield _file_target(draw, "labels csv", folder / "labels.csv", [_LABELS_CSV], _labels)
    yield _file_target(draw, "table csv", folder / "table.csv", [_CSV], _table)
    yield _file_target(draw, "table parquet", folder / "table.parquet", [_parquet(folder)], _table, binary=True)
    whole = b"".join(lines)
    yield _file_target(draw, "recording", folder / "some.jsonl", [whole, b"\n".join(USUAL)], _items)
    for ending in (".jsonl.gz", ".jsonl.zst"):
        path = folder / f"packed{ending}"
        yield _file_target(draw, f"recording{ending}", path, [compressor_for(path)(whole)], _items, binary=True)


def _memory() -> str | None:
    """A file system in memory, where there is one: files are written a million times."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _recorded_lines() -> list[bytes]:
    metrics, inner = "visutility.metrics", "visutility.monitor-internal"
    head = (("ce_time", b"2024-01-01T00:00:00Z"), ("empty", None), ("binary", b"\xff"))
    records = [
        SourceRecord(metrics, 0, at, 1_700_000_000_000, b"m", value, head if at % 3 == 0 else ())  # type: ignore[arg-type]
        for at, value in enumerate([*USUAL, *malformed()[:8]])
    ]
    return [
        header_line(Header(1, {metrics: 4, inner: 4}, "visutility.", ("monitor",), "localhost:9092")),
        *map(item_line, records),
        item_line(SourceRecord(metrics, 1, 9, 0, b"\xff", None)),
        item_line(TimePassed("monitor", 0, 1_000)),
        positions_line(Positions({metrics: [8, 0, 0, 0]}, {"monitor": [(3, 1), (0, 0), (0, 0), (0, 0)]})),
    ]


def _lines_target(draw: random.Random, lines: Sequence[bytes]) -> Target:
    mutator = Mutator(draw, lines)
    reads: list[Callable[[bytes], object]] = [header_of, item_of, positions_in]

    def check(line: bytes) -> bool:
        refused = [refused_with(NotARecording, partial(read, line)) for read in reads]
        return not (refused[0] and refused[1])

    return Target("recorded lines", mutator.json, check, 6)


def _replay_target(draw: random.Random) -> Target:
    mutator = Mutator(draw, USUAL)

    def record() -> SourceRecord:
        return SourceRecord("metrics", 0, 0, 0, None, mutator.json(), headers(draw, mutator))  # type: ignore[arg-type]

    def check(record: SourceRecord) -> bool:
        key_of(record)
        shifted_headers(record.headers, 3.5)
        assert isinstance(shifted(record.value, 1e9), bytes)
        return time_of(record) is not None

    return Target("replayed times", record, check, 4)


def _inference_target(draw: random.Random) -> Target:
    """Events of KServe and Seldon, in each protocol."""
    mutator = Mutator(draw, [json.dumps(each).encode() for each in _LOGGED])
    names = ("ce_type", "ce-id", "ce_time", "ce_inferenceservicename", "ce_namespace", "requestid", "endpoint", "type")
    usual: Headers = (("ce_type", b"x.inference.response"), ("ce_id", b"i"), ("ce_inferenceservicename", b"m"))

    def event() -> tuple[bytes, Headers, int]:
        return mutator.json(), (*usual, *headers(draw, mutator, names)), draw.choice((0, -1, 1_700_000_000_000, 2**62))

    def check(given: tuple[bytes, Headers, int]) -> bool:
        return not refused_with(InvalidMessage, partial(predictions_in, draw.choice(("kserve", "seldon")), *given))

    return Target("inference logs", event, check, 4)


def _file_target(
    draw: random.Random, name: str, path: Path, seeds: list[bytes], read: Callable[[Path], object], binary: bool = False
) -> Target:
    mutator = Mutator(draw, seeds)

    def changed() -> bytes:
        if binary or draw.random() < 0.1:
            return mutator.packed(draw.choice(seeds))
        return mutator.json()

    def check(content: bytes) -> bool:
        path.write_bytes(content)
        return not refused_with((SourceError, LabelsError), lambda: read(path))

    return Target(name, changed, check)


def _labels(path: Path) -> object:
    return read_labels(path)


def _table(path: Path) -> object:
    mapping = parse_mapping(["timestamp=ts,accuracy=accuracy,model_name=model,labels.region=region"])
    return sum(1 for _ in open_source(path, mapping))


def _items(path: Path) -> object:
    source = open_source(path)
    return sum(1 for _ in source), sum(1 for _ in source.batches())


def _parquet(folder: Path) -> bytes:
    path = folder / "seed.parquet"
    columns = {"ts": [1.7e9, 1.7e9 + 1], "accuracy": [0.9, None], "model": ["fraud", "m"], "region": ["eu", None]}
    parquet.write_table(pyarrow.table(columns), path)
    return path.read_bytes()
