"""Recordings of what inference servers log, as the predictions they tell of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from agents.backtest.sources.lines import read_lines
from agents.backtest.sources.mapping import ColumnMapping
from agents.backtest.sources.recording import first_line, header_in, read_recording
from agents.recording.items import Item, SourceRecord
from schemas.inference_logs import predictions_in
from schemas.message import InvalidMessage


def read_inference_logs(server: str, files: list[Path], mapping: ColumnMapping) -> Iterator[Item]:
    """The predictions in files: recordings, or a structured event a line. Raises SourceError as their readers do."""
    del mapping
    for file in files:
        recorded = header_in(file, first_line(file)) is not None
        yield from predictions_of(server, read_recording(file) if recorded else read_lines(file))


def predictions_of(server: str, items: Iterable[Item]) -> Iterator[SourceRecord]:
    """A record for each prediction, at its event's place; what is no event becomes a dead letter that says why."""
    for item in items:
        if not isinstance(item, SourceRecord):
            continue
        try:
            values = [each.to_json() for each in predictions_in(server, item.value, item.headers, item.timestamp)]
        except InvalidMessage as problem:
            values = [json.dumps(str(problem)).encode()]
        for value in values:
            yield SourceRecord(item.topic, item.partition, item.offset, 0, None, value)
