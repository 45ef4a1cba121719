"""Records of a recording that wait to be applied together: by partition, those of many lines without one being made."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final

import numpy as np

from agents.backtest.sources import RecordedLines, RecordingBlock
from agents.recording.envelopes import lines_copied
from schemas.columns.columns import Integers
from schemas.columns.packed import PADDING
from schemas.columns.words import Bytes
from streams.records import ListedRecords, Record, RecordBatch

_PADDING: Final = np.frombuffer(PADDING, np.uint8)

#: Lines that are there as text, where each begins and how far from there its value does; or a record by itself.
_Lines = tuple[Bytes, Integers, Integers]


class Gathered:
    """The records of one partition, in order."""

    def __init__(self) -> None:
        self._parts: list[_Lines | Record] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, record: Record) -> None:
        """Take in a record."""
        self._parts.append(record)
        self._count += 1

    def add_lines(self, block: RecordingBlock, lines: Integers) -> None:
        """Take in usual lines of a block. They are copied, for others' may lie between them, and in other blocks."""
        text = lines_copied(block.text, block.begins, block.ends, lines)
        begins = np.cumsum(np.append(0, block.ends[lines] - block.begins[lines]))[:-1]
        self._parts.append((text, begins, block.starts[lines] - block.begins[lines]))
        self._count += len(lines)

    def records(self, left_out: Callable[[Record], bool] | None = None) -> RecordBatch:
        """All of them but those of `left_out`, which is asked of records that were taken in by themselves."""
        if left_out is not None:
            self._parts = [part for part in self._parts if isinstance(part, tuple) or not left_out(part)]
        if not any(isinstance(part, tuple) for part in self._parts):
            return ListedRecords([part for part in self._parts if not isinstance(part, tuple)])
        begins, starts, ends, loose = list[Integers](), list[Integers](), list[Integers](), dict[int, Record]()
        end = place = 0
        for part in self._parts:
            if isinstance(part, tuple):
                text, at, value = part
                begins.append(end + at)
                starts.append(end + at + value)
                ends.append(end + np.append(at[1:], len(text)))
                end += len(text)
                place += len(at)
            else:
                loose[place] = part
                for places in (begins, starts, ends):
                    places.append(_NOWHERE)
                place += 1
        texts = [part[0] for part in self._parts if isinstance(part, tuple)]
        joined = np.concatenate([*texts, _PADDING])
        joined.flags.writeable = False
        placed = [np.concatenate(places) for places in (begins, starts, ends)]
        for each in placed:
            each[list(loose)] = end
        return RecordedLines(joined, placed[0], placed[1], placed[2], loose)


#: Stands for where a record is that is in no text.
_NOWHERE: Final = np.array([-1])


class BlockQueue:
    """A block's usual lines on their way to the batches of their partitions, each as soon as somebody has to know."""

    def __init__(self, block: RecordingBlock, lines: Integers, batches: list[Gathered], most: int) -> None:
        """A batch is full when it has `most` records."""
        self._block, self._batches, self._most = block, batches, most
        self.count = len(lines)
        #: All lines before this one are taken in.
        self.reached = 0
        partitions = block.partitions[lines]
        order = np.argsort(partitions, kind="stable")
        present, begins = np.unique(partitions[order], return_index=True)
        parts = np.split(lines[order], begins[1:]) if len(lines) else []
        self._lines = dict(zip(present.tolist(), parts, strict=True))
        self._handed_over = dict.fromkeys(self._lines, 0)
        #: By partition the line at which its batch is full, and the same as a heap, which knows former ones, too.
        self._full: dict[int, int] = {}
        self._next: list[tuple[int, int]] = []
        for partition in self._lines:
            self.expect(partition)

    def expect(self, partition: int) -> None:
        """Find where the partition's batch, which somebody has changed, will be full."""
        self._full.pop(partition, None)
        if (lines := self._lines.get(partition)) is None:
            return
        at = self._handed_over[partition] + max(self._most - len(self._batches[partition]), 1) - 1
        if at < len(lines):
            self._full[partition] = line = int(lines[at])
            heappush(self._next, (line, partition))

    def full_before(self, line: int) -> int | None:
        """A partition whose batch is full, of the lines before this one; it has them then. None if none is."""
        while self._next and self._next[0][0] < line:
            at, partition = heappop(self._next)
            if self._full.get(partition) == at:
                self.reached = at
                self.hand_over(partition, at + 1)
                return partition
        self.reached = line
        return None

    def hand_over(self, partition: int, line: int) -> None:
        """Put the partition's lines before this one into its batch."""
        if (lines := self._lines.get(partition)) is None:
            return
        begin, end = self._handed_over[partition], int(np.searchsorted(lines, line))
        if begin < end:
            self._batches[partition].add_lines(self._block, lines[begin:end])
            self._handed_over[partition] = end

    def hand_over_all(self, line: int) -> None:
        """The same for all partitions."""
        for partition in self._lines:
            self.hand_over(partition, line)
