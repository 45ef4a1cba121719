"""Where the events of a backtest come from: files, folders, tables, recordings, topics, or values at hand.

    for item in open_source("events.csv.gz", parse_mapping(["timestamp=ts,accuracy=value"], model="fraud")):

gives a `SourceRecord` for each event (in a recording also `TimePassed`), one at a time. `SourceError` is all it raises.
"""

from __future__ import annotations

from agents.backtest.sources.blocks import RecordedLines, RecordingBlock
from agents.backtest.sources.events import UNNAMED, EventLike, Many, records_of
from agents.backtest.sources.layouts import LAYOUTS
from agents.backtest.sources.lines import LineRecords, read_lines
from agents.backtest.sources.mapping import ColumnMapping, parse_mapping
from agents.backtest.sources.source import EXTENSIONS, Source, open_source
from agents.recording.items import Item, Recorded, SourceError, SourceRecord, TimePassed

__all__ = [
    "EXTENSIONS",
    "LAYOUTS",
    "UNNAMED",
    "ColumnMapping",
    "EventLike",
    "Item",
    "LineRecords",
    "Many",
    "Recorded",
    "RecordedLines",
    "RecordingBlock",
    "Source",
    "SourceError",
    "SourceRecord",
    "TimePassed",
    "open_source",
    "parse_mapping",
    "read_lines",
    "records_of",
]
