"""Recordings to measure with, as `visutility record` writes them."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Final

from agents.recording.files import RecordingFile
from agents.recording.format import VERSION, Header, Positions
from agents.recording.items import SourceRecord
from benchmarks.traffic import Pairs
from streams.partitioner import partition_of

PARTITIONS: Final = 4
_TOPIC, _INTERNAL = "visutility.metrics", "visutility.monitor-internal"

#: Records that the recorder saves together, each partition's in a row, as a worker takes them.
_TOGETHER: Final = 10_000


def recording(file: Path, pairs: Pairs, *, ordered: bool) -> Path:
    """Write records of `metrics` in four partitions; `ordered`: by the monitor's cuts, else only by their times."""
    stages = ("monitor",) if ordered else ()
    header = Header(VERSION, {_TOPIC: PARTITIONS, _INTERNAL: PARTITIONS}, "visutility.", stages)
    written, ends, number = RecordingFile(file, header), [0] * PARTITIONS, 0
    while some := list(islice(pairs, _TOGETHER)):
        records = [list[SourceRecord]() for _ in range(PARTITIONS)]
        for key, value in some:
            place = partition_of(key.decode(), PARTITIONS)
            records[place].append(SourceRecord(_TOPIC, place, ends[place], 1_700_000_000_000 + number, key, value))
            ends[place] += 1
            number += 1
        for each in records:
            written.add(each)
        written.save(Positions({_TOPIC: list(ends), _INTERNAL: [0] * PARTITIONS}))
    written.close()
    return file
