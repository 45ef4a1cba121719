"""What a model's scores are worth as probabilities, by labelled predictions of the past: isotonic regression.

The share of positives among predictions of about the same score, made to rise with the score (Zadrozny, Elkan:
"Transforming Classifier Scores into Accurate Multiclass Probability Estimates", KDD 2002) by the algorithm that pools
adjacent violators (Ayer and others, Annals of Mathematical Statistics 26, 1955).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from agents.drift.reference_file import read_cells, read_numbers
from schemas.fields import Scalar

#: Fewer labelled predictions say too little.
LEAST: Final = 100

_TRUE, _FALSE = ("true", "yes"), ("false", "no")


class Calibration(NamedTuple):
    """A curve that rises: the probability at some scores, with straight lines in between, level at both ends."""

    scores: tuple[float, ...]
    probabilities: tuple[float, ...]

    def of(self, scores: Sequence[float]) -> list[float]:
        """The probability of the positive class for each score."""
        probabilities: list[float] = np.interp(scores, self.scores, self.probabilities).tolist()
        return probabilities


@lru_cache(maxsize=64)
def fitted(file: str, score: str, label: str, positive: Scalar) -> Calibration:
    """The curve by the rows of a .csv or .jsonl file (also .gz), of which these are the columns. Read once.

    Raises ValueError, which says what is wrong, for a file that cannot be used.
    """
    scores = read_numbers(file, score)
    hits = [_is_positive(cell, positive) for _, cell in read_cells(file, label)]
    if len(scores) < LEAST:
        raise ValueError(f"expected at least {LEAST} labelled predictions in {file}, got {len(scores)}")
    if len(set(hits)) < 2:
        raise ValueError(f"{file}: in column {label!r} {'every' if hits[0] else 'no'} label is {positive!r}")
    return isotonic(scores.tolist(), hits)


def isotonic(scores: Sequence[float], hits: Sequence[bool]) -> Calibration:
    """The rising curve that is nearest to whether each was a hit, by squares."""
    distinct, places = np.unique(np.array(scores), return_inverse=True)
    sizes, totals = np.bincount(places), np.bincount(places, weights=np.array(hits, dtype=np.float64))
    blocks: list[tuple[float, float, float, float]] = []  # hits, size, least and greatest score
    for x, size, total in zip(distinct.tolist(), sizes.tolist(), totals.tolist(), strict=True):
        least = x
        while blocks and blocks[-1][0] * size >= total * blocks[-1][1]:
            former = blocks.pop()
            total, size, least = total + former[0], size + former[1], former[2]  # noqa: PLW2901 # it grows as it pools
        blocks.append((total, size, least, x))
    ends = [(at, total / size) for total, size, least, most in blocks for at in dict.fromkeys((least, most))]
    return Calibration(tuple(at for at, _ in ends), tuple(share for _, share in ends))


def _is_positive(cell: object, positive: Scalar) -> bool:
    """Whether a cell of a file, which may be a text, is the positive class."""
    if isinstance(positive, str) or cell == positive:
        return cell == positive
    text = str(cell).strip().lower()
    if text in _TRUE or text in _FALSE:
        return (text in _TRUE) == bool(positive) and positive in (0, 1)
    try:
        return float(text) == positive
    except ValueError:
        return False
