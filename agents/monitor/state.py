"""What the monitor remembers of one model, and how it is written: a version byte, then MessagePack arrays."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from schemas.status import ModelState
from streams.windows import CountWindow

#: Versions of a model kept at once, those seen last; a canary and its champion both go on.
MAX_VERSIONS: Final = 3

#: Distinct metrics kept per version: at 500 values each, state stays well below Kafka's 1 MiB a record.
MAX_METRICS: Final = 50

_FORMAT: Final = b"\x01"


class Series(msgspec.Struct, array_like=True, eq=False):
    """One metric of one version: its window, and how the rule that watches it is doing.

    `base` is added to the window's number of values to number outputs, so that a series which began anew never uses a
    number twice. In drift, `calm` counts values in a row that speak for recovery, and `level` is the bound they keep.
    """

    window: CountWindow
    base: int = 0
    phase: ModelState = ModelState.WARMING
    calm: int = 0
    level: float = 0.0


class Version(msgspec.Struct, array_like=True, eq=False):
    """One version of the model. `after_drift`: its predecessor was in drift when it began."""

    name: str
    series: dict[str, Series] = msgspec.field(default_factory=dict)
    after_drift: bool = False


class MonitorState(msgspec.Struct, array_like=True, eq=False):
    """One model.

    `versions`: the one seen longest ago first. `counts`: records by type. `sequence` numbers outputs that belong to no
    single value. `event_time`: the greatest, in microseconds since the epoch. `clock`: the tick clock, in milliseconds,
    at the last record. `retired`: no series that has been dropped had numbered its values beyond this.
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


def _to_bytes(value: Any) -> Any:
    if isinstance(value, CountWindow):
        return value.encode()
    raise NotImplementedError(type(value))


def _from_bytes(kind: type, value: Any) -> Any:
    if kind is CountWindow:
        return CountWindow.decode(value)
    raise NotImplementedError(kind)


_encoder = msgspec.msgpack.Encoder(enc_hook=_to_bytes)
_decoder = msgspec.msgpack.Decoder(MonitorState, dec_hook=_from_bytes)


def encode_state(state: MonitorState) -> bytes:
    """The bytes of a state; equal states have equal bytes."""
    return _FORMAT + _encoder.encode(state)


def decode_state(data: bytes) -> MonitorState:
    """The state that `encode_state` wrote; raises ValueError for anything else."""
    if data[:1] != _FORMAT:
        raise ValueError(f"monitor state: expected format {_FORMAT[0]}, got {data[:1]!r}: from another version of this")
    return _decoder.decode(memoryview(data)[1:])
