"""State as earlier releases wrote it: the first one's windows held all their values in one piece, later ones' in panes
of another size.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from agents.monitor.segments import parts_of
from agents.monitor.state import FORMAT, MonitorState, Series, Version, decode_state, panes_of, panes_under
from schemas.status import ModelState
from streams.former_panes import FormerHead, cut_anew
from streams.parts import Parts
from streams.windows import CountWindow, WindowHead

_ONE_PIECE, _WITHOUT_SEEN, _WIDE_PANES = b"\x01", b"\x02", b"\x03"

#: Formats that are read here.
EARLIER: Final = (_ONE_PIECE, _WITHOUT_SEEN, _WIDE_PANES)


class _Series(msgspec.Struct, array_like=True):
    window: bytes
    base: int = 0
    phase: ModelState = ModelState.WARMING
    calm: int = 0
    level: float = 0.0


class _Version(msgspec.Struct, array_like=True):
    name: str
    series: dict[str, _Series] = msgspec.field(default_factory=dict)
    after_drift: bool = False


class _State(msgspec.Struct, array_like=True):
    model: str
    versions: list[_Version] = msgspec.field(default_factory=list)
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    sequence: int = 0
    event_time: int = 0
    clock: int = 0
    last_version: str = ""
    sends_heartbeats: bool = False
    silent: bool = False
    metrics_capped: bool = False
    retired: int = 0


_Number = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]


class _Wide(msgspec.Struct, array_like=True):
    """Of a series of the second and third format what matters here; what follows is that of today."""

    window: FormerHead
    number: _Number = 0
    base: Any = None
    watched: Any = None
    phase: Any = None
    calm: Any = None
    level: Any = None
    detector: Any = None
    times: Any = None
    panes: Any = None


class _WideVersion(msgspec.Struct, array_like=True):
    name: str
    series: dict[str, _Wide] = msgspec.field(default_factory=dict)
    after_drift: Any = None
    segments: dict[str, _Number] = msgspec.field(default_factory=dict)


class _WideState(msgspec.Struct, array_like=True):
    model: str
    versions: list[_WideVersion] = msgspec.field(default_factory=list)


_decode = msgspec.msgpack.Decoder(_State).decode
_decode_wide = msgspec.msgpack.Decoder(_WideState).decode
_decode_segment = msgspec.msgpack.Decoder(dict[str, _Wide]).decode
_decode_any = msgspec.msgpack.Decoder().decode
_encode = msgspec.msgpack.Encoder().encode


def upgraded(data: bytes, parts: Parts) -> MonitorState:
    """The state in today's form; its windows' panes go into `parts`. Raises ValueError if it is of no such format."""
    try:
        if data[:1] == _ONE_PIECE:
            return _of_one_piece(data, parts)
        return _of_wide_panes(data, parts)
    except RecursionError as problem:
        raise ValueError("monitor state: nested too deeply") from problem
    except KeyError as problem:
        raise ValueError(f"monitor state: part {problem} is missing") from problem


def _of_wide_panes(data: bytes, parts: Parts) -> MonitorState:
    former, fields = _decode_wide(memoryview(data)[1:]), _decode_any(memoryview(data)[1:])
    for number, version in enumerate(former.versions):
        if version.series:
            _cut_anew(version.series, fields[1][number][1], parts)
        for segment in version.segments.values():
            _cut_segment_anew(segment.to_bytes(4, "big"), parts)
    state = decode_state(FORMAT + _encode(fields))
    if data[:1] == _WITHOUT_SEEN:
        for each in state.versions[:-1]:  # when they were seen last was not kept
            each.seen = state.event_time
    return state


def _cut_segment_anew(name: bytes, parts: Parts) -> None:
    segments = parts_of(parts)
    data = segments[name]
    fields = _decode_any(data)
    _cut_anew(_decode_segment(data), fields, parts)
    segments[name] = _encode(fields)


def _cut_anew(every: dict[str, _Wide], fields: dict[str, list[Any]], parts: Parts) -> None:
    """Put windows in panes of today into the fields of series."""
    for metric, series in every.items():
        if series.panes is None:
            fields[metric][0] = cut_anew(series.window, panes_under(series.number, parts))


def _of_one_piece(data: bytes, parts: Parts) -> MonitorState:
    former = _decode(memoryview(data)[1:])
    state = MonitorState(
        former.model,
        [],
        former.counts,
        former.sequence,
        former.event_time,
        former.clock,
        former.last_version,
        former.sends_heartbeats,
        former.silent,
        former.metrics_capped,
        former.retired,
    )
    for version in former.versions:
        series = {metric: _upgraded_series(each, state, parts) for metric, each in version.series.items()}
        state.versions.append(Version(version.name, series, version.after_drift, seen=state.event_time))
    return state


def _upgraded_series(former: _Series, state: MonitorState, parts: Parts) -> Series:
    state.begun += 1
    series = Series(WindowHead(0), state.begun, former.base, "", former.phase, former.calm, former.level)
    series.window = CountWindow.decode(former.window, panes_of(series, parts)).head
    return series
