"""Several monitors over the same records: the first decodes a record, the others take what it found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from agents.monitor.stage import MonitorStage
from schemas.compact import CompactMessage, CompactMetrics, CompactOutcomes
from schemas.message import Message
from streams.records import Headers

#: Messages kept; more than are applied together.
MOST: Final = 50_000


def share_decoding(stages: Sequence[MonitorStage]) -> None:
    """Let the stages share what is decoded; what a record says does not depend on the settings.

    They are to be given the same records in turn, not more than `MOST` before the others have had them. What cannot be
    decoded, and what has headers, each decodes by itself.
    """
    first = stages[0]
    memory = _Memory(first.decode, first.decode_many)
    for stage in stages:
        stage.decode, stage.decode_many = memory.decode, memory.decode_many


class _Memory:
    """Messages by the identity of their bytes, which are kept, so that no other bytes get it."""

    def __init__(self, one: Any, many: Any) -> None:
        self._one, self._many = one, many
        self._known: dict[int, tuple[bytes, Message | CompactMessage]] = {}

    def decode(self, value: bytes | None, headers: Headers) -> Message | CompactMessage:
        if value is None or headers:
            message: Message | CompactMessage = self._one(value, headers)
            return message
        known = self._known.get(id(value))
        if known is None:
            known = value, self._one(value, headers)
            self._keep([known])
        return known[1]

    def decode_many(self, values: Sequence[bytes]) -> Sequence[CompactMessage] | None:
        found = list(map(self._known.get, map(id, values)))
        if None not in found:
            messages = [pair[1] for pair in found if pair is not None]
            # What was decoded one by one may be of other types; then it is taken one by one again.
            return messages if set(map(type, messages)) <= {CompactMetrics, CompactOutcomes} else None  # type: ignore[return-value]
        decoded: Sequence[CompactMessage] | None = self._many(values)
        if decoded is not None:
            self._keep(list(zip(values, decoded, strict=True)))
        return decoded

    def _keep(self, pairs: Sequence[tuple[bytes, Message | CompactMessage]]) -> None:
        if len(self._known) + len(pairs) > MOST:
            self._known.clear()
        self._known.update((id(pair[0]), pair) for pair in pairs)
