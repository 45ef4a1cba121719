"""Which of the rules that were tried is taken: the one of which it is least likely that it only had luck.

A few labelled series say little: of a hundred rules some have no false alarm on them by chance, and elsewhere more than
the defaults. So a rule is held against the defaults change by change and series by series.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agents.backtest.scoring import Score
from agents.settings import MonitorRule

#: By what share of itself the rate of false alarms varies from series to series (a standard deviation).
_VARIES: Final = 0.5

#: What a difference of delays counts beside one of false alarms, both in standard errors.
_DELAYS_COUNT: Final = 0.5

#: What it costs, in standard errors, to be worse on one series in one respect.
_WORSE_COSTS: Final = 0.5

#: A difference of delays of so many events, all labels together, is nothing.
_NO_DELAY: Final = 10.0


@dataclass(frozen=True, slots=True)
class OfSeries:
    """A score on one series, and for each of its labels how long it took: one missed counts its whole window."""

    score: Score
    waits: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rule that was tried, and its score on the fitting part. `number` is its trial's; None: it was not drawn.

    `series`: the same for each series; the order is that of all candidates.
    """

    detector: str
    number: int | None
    rule: MonitorRule
    score: Score
    series: Sequence[OfSeries] = ()

    @property
    def false_alarms(self) -> float:
        """Per 10,000 events."""
        return self.score.false_per_10000 or 0.0

    @property
    def delay(self) -> float:
        """In events, on average over all labels, a missed one counted with its whole window."""
        return self.score.mean_delay or 0.0

    @property
    def order(self) -> tuple[float, float]:
        """What is to be small: false alarms first."""
        return self.false_alarms, self.delay


def chosen(defaults: Candidate, drawn: Sequence[Candidate], needed: int | None = None) -> Candidate:
    """Of the rules drawn the one for which there is most evidence that it is better; of those alike the first.

    Better than the defaults, which are taken if none is: it misses no more, has no more false alarms, and gains in one
    of them or in delay. Where somebody says how many changes are `needed`, it is as `best_of` says.
    """
    if needed is not None:
        return best_of([defaults, *drawn], needed)
    better = [each for each in drawn if _is_better(each.score, defaults.score)]
    return max(better, key=lambda each: evidence(each, defaults), default=defaults)


def is_perfect(score: Score) -> bool:
    """Whether nothing can be better: every change is found at its first event, without a false alarm."""
    return not (score.missed or score.false_alarms or score.mean_delay)


def evidence(candidate: Candidate, defaults: Candidate) -> float:
    """How surely a rule is better than the defaults, in standard errors; below 0: it is worse.

    The differences of false alarms (counts, negative binomial: of a rate that varies) and of the labels' delays (in
    pairs), less a half for each series and each of misses, false alarms and delay in which the rule is worse. So what
    gains everywhere goes before what gains a little more on one series and loses on another.
    """
    was, now = defaults.score.false_alarms, candidate.score.false_alarms
    total = (was - now) / math.sqrt(was + now + 1 + _VARIES**2 * (was**2 + now**2))
    pairs = list(zip(candidate.series, defaults.series, strict=True))
    sooner = [then - now for own, other in pairs for now, then in zip(own.waits, other.waits, strict=True)]
    total += _DELAYS_COUNT * sum(sooner) / math.hypot(*sooner, _NO_DELAY)
    return total - _WORSE_COSTS * sum(_times_worse(own, other) for own, other in pairs)


def _times_worse(own: OfSeries, other: OfSeries) -> int:
    return (
        (len(own.score.missed) > len(other.score.missed))
        + (own.score.false_alarms > other.score.false_alarms)
        + (sum(own.waits) > sum(other.waits))
    )


def _is_better(score: Score, other: Score) -> bool:
    if score.false_alarms > other.false_alarms or len(score.found) < len(other.found):
        return False
    gains = (
        score.false_alarms < other.false_alarms,
        len(score.found) > len(other.found),
        (score.mean_delay or 0.0) < (other.mean_delay or 0.0),
    )
    return any(gains)


def best_of(candidates: Sequence[Candidate], needed: int) -> Candidate:
    """The one with the fewest false alarms among those that find at least `needed` changes; if none does, the one that
    finds the most.

    Of those alike, the one with the shorter mean delay; of those, the first.
    """
    enough = [each for each in candidates if len(each.score.found) >= needed]
    if enough:
        return min(enough, key=lambda each: each.order)
    return min(candidates, key=lambda each: (-len(each.score.found), each.order))


def pareto_front(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those than which none has fewer false alarms at no longer delay; of those alike the first. By false alarms."""
    front: list[Candidate] = []
    for each in sorted(candidates, key=lambda each: each.order):
        if not front or each.delay < front[-1].delay:
            front.append(each)
    return front
