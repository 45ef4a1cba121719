"""How far a runner is in one partition of `trial-requests`, when trials end in another order than they were taken.

What is committed is the offset of the first trial that has not ended, and beside it, in the commit's metadata, those
beyond it that have: whoever gets the partition next, or this runner after a rebalance, does not run them again.
"""

from __future__ import annotations

MAX_METADATA = 4000
"""Bytes; a broker refuses more than 4096 by default. What does not fit is merely run again."""


class Progress:
    """Positions in one partition; `committed` and `metadata` are what the group committed last."""

    def __init__(self, committed: int, metadata: str = "") -> None:
        self._next = committed
        self._running: set[int] = set()
        self._done = {committed + gap for gap in _gaps(metadata)}

    def take(self, offset: int) -> bool:
        """Whether the trial at this offset should be run: not if it is running or has ended."""
        if offset < self._next or offset in self._done:
            self._next = max(self._next, offset + 1)
            return False
        self._next = offset + 1
        self._running.add(offset)
        return True

    def end(self, offset: int) -> None:
        """A trial's result is published."""
        self._running.discard(offset)
        self._done.add(offset)
        position = self.position
        self._done = {done for done in self._done if done >= position}

    @property
    def running(self) -> set[int]:
        """The offsets of the trials that were taken and have not ended."""
        return set(self._running)

    @property
    def position(self) -> int:
        """The offset to commit: everything below it has ended."""
        return min(self._running, default=self._next)

    @property
    def metadata(self) -> str:
        """The trials beyond the position that have ended, as text to commit with it."""
        position = self.position
        text = ",".join(str(done - position) for done in sorted(self._done) if done >= position)
        return text if len(text) <= MAX_METADATA else text[:MAX_METADATA].rpartition(",")[0]


def _gaps(metadata: str) -> list[int]:
    """The numbers in a commit's metadata; none in one that somebody else wrote."""
    parts = metadata.split(",") if metadata else []
    return [int(part) for part in parts] if all(part.isdecimal() for part in parts) else []
