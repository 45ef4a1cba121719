"""Recordings by the block: many lines at a time, of which the usual ones stay in their text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, overload

import numpy as np

from agents.backtest.sources.line_ends import ends_of_lines
from agents.backtest.sources.lines import whole_lines
from agents.recording.compressed import Damaged
from agents.recording.envelopes import PARTITION, TIMESTAMP, TOPIC, VALUE, envelopes_of
from agents.recording.format import NotARecording, item_of
from agents.recording.items import Item, SourceError, SourceRecord, TimePassed
from schemas.columns.columns import Integers
from schemas.columns.packed import PackedValues
from schemas.columns.words import Bytes
from schemas.parse import MAX_SIZE
from streams.records import Record, RecordBatch


class RecordedLines(RecordBatch):
    """Lines of a recording as records, each made where somebody looks at it, and `loose` ones among them by place.

    `text` is padded as that of `PackedValues`; in it lines begin at `begins`, their values at `starts`, and both end
    before `ends`, the value with the bracket before the last. Of a loose one all three are the same place.
    Whoever looks at a line that is none of a recording gets a SourceError.
    """

    __slots__ = ("_begins", "_ends", "_loose", "_starts", "_text")

    def __init__(
        self, text: Bytes, begins: Integers, starts: Integers, ends: Integers, loose: Mapping[int, Record]
    ) -> None:
        self._text, self._begins, self._starts, self._ends, self._loose = text, begins, starts, ends, loose

    def __len__(self) -> int:
        return len(self._begins)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> RecordedLines: ...
    def __getitem__(self, index: int | slice) -> Record | RecordedLines:
        if isinstance(index, slice):
            begin, end, _ = index.indices(len(self))
            loose = {at - begin: record for at, record in self._loose.items() if begin <= at < end}
            return RecordedLines(self._text, self._begins[index], self._starts[index], self._ends[index], loose)
        index = range(len(self))[index]
        if (known := self._loose.get(index)) is not None:
            return known
        return record_in(self._text[self._begins[index] : self._ends[index]])

    def values(self) -> Sequence[bytes | None]:
        return _Values(self, self._text, self._starts, np.maximum(self._ends - 1, self._starts))

    def values_without_headers(self) -> Sequence[bytes | None]:
        return self.values()  # those of loose ones lie nowhere in the text

    @property
    def size(self) -> int:
        """Bytes of all values, about."""
        loose = sum(len(record.value or b"") for record in self._loose.values())
        return int((self._ends - self._starts).sum()) + loose

    def with_headers(self) -> bool:
        return any(record.headers for record in self._loose.values())


class _Values(PackedValues):
    """The values of lines; to look at one is to read its whole line."""

    __slots__ = ("_records",)

    def __init__(self, records: RecordedLines, text: Bytes, starts: Integers, ends: Integers) -> None:
        super().__init__(text, starts, ends)
        self._records = records

    def __getitem__(self, index: Any) -> Any:
        return self._records[index].values() if isinstance(index, slice) else self._records[index].value


def record_in(line: Bytes) -> SourceRecord:
    """The record in a usual line. Raises SourceError, without the line's number, for what is none."""
    try:
        item = item_of(line.tobytes())
    except NotARecording as problem:
        raise SourceError(f"no line of a recording: {problem}") from None
    assert isinstance(item, SourceRecord)  # as the kernel has seen
    return item


class RecordingBlock:
    """Some lines of a recording, in order."""

    def __init__(self, text: Bytes, begins: Integers, ends: Integers, topics: Sequence[str]) -> None:
        """`topics`: those whose usual lines are told apart. Raises SourceError for other lines, if they say nothing."""
        self.text, self.begins, self.ends = text, begins, ends
        facts = envelopes_of(text, begins, ends, topics)
        self._topics, self._topic, self.partitions = topics, facts[TOPIC], facts[PARTITION]
        self._timestamps, self.starts = facts[TIMESTAMP], facts[VALUE]
        self._unusual = self._items_at(np.flatnonzero(self._topic < 0))
        self._beside: dict[tuple[frozenset[str], int], list[tuple[int, Item]]] = {}

    def __len__(self) -> int:
        return len(self.begins)

    def release(self) -> None:
        """Nobody looks at its lines any more: what holds their text may be read into again."""
        self.text = self.text[:0].copy()

    def _items_at(self, lines: Integers) -> list[tuple[int, Item]]:
        return [(line, item) for line in lines.tolist() if (item := self._item(line)) is not None]

    def _item(self, line: int) -> Item | None:
        try:
            return item_of(self.text[self.begins[line] : self.ends[line]].tobytes())
        except NotARecording as problem:
            raise SourceError(f"no line of a recording: {problem}") from None

    def usual_on(self, topics: frozenset[str], partitions: int) -> Integers:
        """The usual lines of some topics, of partitions below a number."""
        return np.flatnonzero(self._is_on(topics) & (self.partitions < partitions))

    def items_beside(self, topics: frozenset[str], partitions: int) -> list[tuple[int, Item]]:
        """The items of all other lines, each with its line."""
        if (topics, partitions) not in self._beside:
            self._beside[topics, partitions] = self._all_beside(topics, partitions)
        return self._beside[topics, partitions]

    def _all_beside(self, topics: frozenset[str], partitions: int) -> list[tuple[int, Item]]:
        others = np.flatnonzero((self._topic >= 0) & ~(self._is_on(topics) & (self.partitions < partitions)))
        return sorted(self._unusual + self._items_at(others), key=itemgetter(0))

    def _is_on(self, topics: frozenset[str]) -> Any:
        return np.isin(self._topic, [number for number, topic in enumerate(self._topics) if topic in topics])

    def latest(self) -> int:
        """The greatest timestamp of its records; 0 if there is none."""
        usual = self._timestamps[self._topic >= 0]
        unusual = (item.timestamp for _, item in self._unusual if not isinstance(item, TimePassed))
        return max(int(usual.max(initial=0)), max(unusual, default=0))

    def records(self) -> RecordedLines:
        """All its records."""
        is_record = self._topic >= 0
        loose_at = {line: item for line, item in self._unusual if not isinstance(item, TimePassed)}
        is_record[list(loose_at)] = True
        lines = np.flatnonzero(is_record)
        begins, starts, ends = self.begins[lines], self.starts[lines], self.ends[lines]
        at = np.searchsorted(lines, list(loose_at))
        begins[at] = starts[at] = ends[at]
        return RecordedLines(self.text, begins, starts, ends, dict(zip(at.tolist(), loose_at.values(), strict=True)))


def read_recording_blocks(path: Path, topics: Sequence[str]) -> Iterator[RecordingBlock]:
    """The records and ticks that `read_recording` gives, many at a time.

    Raises SourceError where it does, or where somebody looks at the line in question, but not with the same text.
    """
    first = True
    try:
        for text in whole_lines(path, may_be_cut_short=True):
            ends, _ = ends_of_lines(text, MAX_SIZE)
            begins = np.append(0, ends[:-1] + 1)
            kept = ends - begins < MAX_SIZE + 2
            kept[0] &= not first  # the header
            first = False
            block = RecordingBlock(text, begins[kept], ends[kept], topics)
            del text  # which is now held by the block alone
            yield block
    except (Damaged, OSError) as problem:
        raise SourceError(f"{path}: cannot be read: {problem}") from None
