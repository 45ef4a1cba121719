"""Looks for detectors and parameters with few false alarms and short delays, by Optuna's multi-objective TPE.

Ozaki and others: "Multiobjective Tree-Structured Parzen Estimator", JAIR 73, 2022. A study for each detector, of its
own seed, so that what one finds does not depend on which others are tried. Trials see the fitting part alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final, Literal

from pydantic import ValidationError

from agents.backtest.scoring import Rules, Score, score_series
from agents.backtest.sweep.series import Labelled
from agents.settings import DetectorSettings, MonitorRule
from agents.tuner.sampler import seed_of
from agents.tuner.space import Space, sample_at

#: A trial's attribute: how many changes it finds less than it should; infeasible above 0.
_LACKING: Final = "lacking"

Part = Literal["fitting", "held_back"]
HoldBack = Literal["time", "series"]


@dataclass(frozen=True, slots=True)
class Split:
    """What is fitted on and what is held back: the later `share` of each series, or by turns every other series."""

    by: HoldBack = "time"
    share: float = 0.5

    def parts(self, series: Sequence[Labelled]) -> list[dict[Part, tuple[int, int]]]:
        """For each series the events [from, until) of either part; of one that it is not in, none."""
        parts: list[dict[Part, tuple[int, int]]] = []
        for number, each in enumerate(series):
            count = len(each.timeline)
            at = round(count * (1 - self.share)) if self.by == "time" else count * (number % 2 == 0)
            parts.append({"fitting": (0, at), "held_back": (at, count)})
        return parts


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rule that was tried, and its score on the fitting part. `number` is its trial's; None: it was not drawn."""

    detector: str
    number: int | None
    rule: MonitorRule
    score: Score

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


class Judge:
    """Scores rules over the series, on one part or the other."""

    def __init__(self, series: Sequence[Labelled], rules: Rules, split: Split) -> None:
        self._series, self._rules, self._parts = series, rules, split.parts(series)

    def score(self, rule: MonitorRule, part: Part) -> Score:
        """The score of all series together. A detector always begins with a series' first value."""
        total = Score()
        for series, parts in zip(self._series, self._parts, strict=True):
            begin, end = parts[part]
            if begin < end:
                alarms = series.alarms(rule, end)
                total += score_series(alarms, series.labels, series.timeline, self._rules, (begin, end))
        return total


def rule_of(base: MonitorRule, detector: str, params: Mapping[str, Any]) -> MonitorRule:
    """The rule with another detector; parameters `window.…` are the window's. Raises ValidationError."""
    table = base.model_dump(exclude={"name", "detector"}, exclude_defaults=True)
    own = {name: value for name, value in params.items() if not name.startswith("window.")}
    window = {name.removeprefix("window."): value for name, value in params.items() if name not in own}
    if window:
        kept = {"min_samples": base.window.min_samples, "size": base.window.size} | window
        table["window"] = kept | {"min_samples": min(kept["min_samples"], kept["size"])}
    return MonitorRule(**table, detector=DetectorSettings.model_validate({"name": detector, **own}))


def search(
    judge: Judge, base: MonitorRule, detector: str, space: Space, trials: int, seed: int, say: Callable[[str], None]
) -> list[Candidate]:
    """Try the detector's defaults, then `trials` draws from `space`; those that cannot be are left out.

    Draws that miss more changes than the defaults do count as infeasible, and are kept away from. Empty if the detector
    cannot watch the metric, which `say` is told.
    """
    try:
        found = [_candidate(judge, detector, None, rule_of(base, detector, {}))]
    except ValidationError as problem:
        say(f"{detector}: {problem.errors()[0]['msg']}")
        return []
    study, least = _study(seed_of(seed, detector)), len(found[0].score.found)
    for number in range(trials if space else 0):
        trial = study.ask()
        params = sample_at(space, [trial.suggest_float(name, 0.0, 1.0) for name in space])
        try:
            candidate = _candidate(judge, detector, number, rule_of(base, detector, params))
        except ValidationError:  # a minimum above its maximum, or the like
            study.tell(trial, state=_failed())
            continue
        trial.set_user_attr(_LACKING, least - len(candidate.score.found))
        study.tell(trial, list(candidate.order))
        found.append(candidate)
    return found


def _candidate(judge: Judge, detector: str, number: int | None, rule: MonitorRule) -> Candidate:
    return Candidate(detector, number, rule, judge.score(rule, "fitting"))


def _study(seed: int) -> Any:
    if find_spec("optuna") is None:
        raise ModuleNotFoundError("a sweep needs Optuna: pip install 'visutility-streams[tuning]'")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that an option is experimental is a matter of our tests, not of users
        sampler = optuna.samplers.TPESampler(
            seed=seed,
            multivariate=True,
            n_startup_trials=20,
            constraints_func=lambda trial: [trial.user_attrs[_LACKING]],
        )
        return optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)


def _failed() -> Any:
    import optuna

    return optuna.trial.TrialState.FAIL


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
