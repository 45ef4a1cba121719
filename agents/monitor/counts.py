"""The counts of a model's status: as they are now, and as they were after each input of a step."""

from __future__ import annotations

from bisect import bisect_right


class Counts:
    """The counts before a step, and which of its inputs moved them, up and down. Changes `now`, the state's own."""

    def __init__(self, now: dict[str, int]) -> None:
        self._now, self._before = now, dict(now)
        self._up: dict[str, list[int]] = {}
        self._down: dict[str, list[int]] = {}
        self._each: list[tuple[str, range]] = []

    def move(self, index: int, kind: str, by: int) -> None:
        """Move a count, up or down, on account of an input. Inputs come in order."""
        self._now[kind] = self._now.get(kind, 0) + by
        (self._up if by > 0 else self._down).setdefault(kind, []).extend([index] * abs(by))

    def move_with_each(self, inputs: range, kind: str) -> None:
        """Move a count up by one with each of these inputs."""
        self._now[kind] = self._now.get(kind, 0) + len(inputs)
        self._each.append((kind, inputs))

    def after(self, index: int) -> dict[str, int]:
        """The counts after an input."""
        counts = dict(self._before)
        for moved, sign in ((self._up, 1), (self._down, -1)):
            for kind, indices in moved.items():
                if times := bisect_right(indices, index):
                    counts[kind] = counts.get(kind, 0) + sign * times
        for kind, inputs in self._each:
            if times := len(range(inputs.start, min(inputs.stop, index + 1))):
                counts[kind] = counts.get(kind, 0) + times
        return counts
