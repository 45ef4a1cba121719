"""State as the first release wrote it, whose windows held all their values in one piece."""

from __future__ import annotations

from typing import Final

import msgspec

from agents.monitor.state import MonitorState, Series, Version, panes_of
from schemas.status import ModelState
from streams.parts import Parts
from streams.windows import CountWindow, WindowHead

FORMAT: Final = b"\x01"


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


_decode = msgspec.msgpack.Decoder(_State).decode


def upgraded(data: bytes, parts: Parts) -> MonitorState:
    """The state in today's form; its windows' panes go into `parts`. Raises ValueError if it is of another format."""
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
