"""Streams that detectors are held to: seeded random ones, and frozen classifiers' predictions on known data sets."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PREDICTIONS = Path(__file__).parents[3] / "shared" / "data" / "predictions"

needs_predictions = pytest.mark.skipif(not PREDICTIONS.is_dir(), reason=f"no recorded predictions in {PREDICTIONS}")


def errors_of(name: str) -> Floats:
    """1 for each wrong prediction of a recorded stream, else 0."""
    with gzip.open(PREDICTIONS / f"{name}.csv.gz", "rt") as lines:
        return np.array([float(row["y_true"] != row["y_pred"]) for row in csv.DictReader(lines)])


def recorded() -> list[str]:
    """The names of the recorded streams."""
    return sorted(path.name.removesuffix(".csv.gz") for path in PREDICTIONS.glob("*.csv.gz"))


def numbers(seed: int, length: int = 400) -> Floats:
    """By turns errors at one rate, values around one mean, and either in pieces of different levels."""
    rng = np.random.default_rng(seed)
    kind = ("bernoulli", "gaussian", "steps of errors", "steps of values")[seed % 4]
    pieces = 1 + int(rng.integers(1, 5)) * kind.startswith("steps")
    levels = np.repeat(rng.uniform(0.02, 0.98, pieces), -(-length // pieces))[:length]
    if kind in ("bernoulli", "steps of errors"):
        return (rng.random(length) < levels).astype(np.float64)
    return rng.normal(levels, rng.choice([0.01, 0.1, 0.5]), length)


def shares(seed: int, length: int = 400) -> Floats:
    """The same in [0, 1]."""
    return np.clip(numbers(seed, length), 0, 1)


def errors(seed: int, length: int = 400) -> Floats:
    """The same as errors: whether a value exceeds one half."""
    return (numbers(seed, length) > 0.5).astype(np.float64)


def moderate_errors(seed: int, length: int = 3000) -> Floats:
    """Errors in steps between rates from 0.1 to 0.35, about 1,000 long."""
    rng = np.random.default_rng(10_000 + seed)
    return (rng.random(length) < np.repeat(rng.uniform(0.1, 0.35, 3), length // 3)).astype(np.float64)
