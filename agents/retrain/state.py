"""What the retrain policy remembers of one model, and how it is written: a version byte, then MessagePack arrays."""

from __future__ import annotations

from typing import Final

import msgspec

from streams.state_format import check_format

#: Versions of a model whose cooldowns are kept, those that asked last.
MAX_VERSIONS: Final = 10

_FORMAT: Final = b"\x01"


class Cooldown(msgspec.Struct, array_like=True):
    """One version's cooldown.

    `released`: when the last request was (event time of its cause, microseconds since the epoch; None before the
    first). `suppressed`: how many were since, and whether that has been `told`.
    """

    released: int | None = None
    suppressed: int = 0
    told: bool = False


class RetrainState(msgspec.Struct, array_like=True):
    """One model. `releases` is of the key of the budget alone: when its last requests were released, in order."""

    model: str
    versions: dict[str, Cooldown] = msgspec.field(default_factory=dict)
    paused: bool = False
    pause_told: bool = False
    sequence: int = 0
    suppressed: int = 0
    releases: list[int] = msgspec.field(default_factory=list)
    refused: int = 0

    def cooldown(self, version: str) -> Cooldown:
        """The cooldown of a version, which is now the one that asked last."""
        found = self.versions.pop(version, Cooldown())
        self.versions[version] = found
        if len(self.versions) > MAX_VERSIONS:
            del self.versions[next(iter(self.versions))]
        return found


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(RetrainState)


def encode_state(state: RetrainState) -> bytes:
    """The bytes of a state; equal states have equal bytes."""
    return _FORMAT + _encoder.encode(state)


def decode_state(data: bytes) -> RetrainState:
    """The state that `encode_state` wrote; raises ValueError for anything else."""
    check_format("retrain", data, _FORMAT)
    try:
        return _decoder.decode(memoryview(data)[1:])
    except RecursionError as problem:
        raise ValueError("retrain state: nested too deeply") from problem
