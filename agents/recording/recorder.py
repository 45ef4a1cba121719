"""Topics into a file, from where the file ends to where the topics do, or for as long as they are followed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agents.recording.files import RecordingFile
from agents.recording.items import Item, SourceRecord
from agents.recording.reader import TopicsReader, Wanted, described

#: What was read is written at least so often, in seconds, and when so many bytes wait.
_SAVE_EVERY, _SAVE_BYTES = 1.0, 4 * 2**20


@dataclass
class Progress:
    """What a recorder did. `records` and `ticks` are those of this time; `lost` were removed by retention before it."""

    topics: dict[str, int]
    ordered_by: tuple[str, ...]
    records: int = 0
    ticks: int = 0
    bytes: int = 0
    lost: int = 0
    remaining: int = 0
    resumed: bool = False
    file: str = ""


Told = Callable[[Progress], None]


async def record(
    wanted: Wanted,
    path: Path,
    rotate_at: int | None = None,
    stop: asyncio.Event | None = None,
    tell: Told = lambda _: None,
) -> Progress:
    """Record until `wanted` ends or `stop` is set; `tell` is called after each write.

    Raises `TopicMissing`, SourceError (another recording is there), OSError (it cannot be written) and Kafka's errors;
    whatever is raised, what was written before stays, and the next call goes on from there.
    """
    header = await described(wanted)
    file = RecordingFile(path, header, rotate_at)
    try:
        done = Progress(header.topics, header.ordered_by, resumed=file.positions is not None)
        async with TopicsReader(wanted, header, file.positions) as reader:
            done.lost = reader.lost
            await _write(reader, file, done, stop or asyncio.Event(), tell)
        return done
    finally:
        file.close()


async def _write(reader: TopicsReader, file: RecordingFile, done: Progress, stop: asyncio.Event, tell: Told) -> None:
    clock = asyncio.get_running_loop().time
    saved = clock()
    async for items in reader:
        file.add(items)
        _count(done, items)
        if stop.is_set():
            break
        if file.waiting >= _SAVE_BYTES or clock() - saved >= _SAVE_EVERY:
            await _save(reader, file, done, tell)
            saved = clock()
    await _save(reader, file, done, tell)


async def _save(reader: TopicsReader, file: RecordingFile, done: Progress, tell: Told) -> None:
    file.save(reader.positions())
    done.bytes, done.file, done.remaining = file.written, str(file.file), await reader.remaining()
    tell(done)


def _count(done: Progress, items: list[Item]) -> None:
    records = sum(type(item) is SourceRecord for item in items)
    done.records += records
    done.ticks += len(items) - records
