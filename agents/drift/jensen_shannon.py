"""The distance of Jensen and Shannon between the shares of bins, then and now.

The square root of the mean divergence of both from their mean, with natural logarithms (Lin: "Divergence Measures Based
on the Shannon Entropy", IEEE Transactions on Information Theory 37, 1991; a metric: Endres, Schindelin 2003).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, log, sqrt

from agents.drift.binned import BinnedDetector, BinnedReference, smoothed_shares


class JensenShannonReference(BinnedReference):
    """Counts of bins, compared by Jensen and Shannon's distance."""

    @staticmethod
    def distance(reference: Sequence[int], window: Sequence[int]) -> float:
        """From 0 to √ln 2, of smoothed shares."""
        shares = smoothed_shares(reference, window)
        divergence = fsum(_part(p, q) + _part(q, p) for p, q in shares) / 2
        return sqrt(max(0.0, divergence))

    @staticmethod
    def from_chi2(chi2: float, variance: float) -> float:
        """The divergence is χ² (1/n + 1/m) / 8."""
        return sqrt(chi2 * variance / 8)

    @staticmethod
    def to_chi2(distance: float, variance: float) -> float:
        """The other way round."""
        return 8 * distance * distance / variance


def _part(p: float, q: float) -> float:
    return p * log(2 * p / (p + q))


class JensenShannon(BinnedDetector):
    """Fires where Jensen and Shannon's distance of the newest values exceeds what chance makes of it.

    `statistic` is the distance, from 0 to √ln 2 = 0.83. `BinnedDetector` and `DistributionDetector` have the
    parameters.

    >>> detector = JensenShannon(reference=200, size=100, stride=20, bins=4)
    >>> [index for index, _ in detector.update_many([0.1, 0.2, 0.3, 0.4] * 100 + [0.4, 0.5] * 100)]
    [439]
    """

    name = "jensen_shannon"
    _reference_type = JensenShannonReference
