"""A sweep: every detector's best parameters on one part of labelled recordings, and their worth on the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

from agents.backtest.labels import Labels
from agents.backtest.replay import backtest
from agents.backtest.scoring import Rules, Score
from agents.backtest.sources import EventLike, Item
from agents.backtest.sweep.choice import Candidate, best_of, chosen, is_perfect, pareto_front
from agents.backtest.sweep.search import Judge, Split, search
from agents.backtest.sweep.series import Collected, Labelled
from agents.drift import DETECTORS
from agents.monitor.outcomes import OUTCOME_METRICS
from agents.monitor.plan import Plans
from agents.settings import MonitorRule, Settings
from agents.tuner.space import Space

Verdict = Literal["better", "same", "neither", "worse"]

Kept = Literal["nothing to gain", "nothing better drawn"]
"""Why a detector's defaults were kept: they find all changes at once without a false alarm; or no draw gained any."""


class NothingToSweep(ValueError):
    """The source has no labelled values of the metric. The message is one line."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A rule with its scores on either part."""

    rule: MonitorRule
    fitting: Score
    held_back: Score

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "detector": {"name": self.rule.detector.name, **self.rule.detector.given},
            "window": self.rule.window.model_dump(),
            "fitting": self.fitting.as_dict(),
            "held_back": self.held_back.as_dict(),
        }


