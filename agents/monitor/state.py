"""What the monitor remembers of one model, and how it is written: a version byte, then MessagePack arrays."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from agents.monitor.joining import Waiting
from schemas.status import ModelState
from streams.event_windows import EventPanes
from streams.parts import Parts
from streams.state_format import check_format
from streams.windows import CountWindow, WindowHead

#: Versions of a model kept at once, those seen last; a canary and its champion both go on.
MAX_VERSIONS: Final = 3

#: Distinct metrics kept per version: with an open pane each, a model's state stays well below Kafka's 1 MiB a record.
MAX_METRICS: Final = 50

FORMAT: Final = b"\x04"


class Watching(msgspec.Struct, array_like=True, gc=False):
    """A detector that keeps a memory of its own.

    `memory` is its state. `warns`: it has warned of the worse, and goes on warning. `outside` counts values that it
    could not be given, being out of its range. In drift, `total` is the mean of the calm values so far, as far as it
    goes: each adds its `min_samples`-th part.
    """

    memory: bytes
    warns: bool = False
    outside: int = 0
    total: float = 0.0


class TimedPanes(EventPanes, array_like=True):
    """The panes of a window by event time; `cause` is the record that brought the last value, where that is kept.

    It has the record's id, topic, partition and offset, as outputs have them.
    """

    cause: tuple[str, str, int, int] | None = None


class SegmentTime(msgspec.Struct, array_like=True, gc=False):
    """The time of a segment whose windows go by event time, over all versions.

    `time`: the greatest event time of its records, in microseconds since the epoch. `clock`: the tick clock, in
    milliseconds, at the last of them. `due`: the time at which it completes a window though no record comes; 0: none.
    """

    time: int = 0
    clock: int = 0
    due: int = 0


class Series(msgspec.Struct, array_like=True, gc=False):
    """One metric of one version: its window, and how the rule that watches it is doing.

    `number` names its panes among those of the model. `base` is added to the window's number of values to number
    outputs, so that a series which began anew never uses a number twice. `watched` tells what was asked of it, so that
    other settings are noticed; empty: nothing. In drift, `calm` counts values in a row that speak for recovery, and
    `level` is the bound they keep. `detector` is what a detector remembers that does not judge by
    the window alone; empty: nothing. `times`: when the values of a window came that is measured, as far as it is kept.
    `panes`: of a window by event time, of whose head `pushed` alone has a meaning: how many results there were.
    """

    window: WindowHead
    number: int = 0
    base: int = 0
    watched: str = ""
    phase: ModelState = ModelState.WARMING
    calm: int = 0
    level: float = 0.0
    detector: Watching | bytes = b""
    times: bytes = b""
    panes: TimedPanes | None = None


class Version(msgspec.Struct, array_like=True, eq=False, gc=False):
    """One version of the model. `after_drift`: its predecessor was in drift when it began.

    `segments`: of each segment the number of the part that has its series. `seen`: the model's time, in microseconds,
    when another version was seen after this one; not yet set of the one seen last.
    """

    name: str
    series: dict[str, Series] = msgspec.field(default_factory=dict)
    after_drift: bool = False
    segments: dict[str, int] = msgspec.field(default_factory=dict)
    seen: int = 0


class MonitorState(msgspec.Struct, array_like=True, eq=False, gc=False):
    """One model.

    `versions`: the one seen longest ago first. `counts`: records by type. `sequence` numbers outputs that belong to no
    single value. `event_time`: the greatest, in microseconds since the epoch. `clock`: the tick clock, in milliseconds,
    at the last record. `retired`: no series that has been dropped had numbered its values beyond this. `begun`: how
    many series there ever were. `waiting`: predictions and labels that have no partner yet; None before the first came.
    `timed`: of each segment that has windows by event time how far its time is.
    """

    model: str
    versions: list[Version] = msgspec.field(default_factory=list)
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    sequence: int = 0
    event_time: int = 0
    clock: int = 0
    last_version: str = ""
    sends_heartbeats: bool = False
    silent: bool = False
    metrics_capped: bool = False
    retired: int = 0
    begun: int = 0
    waiting: Waiting | None = None
    segments_capped: bool = False
    timed: dict[str, SegmentTime] = msgspec.field(default_factory=dict)


class Model(NamedTuple):
    """A model's state, and where the panes of its windows are."""

    state: MonitorState
    parts: Parts


def panes_of(series: Series, parts: Parts) -> Parts:
    """Where a series keeps what does not fit into its window's head."""
    return panes_under(series.number, parts)


def panes_under(number: int, parts: Parts) -> Parts:
    """Where the panes of a series with this number are."""
    return parts.within(number.to_bytes(4, "big"))


def window_of(series: Series, parts: Parts) -> CountWindow:
    """The window of a series, panes and all."""
    return CountWindow.of(series.window, panes_of(series, parts))


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(MonitorState).decode


def encode_state(state: MonitorState) -> bytes:
    """The bytes of a state; equal states have equal bytes."""
    return FORMAT + _encode(state)


def decode_state(data: bytes) -> MonitorState:
    """The state that `encode_state` wrote; raises ValueError for anything else, `LaterFormat` among them."""
    check_format("monitor", data, FORMAT)
    try:
        return _decode(memoryview(data)[1:])
    except RecursionError as problem:
        raise ValueError("monitor state: nested too deeply") from problem
