"""Tests of whether one of two models, judged on the same examples, is better by more than a margin. All one-sided.

Each gives the p-value of the null hypothesis "the mean difference of the scores is at most `margin`".
"""

from __future__ import annotations

import math

_TINY = 1e-300
_PRECISION = 1e-15


def mcnemar(wins: int, losses: int) -> float:
    """The exact test of paired yes-or-no outcomes, without a margin.

    `wins` counts the examples on which only the challenger was right, `losses` those on which only the champion was;
    if neither is better they are equally likely.

    Source: McNemar, Q. (1947). Note on the sampling error of the difference between correlated proportions or
    percentages. Psychometrika 12, 153-157; in its exact, binomial form.

    >>> round(mcnemar(8, 2), 4)
    0.0547
    """
    # P(X >= wins) of a binomial X is a regularised incomplete beta function.
    return incomplete_beta(wins, losses + 1, 0.5) if wins else 1.0


def tango(wins: int, losses: int, samples: int, margin: float) -> float:
    """The score test of paired yes-or-no outcomes with a margin in (0, 1); without one it is McNemar's, uncorrected.

    Source: Tango, T. (1998). Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design. Statistics in Medicine 17, 891-908, section 2.
    """
    if margin >= 1:
        return 1.0
    a = 2 * samples
    b = (a - wins + losses) * margin - wins - losses
    c = -losses * margin * (1 - margin)
    only_champion = (math.sqrt(b * b - 4 * a * c) - b) / (2 * a)  # maximum likelihood at the margin
    variance = samples * (2 * only_champion + margin * (1 - margin))
    return 1.0 if variance <= 0 else math.erfc((wins - losses - samples * margin) / math.sqrt(2 * variance)) / 2


def paired_t(mean: float, std: float, samples: int, margin: float) -> float:
    """Student's test of differences with this mean and sample standard deviation (n - 1); needs two of them.

    Source: Student (1908). The probable error of a mean. Biometrika 6, 1-25.

    >>> round(paired_t(1.0, 2.0, 16, 0.0), 4)
    0.032
    """
    excess = mean - margin
    if std == 0:
        return 0.0 if excess > 0 else 1.0
    freedom = samples - 1
    t = excess / (std / math.sqrt(samples))
    tail = incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t)) / 2
    return tail if t > 0 else 1 - tail


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b), for a, b > 0 and x in [0, 1].

    Source: NIST Digital Library of Mathematical Functions, 8.17.22: the continued fraction, by Lentz's method.
    """
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):  # there the fraction of the mirror image converges quickly
        return 1.0 - incomplete_beta(b, a, 1 - x)
    scale = a * math.log(x) + b * math.log1p(-x) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(scale) / a * _fraction(a, b, x)


def _fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 10_000 + int(max(a, b))):
        for step in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _away_from_zero(1 + step * d)
            c = _away_from_zero(1 + step / c)
            value *= c * d
        if abs(c * d - 1) < _PRECISION:
            break
    return value


def _away_from_zero(number: float) -> float:
    return number if abs(number) > _TINY else _TINY
