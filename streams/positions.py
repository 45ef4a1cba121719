"""Up to where a partition's inputs are in its state: kept with the state, not with the group's offsets alone.

A checkpoint commits state and offsets in one transaction, but they come back on two ways. A broker that was killed may
tell, for a while after its start, offsets that a group committed minutes before (seen with Kafka 4.1: its coordinator
answers from the last high watermark that it wrote to its disk). Records would be applied to a state that has them
already. So the state says itself what is in it, and the later of the two counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from faust.types import TP

#: Where a partition's state has the positions. Keys of the engine's own begin with NUL.
POSITIONS_KEY = b"\0positions"


def encode_positions(positions: Mapping[TP, int]) -> bytes:
    """What a state keeps: the next offset of each input, by topic."""
    return json.dumps({tp.topic: at for tp, at in sorted(positions.items())}).encode()


def decode_positions(data: bytes | None) -> dict[str, int]:
    """What `encode_positions` wrote, by topic; nothing for a state that was written before positions were kept."""
    found: dict[str, int] = {} if data is None else json.loads(data)
    return found


def behind(committed: Mapping[TP, int | None], kept: Mapping[str, int]) -> list[TP]:
    """Those inputs of which the group's offset is before what is in the state."""
    return [tp for tp, offset in committed.items() if offset is not None and offset < kept.get(tp.topic, 0)]


def told(stage: str, tps: Iterable[TP], committed: Mapping[TP, int | None], kept: Mapping[str, int]) -> str:
    """One line about inputs that are behind."""
    what = ", ".join(f"{tp.topic} [{tp.partition}] {committed[tp]} for {kept[tp.topic]}" for tp in tps)
    return f"{stage}: the group's committed offsets are behind the state ({what}); reading on from the state's"
