"""Looks for detectors and parameters with few false alarms and short delays, by Optuna's multi-objective TPE.

Ozaki and others: "Multiobjective Tree-Structured Parzen Estimator", JAIR 73, 2022. A study for each detector, of its
own seed, so that what one finds does not depend on which others are tried. Trials see the fitting part alone.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final, Literal

import numpy as np
from pydantic import ValidationError

from agents.backtest.scoring import Rules, Score, score_series, spans_of
from agents.backtest.sweep.choice import Candidate, OfSeries, chosen, is_perfect
from agents.backtest.sweep.nearby import moved, positions_of
from agents.backtest.sweep.series import Labelled
from agents.settings import DetectorSettings, MonitorRule
from agents.tuner.sampler import seed_of
from agents.tuner.space import Space, sample_at

#: A trial's attribute: how many changes it finds less than it should; infeasible above 0.
_LACKING: Final = "lacking"

#: Of all draws the first and the last lie around the best so far. TPE looks at the space between, after some at random.
_AROUND_BEST_TO: Final = 1 / 3
_TPE_FROM: Final = 1 / 2
_AROUND_BEST_FROM: Final = 3 / 4

#: For each draw so many may be refused, in a space of which much cannot be.
_ATTEMPTS: Final = 5

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


class Judge:
    """Scores rules over the series, on one part or the other."""

    def __init__(self, series: Sequence[Labelled], rules: Rules, split: Split) -> None:
        self._series, self._rules, self._parts = series, rules, split.parts(series)
        self._windows = [dict(spans_of(each.labels, each.timeline, rules.max_delay)) for each in series]

    def score(self, rule: MonitorRule, part: Part) -> Score:
        """The score of all series together. A detector always begins with a series' first value."""
        return sum((each.score for each in self.scores(rule, part)), Score())

    def scores(self, rule: MonitorRule, part: Part) -> list[OfSeries]:
        """The score of each series that has something in the part."""
        found = []
        for series, windows, parts in zip(self._series, self._windows, self._parts, strict=True):
            begin, end = parts[part]
            if begin < end:
                alarms = series.alarms(rule, end)
                score = score_series(alarms, series.labels, series.timeline, self._rules, (begin, end))
                waits = {found.label: found.events for found in score.found}
                waits |= {label: min(windows[label].end, end) - windows[label].begin for label in score.missed}
                found.append(OfSeries(score, tuple(waits[label] for label in windows if label in waits)))
        return found


def rule_of(base: MonitorRule, detector: str, params: Mapping[str, Any]) -> MonitorRule:
    """The rule with another detector; parameters `window.…` are the window's. Raises ValidationError."""
    table = base.model_dump(exclude={"name", "detector"}, exclude_defaults=True)
    own = {name: value for name, value in params.items() if not name.startswith("window.")}
    window = {name.removeprefix("window."): value for name, value in params.items() if name not in own}
    if window:
        kept = {"min_samples": base.window.min_samples, "size": base.window.size} | window
        table["window"] = kept | {"min_samples": min(kept["min_samples"], kept["size"])}
    return MonitorRule(**table, detector=DetectorSettings.model_validate({"name": detector, **own}))


def values_of(rule: MonitorRule) -> dict[str, Any]:
    """All parameters of a rule's detector as they are, and those of its window."""
    _, values = rule.detector_meant
    return values | {"window.size": rule.window.size, "window.min_samples": rule.window.min_samples}


def search(
    judge: Judge,
    base: MonitorRule,
    detector: str,
    space: Space,
    trials: int,
    seed: int,
    say: Callable[[str], None],
    needed: int | None = None,
) -> list[Candidate]:
    """Try the detector's defaults, then `trials` draws from `space`; those that cannot be are drawn anew.

    The first draws lie around the best so far, which are the defaults at the start; then some are anywhere and some
    where TPE expects the most, and the last lie around the best again. Draws that find fewer changes than are `needed`,
    without it than the defaults find, count as infeasible, and are kept away from. Nothing is drawn where the defaults
    cannot be bettered. Empty if the detector cannot watch the metric, which `say` is told.
    """
    try:
        defaults = best = _candidate(judge, detector, None, rule_of(base, detector, {}))
    except ValidationError as problem:
        say(f"{detector}: {problem.errors()[0]['msg']}")
        return []
    found, drawn = [defaults], _Drawn(space, trials, seed_of(seed, detector))
    least = len(defaults.score.found) if needed is None else needed
    for _ in range(_ATTEMPTS * trials if space and not is_perfect(defaults.score) else 0):
        if len(found) > trials:
            break
        trial, params = drawn.ask(best.rule, len(found) - 1)
        try:
            candidate = _candidate(judge, detector, len(found) - 1, rule_of(base, detector, params))
        except ValidationError:  # a minimum above its maximum, or the like
            drawn.refuse(trial)
            continue
        drawn.tell(trial, candidate, least - len(candidate.score.found))
        found.append(candidate)
        best = chosen(defaults, [best, candidate], needed)
    return found


def _candidate(judge: Judge, detector: str, number: int | None, rule: MonitorRule) -> Candidate:
    scores = judge.scores(rule, "fitting")
    return Candidate(detector, number, rule, sum((each.score for each in scores), Score()), scores)


class _Drawn:
    """What is drawn, one after the other: a study of Optuna's, to which draws near a known rule are given as well."""

    def __init__(self, space: Space, trials: int, seed: int) -> None:
        self._space, self._trials = space, trials
        self._rng, self._refused = np.random.default_rng(seed), False
        self._study = _study(seed, round(_TPE_FROM * trials))

    def ask(self, best: MonitorRule, number: int) -> tuple[Any, dict[str, Any]]:
        """Draw `number`, counted from 0: a trial and its parameters. `best`: the rule that would now be chosen."""
        known = values_of(best)
        if self._refused or not _AROUND_BEST_TO <= number / self._trials < _AROUND_BEST_FROM:
            near = moved(self._space, positions_of(self._space, known), self._rng)
            self._study.enqueue_trial(dict(zip(self._space, near, strict=True)))
        trial = self._study.ask()
        params = sample_at(self._space, [trial.suggest_float(name, 0.0, 1.0) for name in self._space])
        return trial, {name: _kept(value, known.get(name)) for name, value in params.items()}

    def refuse(self, trial: Any) -> None:
        """The parameters cannot be together. TPE does not learn from that: what comes next lies around the best."""
        import optuna

        self._refused = True
        self._study.tell(trial, state=optuna.trial.TrialState.FAIL)

    def tell(self, trial: Any, candidate: Candidate, lacking: int) -> None:
        """What came of it; `lacking`: how many changes it finds less than it should."""
        self._refused = False
        trial.set_user_attr(_LACKING, lacking)
        self._study.tell(trial, list(candidate.order))


def _kept(value: Any, known: Any) -> Any:
    """A value that did not move, as it was: positions are not as exact as to give 50.0 again."""
    if not (isinstance(value, float) and isinstance(known, float)):
        return value
    return known if math.isclose(value, known, rel_tol=1e-6, abs_tol=1e-9) else value


def _study(seed: int, startup: int) -> Any:
    if find_spec("optuna") is None:
        raise ModuleNotFoundError("a sweep needs Optuna: pip install 'visutility-streams[tuning]'")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that an option is experimental is a matter of our tests, not of users
        sampler = optuna.samplers.TPESampler(
            seed=seed,
            multivariate=True,
            n_startup_trials=startup,
            constraints_func=lambda trial: [trial.user_attrs[_LACKING]],
        )
        return optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
