"""What detectors that compare shares of bins have in common: the bins, and what chance alone makes of a distance.

The bins hold about the same number of reference values each. Where nothing has changed, (p − q)² / p̄ summed over k
bins, divided by 1/n + 1/m for n and m values, follows a χ² distribution with k − 1 degrees of freedom (Pearson's test
of homogeneity); that the bins' edges are values of the reference changes nothing in the limit, for the shares between
order statistics vary as the shares of a sample do. PSI, the Jensen-Shannon divergence and the square of Hellinger's
distance are such sums but for terms of higher order, so that one distribution gives all the thresholds.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from agents.drift.distribution import DistributionDetector, Floats, Reference
from agents.drift.parameters import whole

#: A bin's number is to fit into a byte, and values that are there often make some more bins.
MOST_BINS: Final = 100

#: Cochran's rule: the χ² distribution wants about five values in each bin.
LEAST_IN_BIN: Final = 5

Counts = NDArray[np.int64]


class BinnedReference(Reference):
    """How many values of the reference lie in each bin: up to `edges[0]`, up to `edges[1]`, …, above the last edge."""

    kept = "u1"

    def __init__(self, edges: Floats, counts: Counts) -> None:
        self.edges, self.counts = edges, counts

    @classmethod
    def of(cls, values: Floats, bins: int) -> Self:
        """From sorted values, with up to `bins` bins: fewer where values are alike."""
        edges = np.array(cut(values, bins))
        codes = np.searchsorted(edges, values, "left")
        return cls(edges, np.bincount(codes, minlength=len(edges) + 1).astype(np.int64))

    def encode(self, values: Floats) -> NDArray[Any]:
        """The numbers of their bins."""
        return np.searchsorted(self.edges, values, "left").astype(self.kept)

    def statistic(self, window: NDArray[Any]) -> float:
        """By the counts of both."""
        counts = np.bincount(window, minlength=len(self.counts))
        return self.distance(self.counts.tolist(), counts.tolist())

    def critical(self, window: NDArray[Any], statistic: float, level: float) -> float:
        """By the sizes and the number of bins."""
        del statistic
        return self.from_chi2(chi2_quantile(self._degrees, level), self._variance(window))

    def p_value(self, window: NDArray[Any], statistic: float) -> float:
        """By the χ² distribution."""
        from scipy.special import chdtrc

        return float(chdtrc(self._degrees, self.to_chi2(statistic, self._variance(window))))

    @staticmethod
    @abstractmethod
    def distance(reference: Sequence[int], window: Sequence[int]) -> float:
        """How far apart two rows of counts are."""

    @staticmethod
    @abstractmethod
    def from_chi2(chi2: float, variance: float) -> float:
        """The distance for a value of χ², `variance` being 1/n + 1/m."""

    @staticmethod
    @abstractmethod
    def to_chi2(distance: float, variance: float) -> float:
        """The other way round."""

    def packed(self) -> list[bytes]:
        """Edges and counts."""
        return [self.edges.astype("<f8").tobytes(), self.counts.astype("<u4").tobytes()]

    @classmethod
    def unpacked(cls, parts: Sequence[bytes]) -> Self:
        """From edges and counts."""
        edges, counts = parts
        made = cls(np.frombuffer(edges, dtype="<f8"), np.frombuffer(counts, dtype="<u4").astype(np.int64))
        if len(made.counts) != len(made.edges) + 1:
            raise ValueError(f"{len(made.counts)} counts where there are {len(made.edges)} edges")
        return made

    @property
    def _degrees(self) -> int:
        """Bins that the reference leaves empty, and a window too if nothing has changed, do not count."""
        return max(1, int(np.count_nonzero(self.counts)) - 1)

    def _variance(self, window: NDArray[Any]) -> float:
        return 1.0 / float(self.counts.sum()) + 1.0 / len(window)


def cut(values: Floats, bins: int) -> list[float]:
    """Upper edges of bins of about the same number of sorted values; a value that is there often has a bin of its own.

    If that is the least or the greatest of all, there is a bin beyond it, too, although none was there.
    """
    distinct, counts = (column.tolist() for column in np.unique(values, return_counts=True))
    step = len(values) / bins
    edges = _inner_edges(distinct, counts, step)
    least = [float(np.nextafter(distinct[0], -np.inf))] if counts[0] >= step else []
    return [*least, *edges, *(distinct[-1:] if counts[-1] >= step else [])]


def _inner_edges(distinct: Sequence[float], counts: Sequence[int], step: float) -> list[float]:
    """One at least, where values differ; none of them the greatest value."""
    held, edges = 0, list[float]()
    for at, (value, count) in enumerate(zip(distinct[:-1], counts[:-1], strict=True)):
        if count >= step and held >= step / 2:
            edges.append(distinct[at - 1])
            held = 0
        held += count
        if held >= step - 1e-9:
            edges.append(value)
            held = 0
    if counts[-1] >= step and held >= step / 2:
        edges.append(distinct[-2])
    elif held + counts[-1] < step / 2 and len(edges) > 1:
        edges.pop()  # the rest is too little for a bin
    return edges or list(distinct[-2:-1])


def smoothed_shares(reference: Sequence[int], window: Sequence[int]) -> list[tuple[float, float]]:
    """The shares (p, q) of each bin in both, with half a value added to each count.

    So no share is 0, and rare bins do not count for more than the χ² distribution allows: without it Hellinger's
    distance fires up to twenty times as often as asked where bins hold five values each.
    """
    n, m = sum(reference) + len(reference) / 2, sum(window) + len(window) / 2
    return [((r + 0.5) / n, (w + 0.5) / m) for r, w in zip(reference, window, strict=True)]


@lru_cache(maxsize=1_024)
def chi2_quantile(degrees: int, level: float) -> float:
    """What a χ² variable of so many degrees of freedom exceeds with probability `level`."""
    from scipy.special import chdtri

    return float(chdtri(degrees, level))


class BinnedDetector(DistributionDetector):
    """The base of detectors that compare shares of `bins` bins, which are made of the reference."""

    _reference_type: ClassVar[type[BinnedReference]]

    def __init__(
        self,
        *,
        reference: int = 1_000,
        size: int = 500,
        stride: int | None = None,
        bins: int = 10,
        alpha: float = 0.05,
        threshold: float | None = None,
        reference_file: str | None = None,
        column: str | None = None,
    ) -> None:
        self._bins = whole("bins", bins, 2, MOST_BINS)
        if find_spec("scipy") is None:
            raise ValueError(f"{self.name} needs scipy: install visutility-streams[distributions], or take ks")
        self._begin(locals())
        chi2_quantile(self._bins - 1, self._level)  # scipy is slow to import: now rather than at a value

    def _check_sizes(self) -> None:
        for name, count in (("reference", self._to_learn), ("size", self._size)):
            if count < LEAST_IN_BIN * self._bins:
                raise ValueError(
                    f"{name}: expected at least {LEAST_IN_BIN} values for each of {self._bins} bins, got {count}"
                )

    def _learn(self, values: Floats) -> Reference:
        return self._reference_type.of(values, self._bins)
