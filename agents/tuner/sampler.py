"""The port for everything that chooses hyperparameters, by ask and tell, and what all samplers have in common.

A sampler never sees the study: its owner asks for a trial, has it run wherever it likes, and tells the score.
"""

from __future__ import annotations

import hashlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from agents.tuner.space import Params, Space


class SearchSpaceExhausted(ValueError):
    """The sampler has nothing left to try. The text is one line and says why."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What to try: `number` counts the trials of a study from 0, `params` has a value for each parameter."""

    number: int
    params: Params


@dataclass(frozen=True, slots=True)
class Told:
    """What was told of a trial: its score, the higher the better; None if it failed."""

    number: int
    score: float | None


History = Sequence[Trial | Told]
"""What was asked and told in a study, in the order in which it happened."""


class Sampler(Protocol):
    """Chooses what to try next; higher scores are better. The same seed and history give the same trials."""

    def ask(self) -> Trial:
        """The next trial. Raises `SearchSpaceExhausted`."""
        ...

    def tell(self, number: int, score: float | None) -> None:
        """The score of a trial; None or NaN if it failed. A trial told twice keeps its first score.

        Raises `ValueError` for a number that was never asked.
        """
        ...

    def replay(self, history: History) -> None:
        """Go on with a study that began elsewhere. What was asked there counts as asked, whoever chose it."""
        ...

    def snapshot(self) -> str:
        """Everything it knows, as JSON for audit: sampler, seed, space, and each trial with params and score."""
        ...


class AskAndTell(ABC):
    """What every sampler does alike: numbers, scores, history, snapshot. A sampler adds how it chooses.

    `seed` is a whole number from 0; None takes one from the operating system, and `snapshot` shows which.
    """

    name: str

    def __init__(self, space: Space, seed: int | None = None) -> None:
        given: Any = seed  # whatever a caller without a type checker passes
        if given is not None and (type(given) is not int or given < 0):
            raise ValueError(f"seed: expected a whole number from 0, got {given!r}")
        self.space = space
        self.seed: int = int(np.random.SeedSequence().entropy) if seed is None else seed  # type: ignore[arg-type]
        self._asked: dict[int, Params] = {}
        self._scores: dict[int, float | None] = {}

    def ask(self) -> Trial:
        """The next trial; see `Sampler.ask`."""
        trial = Trial(len(self._asked), self._choose(len(self._asked)))
        self._asked[trial.number] = dict(trial.params)
        self._note(trial.params)
        return trial

    def tell(self, number: int, score: float | None) -> None:
        """Note a score; see `Sampler.tell`."""
        if number not in self._asked:
            raise ValueError(f"trial {number} was never asked; asked so far: {len(self._asked)}")
        if number not in self._scores:
            self._scores[number] = finite = score if score is not None and math.isfinite(score) else None
            self._learn(number, finite)

    def replay(self, history: History) -> None:
        """Apply what happened elsewhere, in its order; see `Sampler.replay`."""
        for event in history:
            if isinstance(event, Told):
                self.tell(event.number, event.score)
            elif event.number != len(self._asked):
                raise ValueError(f"trial {event.number} is not the next one of the history, {len(self._asked)} is")
            else:
                self._force(event)
                self._asked[event.number] = dict(event.params)
                self._note(event.params)

    def snapshot(self) -> str:
        """Everything it knows, as JSON; see `Sampler.snapshot`."""
        trials = [
            {"number": number, "params": params, "score": self._scores.get(number), "told": number in self._scores}
            for number, params in sorted(self._asked.items())
        ]
        space = {name: parameter.model_dump(mode="json") for name, parameter in self.space.items()}
        known = {"sampler": self.name, "seed": self.seed, **self._options(), "space": space, "trials": trials}
        return json.dumps(known)

    @abstractmethod
    def _choose(self, number: int) -> Params:
        """The hyperparameters of the trial with this number, which was not asked before."""

    def _note(self, params: Params) -> None:  # noqa: B027 - most samplers have nothing to do
        """Take notice of what was asked, here or elsewhere."""

    def _force(self, trial: Trial) -> None:  # noqa: B027 - the same
        """Take notice of a trial that was asked elsewhere; for samplers that keep more than its params."""

    def _learn(self, number: int, score: float | None) -> None:  # noqa: B027 - the same
        """Take notice of a score; for samplers that learn."""

    def _options(self) -> dict[str, Any]:
        """The sampler's own options, JSON-ready, for the snapshot."""
        return {}


def seed_of(*parts: object) -> int:
    """A seed of 32 bits made from the parts, the same in every process."""
    return int.from_bytes(hashlib.sha256(" ".join(map(str, parts)).encode()).digest()[:4], "big")
