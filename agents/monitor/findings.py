"""What is found in a step, each at its position among all that happens; said in that order, whoever found it when.

Values have positions, too. So outputs are the same however inputs were split into steps.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple, TypeVarTuple

from agents.monitor.telling import Telling

What = TypeVarTuple("What")


class Finding(NamedTuple):
    """Something that is to be said, on account of an input: a method of `Telling`, and what it is told.

    It is not bound to a `Telling`: that one refers to the step, and nothing of a step is to refer back.
    """

    position: int
    input: int
    say: Callable[..., None]
    what: tuple[Any, ...]


class Findings:
    """`position` is that of what happens next."""

    def __init__(self) -> None:
        self.position = 0
        self._found: list[Finding] = []

    def reserve(self, count: int) -> int:
        """The first of so many positions, which are taken by values."""
        first = self.position
        self.position += count
        return first

    def note(self, index: int, say: Callable[[Telling, int, *What], None], *what: *What) -> None:
        """Something happens now, on account of input `index`."""
        self._found.append(Finding(self.reserve(1), index, say, what))

    def note_at(self, position: int, index: int, say: Callable[[Telling, int, *What], None], *what: *What) -> None:
        """Something happened at a position: that of the value that brought it about."""
        self._found.append(Finding(position, index, say, what))

    def tell(self, telling: Telling) -> None:
        """Say all of it."""
        in_order = sorted(self._found, key=attrgetter("position"))
        for index, findings in groupby(in_order, key=attrgetter("input")):
            for finding in findings:
                finding.say(telling, index, *finding.what)
            telling.end_input(index)
