"""Sums, mean, standard deviation and lower median of the values in a window, in a stated order of operations."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streams.panes import WELL_CONDITIONED, Floats

Counts = NDArray[np.int64]

_LARGEST: Final = float(np.finfo(np.float64).max)
_FEW: Final = 4096


def running_sums(values: Floats, level: float, total: float, squares: float) -> tuple[Floats, Floats]:
    """Running sums of deviations, and of their squares, which begin with those so far: one entry more than values.

    `accumulate` adds strictly one after the other.
    """
    rows = np.empty((2, len(values) + 1))
    rows[:, 0] = total, squares
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        deviations = np.subtract(values, level, out=rows[0, 1:])
        np.multiply(deviations, deviations, out=rows[1, 1:])
        np.add.accumulate(rows, axis=1, out=rows)
    return rows[0], rows[1]


def running_sums_of_rows(rows: Floats, levels: Floats) -> tuple[Floats, Floats]:
    """`running_sums` of each row, with a level of its own, from nothing on."""
    sums = np.zeros((2, len(rows), rows.shape[1] + 1))
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        deviations = np.subtract(rows, levels[:, np.newaxis], out=sums[0, :, 1:])
        np.multiply(deviations, deviations, out=sums[1, :, 1:])
        np.add.accumulate(sums, axis=2, out=sums)
    return sums[0], sums[1]


def mean_and_std(total: Floats, squares: Floats, count: Counts, level: float | Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation from sums of deviations; NaN stands for one whose digits are lost."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        shift = total / count
        mean = level + shift
        deviations = squares - total * shift
        good = (deviations >= WELL_CONDITIONED * total * shift) & np.isfinite(deviations) & np.isfinite(mean)
        std = np.sqrt(np.maximum(deviations, 0) / np.maximum(count - 1, 1))
    return mean, np.where(good, std, np.nan)


def two_pass(window: Floats) -> tuple[float, float]:
    """Mean and sample standard deviation by the corrected two-pass algorithm (Chan, Golub, LeVeque, 1983)."""
    low, high = float(window.min()), float(window.max())
    if low == high:
        return low, 0.0
    largest = max(-low, high)
    exponent = math.frexp(largest)[1] if largest > 1e140 else 0
    scaled = np.ldexp(window, -exponent)
    mean = float(scaled.sum()) / len(scaled)
    off = scaled - mean
    squares = float((off * off).sum()) - float(off.sum()) ** 2 / len(scaled)
    std = math.sqrt(max(squares, 0.0) / (len(scaled) - 1))
    return min(max(_times_two_to(mean, exponent), low), high), _times_two_to(std, exponent)


def _times_two_to(value: float, exponent: int) -> float:
    try:
        return math.ldexp(value, exponent)
    except OverflowError:
        return math.copysign(_LARGEST, value)


def lower_median(values: Floats) -> float:
    """One of the values itself, for the mean of the middle two may overflow."""
    return float(lower_medians(values[np.newaxis])[0])


def lower_medians(rows: Floats) -> Floats:
    """The lower median of each row."""
    middle = (rows.shape[1] - 1) // 2
    # Selection is slow where many values are equal, as 0 and 1 are; sorting is vectorised, and quick for a few.
    ordered = np.sort(rows, axis=1) if rows.shape[1] <= _FEW else np.partition(rows, middle, axis=1)
    return ordered[:, middle]