@dataclass(frozen=True, slots=True)
class Tuned:
    """A detector with its defaults, and with the best parameters found."""

    detector: str
    trials: int
    defaults: Scored
    best: Scored

    @property
    def verdict(self) -> Verdict:
        """The best beside the defaults, on the part held back."""
        return compared(self.best.held_back, self.defaults.held_back)

    @property
    def kept(self) -> Kept | None:
        """Why the best are the defaults; None if they are not."""
        if self.best is not self.defaults:
            return None
        return "nothing to gain" if is_perfect(self.defaults.fitting) else "nothing better drawn"

    @property
    def told(self) -> str:
        """The verdict in words."""
        return self.verdict if self.kept is None else f"{self.verdict}: {self.kept}"

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "detector": self.detector,
            "trials": self.trials,
            "defaults_kept": self.kept,
            "defaults": self.defaults.as_dict(),
            "best": self.best.as_dict(),
            "held_back": self.verdict,
        }


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What a sweep found. `front`: of all trials those that are not beaten, on the fitting part."""

    metric: str
    series: Sequence[str]
    not_labelled: Sequence[str]
    rules: Rules
    split: Split
    trials: int
    seed: int
    present: Scored
    detectors: Sequence[Tuned]
    front: Sequence[Candidate]
    winner: Scored

    def as_dict(self) -> dict[str, Any]:
        """The document that `visutility sweep --json` prints."""
        return {
            "metric": self.metric,
            "series": list(self.series),
            "not_labelled": list(self.not_labelled),
            "rules": self.rules.as_dict(),
            "split": {"by": self.split.by, "held_back": self.split.share if self.split.by == "time" else 0.5},
            "trials": self.trials,
            "seed": self.seed,
            "present": self.present.as_dict(),
            "detectors": [each.as_dict() for each in self.detectors],
            "front": [
                {
                    "detector": {"name": each.detector, **each.rule.detector.given},
                    "window": each.rule.window.model_dump(),
                    "fitting": each.score.as_dict(),
                }
                for each in self.front
            ],
            "winner": self.winner.as_dict()
            | {"beats_defaults_of": [each.detector for each in self.detectors if self._beats(each)]},
        }

    def _beats(self, tuned: Tuned) -> bool:
        return compared(self.winner.held_back, tuned.defaults.held_back) == "better"


def compared(score: Score, other: Score) -> Verdict:
    """Whether a score is better than another over the same events: it missed no more and had no more false alarms, and
    fewer of one of them, or the same and a shorter mean delay. `neither`: better in one and worse in the other.
    """
    missed, false = (len(score.missed) - len(other.missed), score.false_alarms - other.false_alarms)
    if missed == false == 0:
        later = (score.mean_delay or 0.0) - (other.mean_delay or 0.0)
        return "same" if later == 0 else "better" if later < 0 else "worse"
    if missed <= 0 and false <= 0:
        return "better"
    return "worse" if missed >= 0 and false >= 0 else "neither"


def sweep(
    events: Iterable[EventLike | Item],
    labels: Labels,
    spaces: Mapping[str, Space],
    settings: Settings | None = None,
    *,
    metric: str | None = None,
    rules: Rules | None = None,
    split: Split | None = None,
    trials: int = 100,
    seed: int = 0,
    detection_rate: float | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> SweepResult:
    """Find the detector and the parameters with the fewest false alarms that find enough of the labelled changes.

    Found is a change with an alarm before `rules.max_delay` is over. Enough is `detection_rate` of them, by default as
    many as the present settings find (for each detector's own best: as many as its defaults find), on the fitting part.
    The rule that is varied is the first for `metric` (by default the first of all). The same arguments give the same
    result. `say` is told what is being done, a line at a time. Raises NothingToSweep, and what reading raises.
    """
    settings, rules, split = settings or Settings(), rules or Rules(), split or Split()
    base = _base(settings, metric)
    series, not_labelled = _series(events, labels, settings, base)
    judge = Judge(series, rules, split)
    present = Candidate(base.detector.name, None, base, judge.score(base, "fitting"))
    if not present.score.labels:
        raise NothingToSweep(f"none of the {len(labels.labels)} labels lies in the part that is to be fitted on")
    wanted = None if detection_rate is None else math.ceil(detection_rate * present.score.labels)
    searched = _searched(judge, base, spaces, trials, seed, say, wanted)
    best = [chosen(tried[0], tried[1:], wanted) for tried in searched]
    finalists = [present, *(each for tried, one in zip(searched, best, strict=True) for each in (tried[0], one))]
    winner = best_of(finalists, len(present.score.found) if wanted is None else wanted)
    return SweepResult(
        base.metric, [each.model for each in series], not_labelled, rules, split, trials, seed,
        _scored(judge, present), [_tuned(judge, *each) for each in zip(searched, best, strict=True)],
        pareto_front([present, *chain.from_iterable(searched)]), _scored(judge, winner),
    )  # fmt: skip


def _searched(
    judge: Judge, base: MonitorRule, spaces: Mapping[str, Space], trials: int, seed: int, say: Callable[[str], None],
    wanted: int | None,
) -> list[list[Candidate]]:  # fmt: skip
    """Of each detector that has a space and can watch the metric its defaults, then what was drawn."""
    found = []
    for detector in [name for name in DETECTORS if name in spaces]:
        say(detector)
        if tried := search(judge, base, detector, spaces[detector], trials, seed, say, wanted):
            found.append(tried)
    return found


def _tuned(judge: Judge, tried: Sequence[Candidate], best: Candidate) -> Tuned:
    defaults = _scored(judge, tried[0])
    return Tuned(best.detector, len(tried) - 1, defaults, defaults if best is tried[0] else _scored(judge, best))


def _base(settings: Settings, metric: str | None) -> MonitorRule:
    """The rule that is varied."""
    rules = [rule for rule in settings.monitor if metric in (None, rule.metric)]
    if rules:
        return rules[0]
    return MonitorRule(metric=metric or "accuracy")


def _scored(judge: Judge, candidate: Candidate) -> Scored:
    return Scored(candidate.rule, candidate.score, judge.score(candidate.rule, "held_back"))


def _series(
    events: Iterable[EventLike | Item], labels: Labels, settings: Settings, base: MonitorRule
) -> tuple[list[Labelled], list[str]]:
    """The labelled series of the metric that the rule watches, by name, and models without labels."""
    collected = Collected(base.metric, Plans(settings))
    backtest(events, settings, observer=collected)
    if collected.late and base.metric in OUTCOME_METRICS:
        raise NothingToSweep("labels that come late are not swept: give predictions and labels together, as outcomes")
    series, not_labelled = [], []
    for model, stretches in sorted(collected.stretches().items()):
        watching = settings.monitor_rule(model, base.metric) or base
        own = labels.of(model)
        if own is None:
            not_labelled.append(model)
        elif watching.name == base.name and base.matches(model):
            ours = [label for label in own if label.metric in ("", base.metric)]
            series.append(Labelled(model, base.metric, stretches, collected.timelines[model], ours))
    if not series:
        seen = sorted(collected.timelines)
        models = ", ".join(seen[:3]) + (" …" if len(seen) > 3 else "") or "none"
        raise NothingToSweep(
            f"nothing to sweep: the source has no values of {base.metric} of a model that {labels.source} knows; "
            f"models in the source: {models}"
        )
    return series, not_labelled
