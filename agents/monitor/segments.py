"""Series kept per value of a label: those of one segment of one version are a part of their own beside the state.

So the state holds a number for each segment, however many metrics a segment has, and a record reads and writes its own
segment alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from agents.monitor.joining import entries_of
from agents.monitor.state import Model, Series, Version, window_of
from streams.parts import Parts

#: Panes of windows lie under the number of their series, four bytes that never begin like this.
_PREFIX = b"\xffs"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[str, Series]).decode


def segment_name(key: str, value: str) -> str:
    """A segment of a version: the label and its value. No label has the character between them."""
    return f"{key}\0{value}"


def value_in(name: str) -> str:
    """The value of the label, which outputs call the segment; empty for the whole."""
    return name.partition("\0")[2]


class Segments:
    """The segments of one model in one step: read where they are looked at, and written when the step is done."""

    def __init__(self, model: Model, limit: int) -> None:
        self._state, self._parts, self._limit = model.state, parts_of(model.parts), limit
        self._read: dict[int, dict[str, Series]] = {}
        self._written: dict[int, bytes] = {}

    def of(self, version: Version, name: str) -> dict[str, Series] | None:
        """The series of a segment by metric; those of a new one are empty; None for a segment too many."""
        if (number := version.segments.get(name)) is None:
            known = {each for other in self._state.versions for each in other.segments}
            if name not in known and len(known) >= self._limit:
                return None
            self._state.begun += 1
            number = version.segments[name] = self._state.begun
            self._read[number] = {}
        return self._series(number)

    def every(self, version: Version) -> Iterator[tuple[str, str, Series]]:
        """(name, metric, series) of every segment of a version, in the order in which they began."""
        for name, number in version.segments.items():
            for metric, series in self._series(number).items():
                yield name, metric, series

    def _series(self, number: int) -> dict[str, Series]:
        if number not in self._read:
            self._written[number] = self._parts[number.to_bytes(4, "big")]
            self._read[number] = _decode(self._written[number])
        return self._read[number]

    def write(self) -> None:
        """Keep what has changed, but of versions that are gone nothing."""
        kept = {number for version in self._state.versions for number in version.segments.values()}
        for number, series in self._read.items():
            if number in kept and (data := _encode(series)) != self._written.get(number):
                self._parts[number.to_bytes(4, "big")] = data

    def discard(self, version: Version) -> None:
        """Delete what is kept of the segments of a version, but for their windows."""
        for number in version.segments.values():
            self._parts.discard(number.to_bytes(4, "big"))


def parts_of(parts: Parts) -> Parts:
    """Where a model keeps its segments."""
    return parts.within(_PREFIX)


def series_of(model: Model) -> Iterator[Series]:
    """Every series of a model, those of segments too."""
    segments = Segments(model, 0)
    for version in model.state.versions:
        yield from version.series.values()
        yield from (series for _, _, series in segments.every(version))


def discard_parts(model: Model) -> None:
    """Delete what a model keeps beside its state."""
    if model.state.waiting is not None:
        entries_of(model.state.waiting, model.parts).discard()
    for series in series_of(model):
        window_of(series, model.parts).discard()
    for version in model.state.versions:
        Segments(model, 0).discard(version)
