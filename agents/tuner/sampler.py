"""The port for everything that chooses hyperparameters, by ask and tell.

A sampler never sees the study: its owner asks for a trial, has it run wherever it likes, and tells the score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from agents.tuner.space import Params


@dataclass(frozen=True, slots=True)
class Trial:
    """What to try: `number` counts the trials of a study from 0, `params` has a value for each parameter."""

    number: int
    params: Params


class Sampler(Protocol):
    """Chooses what to try next. All of them are deterministic: the same seed and calls give the same trials."""

    def ask(self) -> Trial:
        """The next trial."""
        ...

    def tell(self, number: int, score: float | None) -> None:
        """The score of a trial; None or NaN if it failed. A trial told twice keeps its first score.

        Raises `ValueError` for a number that was never asked.
        """
        ...

    def restore(self, asked: Mapping[int, Params], scores: Mapping[int, float | None]) -> None:
        """Go on with a study that began elsewhere: what was asked in it and what was told, by number."""
        ...

    def snapshot(self) -> str:
        """Everything it knows, as JSON for audit: sampler, seed, space, and each trial with params and score."""
        ...
