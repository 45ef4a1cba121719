"""Pearson's χ² test of homogeneity: the counts of bins, then and now, as a table of two rows.

Pearson 1900 and 1911; without Yates' correction.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, sqrt

from agents.drift.binned import BinnedDetector, BinnedReference


class Chi2Reference(BinnedReference):
    """Counts of bins, compared by Pearson's statistic."""

    @staticmethod
    def distance(reference: Sequence[int], window: Sequence[int]) -> float:
        """From 0 to n + m. A bin that is empty in both adds nothing."""
        n, m = sum(reference), sum(window)
        more, less = sqrt(n / m), sqrt(m / n)
        pairs = [(r, w) for r, w in zip(reference, window, strict=True) if r + w]
        return fsum((more * w - less * r) ** 2 / (r + w) for r, w in pairs)

    @staticmethod
    def from_chi2(chi2: float, variance: float) -> float:
        """It is χ² itself."""
        del variance
        return chi2

    @staticmethod
    def to_chi2(distance: float, variance: float) -> float:
        """It is χ² itself."""
        del variance
        return distance


class Chi2(BinnedDetector):
    """Fires where the counts of the newest values' bins differ from the reference's by more than chance explains.

    By Pearson's χ² test, whose statistic is `statistic`. `BinnedDetector` and `DistributionDetector` have the
    parameters.

    >>> detector = Chi2(reference=200, size=100, stride=20, bins=4)
    >>> [index for index, _ in detector.update_many([0.1, 0.2, 0.3, 0.4] * 100 + [0.4, 0.5] * 100)]
    [419]
    """

    name = "chi2"
    _reference_type = Chi2Reference
