"""The number with which an encoded state begins: raised when what follows is laid out otherwise."""

from __future__ import annotations


class LaterFormat(ValueError):
    """A later version wrote the state; who stops there leaves the records of its key to that version."""


def check_format(stage: str, data: bytes, known: bytes) -> None:
    """Raise `LaterFormat` if a state's first byte is higher than the known one, `ValueError` if it is another."""
    if data[:1] == known:
        return
    if data[:1] > known:
        raise LaterFormat(
            f"a state of {stage} has format {data[0]}, and this version knows none after {known[0]}: a later version"
            " wrote it. Start that version: nothing was put aside"
        )
    raise ValueError(f"a state of {stage} has format {data[0] if data else 'none'}, this version reads {known[0]}")
