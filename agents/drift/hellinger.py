"""Hellinger's distance between the shares of bins, then and now.

√(½ Σ (√p − √q)²) (Hellinger 1909; for drift: Ditzler, Polikar: "Hellinger Distance Based Drift Detection for
Nonstationary Environments", IEEE CIDUE 2011).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, sqrt

from agents.drift.binned import BinnedDetector, BinnedReference, smoothed_shares


class HellingerReference(BinnedReference):
    """Counts of bins, compared by Hellinger's distance."""

    @staticmethod
    def distance(reference: Sequence[int], window: Sequence[int]) -> float:
        """From 0 to 1, of smoothed shares."""
        return sqrt(fsum((sqrt(p) - sqrt(q)) ** 2 for p, q in smoothed_shares(reference, window)) / 2)

    @staticmethod
    def from_chi2(chi2: float, variance: float) -> float:
        """Its square is χ² (1/n + 1/m) / 8."""
        return sqrt(chi2 * variance / 8)

    @staticmethod
    def to_chi2(distance: float, variance: float) -> float:
        """The other way round."""
        return 8 * distance * distance / variance


class Hellinger(BinnedDetector):
    """Fires where Hellinger's distance of the newest values exceeds what chance makes of it.

    `statistic` is the distance, from 0 to 1. `BinnedDetector` and `DistributionDetector` have the parameters.

    >>> detector = Hellinger(reference=200, size=100, stride=20, bins=4)
    >>> [index for index, _ in detector.update_many([0.1, 0.2, 0.3, 0.4] * 100 + [0.4, 0.5] * 100)]
    [419]
    """

    name = "hellinger"
    _reference_type = HellingerReference
