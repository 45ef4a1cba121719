"""The population stability index: the shares of bins, then and now.

Σ (p − q) ln (p / q), also Jeffreys' divergence (Lewis: "An Introduction to Credit Scoring", 1994; its distribution:
Yurdakul, Naranjo: "Statistical properties of the population stability index", Journal of Risk Model Validation 14,
2020). The custom of calling 0.1 or 0.25 a change regards no sizes: of 100 values in 10 bins PSI exceeds 0.1 six times
in seven although nothing has changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, log

from agents.drift.binned import BinnedDetector, BinnedReference, smoothed_shares


class PSIReference(BinnedReference):
    """Counts of bins, compared by PSI."""

    @staticmethod
    def distance(reference: Sequence[int], window: Sequence[int]) -> float:
        """From 0 on, of smoothed shares: an empty bin would be infinitely far off."""
        return fsum((q - p) * log(q / p) for p, q in smoothed_shares(reference, window))

    @staticmethod
    def from_chi2(chi2: float, variance: float) -> float:
        """PSI is χ² (1/n + 1/m)."""
        return chi2 * variance

    @staticmethod
    def to_chi2(distance: float, variance: float) -> float:
        """The other way round."""
        return distance / variance


class PSI(BinnedDetector):
    """Fires where the population stability index of the newest values exceeds what chance makes of it.

    `statistic` is PSI, from 0 on. `BinnedDetector` and `DistributionDetector` have the parameters.

    >>> detector = PSI(reference=200, size=100, stride=20, bins=4)
    >>> [index for index, _ in detector.update_many([0.1, 0.2, 0.3, 0.4] * 100 + [0.4, 0.5] * 100)]
    [419]
    """

    name = "psi"
    _reference_type = PSIReference
