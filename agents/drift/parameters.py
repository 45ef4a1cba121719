"""Checks of detectors' parameters; each returns what it was given and raises ValueError with what was expected."""

from __future__ import annotations

import math
from typing import get_args

from agents.drift.detector import Watched


def positive(name: str, value: float) -> float:
    """A finite number above 0."""
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name}: expected a finite number above 0, got {value}")
    return float(value)


def not_negative(name: str, value: float) -> float:
    """A finite number, at least 0."""
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{name}: expected a finite number, at least 0, got {value}")
    return float(value)


def finite(name: str, value: float) -> float:
    """A finite number."""
    if not math.isfinite(value):
        raise ValueError(f"{name}: expected a finite number, got {value}")
    return float(value)


def fraction(name: str, value: float) -> float:
    """A number between 0 and 1, both excluded: a probability, a level of significance, a weight."""
    if not 0 < value < 1:
        raise ValueError(f"{name}: expected a number between 0 and 1 (both excluded), got {value}")
    return float(value)


def whole(name: str, value: int, least: int = 1, most: int = 1_000_000) -> int:
    """A whole number from `least` to `most`."""
    if isinstance(value, bool) or not math.isfinite(value) or value != int(value) or not least <= value <= most:
        raise ValueError(f"{name}: expected a whole number from {least} to {most}, got {value}")
    return int(value)


def ordered(lower: str, low: float, upper: str, high: float) -> None:
    """`low` must not exceed `high`."""
    if low > high:
        raise ValueError(f"{lower}: expected at most {upper} ({high}), got {low}")


def watched(direction: str) -> int:
    """Which way counts, as kernels have it: 1 up, −1 down, 0 both."""
    if direction not in get_args(Watched):
        raise ValueError(f"direction: expected one of {', '.join(get_args(Watched))}, got {direction!r}")
    return {"both": 0, "up": 1, "down": -1}[direction]
