"""The sweep: over recordings generated here, and over the recorded predictions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.backtest import Rules, Timelines, backtest, parse_labels
from agents.backtest.scoring import Found, Score
from agents.backtest.sweep import (
    NothingToSweep,
    SpaceError,
    Split,
    SweepResult,
    default_space,
    read_spaces,
    settings_text,
    sweep,
)
from agents.backtest.sweep.choice import Candidate, best_of, pareto_front
from agents.backtest.sweep.search import Judge, Part, rule_of
from agents.backtest.sweep.sweep import _series, compared
from agents.drift import DETECTORS
from agents.settings import MonitorRule, Settings, load_settings
from agents.tuner.space import sample_at
from schemas.metrics import Outcomes
from tests.backtest.events import START, metrics

LENGTH = 1500
NAMES = ("a", "b", "c", "d")
LABELS = parse_labels({name: [400, 1150] for name in NAMES})
BASE = Settings(monitor=[{"name": "mine", "metric": "error", "detector": {"name": "ewma"}}])


def outcomes(names: tuple[str, ...] = NAMES, batch: int = 5) -> Iterator[Outcomes]:
    """Errors at a rate of 0.1, between the two changes of 0.4."""
    for number, name in enumerate(names):
        at = np.arange(LENGTH)
        rates = np.where((at >= 400) & (at < 1150), 0.4, 0.1)
        wrong = (np.random.default_rng(number).random(LENGTH) < rates).astype(int).tolist()
        for begin in range(0, LENGTH, batch):
            time = START + timedelta(seconds=begin)
            part: list[Any] = wrong[begin : begin + batch]
            yield Outcomes(model_name=name, timestamp=time, y_true=[0] * len(part), y_pred=part)


def swept(
    *, trials: int = 8, by: Any = "series", detectors: tuple[str, ...] = ("ewma", "cusum"), **more: Any
) -> SweepResult:
    spaces = {name: default_space(name) for name in detectors}
    rules = Rules(max_delay=200)
    return sweep(outcomes(), LABELS, spaces, BASE, rules=rules, split=Split(by), trials=trials, **more)


@pytest.fixture(scope="module")
def result() -> SweepResult:
    return swept()


def test_the_best_has_fewer_false_alarms_than_the_defaults_and_finds_no_less(result: SweepResult) -> None:
    ewma = next(each for each in result.detectors if each.detector == "ewma")
    assert ewma.best.fitting.false_alarms < ewma.defaults.fitting.false_alarms
    assert len(ewma.best.fitting.found) >= len(ewma.defaults.fitting.found)
    assert ewma.verdict == "better"


def test_the_winner_has_the_fewest_false_alarms_of_those_that_find_as_much_as_now(result: SweepResult) -> None:
    assert result.present.rule == BASE.monitor[0]
    assert len(result.winner.fitting.found) >= len(result.present.fitting.found)
    most = min(each.best.fitting.false_alarms for each in result.detectors)
    assert result.winner.fitting.false_alarms <= most < result.present.fitting.false_alarms


def test_the_winner_is_one_of_the_detectors_best_not_a_lucky_draw() -> None:
    """Here a draw has fewer false alarms than the best, but is worse elsewhere."""
    found = swept(trials=12, by="time", detectors=("ewma",))
    assert found.front[0].false_alarms < (found.winner.fitting.false_per_10000 or 0)
    assert found.winner.rule == found.detectors[0].best.rule


def test_the_same_seed_gives_the_same_and_detectors_do_not_depend_on_each_other(result: SweepResult) -> None:
    alone = swept(detectors=("ewma",))
    assert [each.as_dict() for each in alone.detectors] == [result.detectors[1].as_dict()]
    assert json.dumps(swept().as_dict()) == json.dumps(result.as_dict())
    assert swept(seed=1).as_dict() != result.as_dict()


def test_what_is_held_back_is_not_looked_at_while_fitting(result: SweepResult) -> None:
    assert (result.present.fitting.labels, result.present.held_back.labels) == (4, 4)
    events = [
        each.model_copy(update={"y_pred": [1] * len(each.y_pred)}) if each.model_name in ("b", "d") else each
        for each in outcomes()
    ]
    spaces = {"ewma": default_space("ewma")}
    other = sweep(events, LABELS, spaces, BASE, rules=Rules(200), split=Split("series"), trials=8)
    assert other.detectors[0].best.rule == result.detectors[1].best.rule
    assert other.detectors[0].best.held_back.as_dict() != result.detectors[1].best.held_back.as_dict()


def test_by_time_the_earlier_half_is_fitted_on() -> None:
    score = swept(trials=0, by="time").present
    assert (score.fitting.events, score.held_back.events) == (4 * 750, 4 * 750)
    assert {label.begin for label in (f.label for f in score.fitting.found)} <= {400}
    assert {label.begin for label in (f.label for f in score.held_back.found)} <= {1150}


@pytest.mark.parametrize(
    ("by", "part", "count"), [("series", "fitting", 2), ("series", "held_back", 2), ("time", "fitting", 4)]
)
def test_of_each_series_every_label_has_its_delay_in_the_order_of_labels(by: Any, part: Part, count: int) -> None:
    """So that of two rules the delays of the same change can be compared, whether or not they found it."""
    series, _ = _series(outcomes(), LABELS, BASE, BASE.monitor[0])
    judge = Judge(series, Rules(20), Split(by))
    rule = rule_of(BASE.monitor[0], "ewma", {})
    scores = judge.scores(rule, part)
    assert len(scores) == count
    assert any(each.score.missed for each in scores)
    assert any(each.score.found for each in scores)
    for each in scores:
        begins = [400, 1150][: each.score.labels]
        known = {found.label.begin: found.events for found in each.score.found}
        assert each.waits == tuple(known.get(begin, 21) for begin in begins)
        assert sum(each.waits) == pytest.approx((each.score.mean_delay or 0) * each.score.labels)


@pytest.mark.parametrize("name", ["ewma", "kswin", "page_hinkley", "z_score", "ks"])
def test_a_trial_finds_what_a_backtest_finds(name: str) -> None:
    """Values are decoded once and given to the detectors alone; the whole monitor says the same."""
    rule = rule_of(BASE.monitor[0], name, {"window.size": 60} if name == "z_score" else {})
    (series, *_), _ = _series(outcomes(("a",)), LABELS, Settings(monitor=[rule]), rule)
    timelines = Timelines()
    drift = backtest(outcomes(("a",)), Settings(monitor=[rule]), observer=timelines).drift
    expected = [timelines["a"].event_of(each) for each in drift if each["severity"] == "drift"]
    assert series.alarms(rule) == expected
    assert series.alarms(rule, 700) == [event for event in expected if event is not None and event < 700]


def test_the_written_settings_are_those_of_the_winner_and_keep_the_rest(result: SweepResult, tmp_path: Path) -> None:
    former = tmp_path / "former.toml"
    former.write_text(
        'partitions = 7\n[[monitor]]\nname = "mine"\nmetric = "error"\ndetector = { name = "ewma" }\n'
        '[[monitor]]\nmetric = "extras.auc"\n[[retrain]]\ncooldown = "1h"\n'
    )
    settings = load_settings(former)
    (tmp_path / "better.toml").write_text(settings_text(result, settings, former))
    written = load_settings(tmp_path / "better.toml")
    assert written.monitor[0].name == "mine"
    assert written.monitor[0].detector == result.winner.rule.detector
    assert (written.partitions, written.monitor[1], written.retrain) == (7, settings.monitor[1], settings.retrain)


def test_the_front_holds_what_nothing_beats(result: SweepResult) -> None:
    for one in result.front:
        assert not any(
            other.false_alarms <= one.false_alarms and other.delay <= one.delay and other.order != one.order
            for other in result.front
        )


def candidate(number: int, false: int, missed: int = 0, waited: int = 0) -> Candidate:
    score = Score(events=10_000, false_alarms=false, missed=list(LABELS.labels[:missed]), waited=waited)
    return Candidate("ewma", number, MonitorRule(), score)


def test_of_those_alike_the_first_wins() -> None:
    one, other = candidate(1, 3), candidate(2, 3)
    assert best_of([one, other], 0) is one
    assert best_of([one, candidate(3, 1, missed=1)], 0).number == 3
    finds = replace(other, score=replace(other.score, found=[Found(LABELS.labels[0], 0, 5, 5.0)]))
    assert best_of([candidate(3, 1, missed=1), finds], 1) is finds
    assert best_of([candidate(3, 1, missed=1), finds], 2) is finds
    assert pareto_front([one, other]) == [one]
    assert pareto_front([candidate(1, 3, 1, 50), candidate(2, 5, 1, 20), candidate(3, 6, 1, 20)])[1].number == 2


def test_a_score_is_better_if_it_is_nowhere_worse() -> None:
    def scored(false: int, missed: int, waited: int = 0) -> Score:
        return candidate(0, false, missed, waited).score

    assert compared(scored(1, 1), scored(2, 1)) == compared(scored(1, 0), scored(1, 1)) == "better"
    assert compared(scored(1, 1, 5), scored(1, 1, 9)) == "better"
    assert compared(scored(2, 1), scored(1, 1)) == "worse"
    assert compared(scored(2, 1), scored(2, 1)) == "same"
    assert compared(scored(0, 2), scored(2, 1)) == "neither"


@pytest.mark.parametrize(("change", "trials", "kept"), [(52, 8, "nothing to gain"), (50, 0, "nothing better drawn")])
def test_that_the_defaults_are_kept_is_told_with_the_reason(change: int, trials: int, kept: str) -> None:
    """From event 50 on everything is wrong, and the third of five errors fires."""
    events = [
        Outcomes(model_name=name, timestamp=START + timedelta(seconds=at), y_true=[0], y_pred=[int(at >= 50)])
        for name in ("a", "b")
        for at in range(100)
    ]
    labels = parse_labels({"a": [change], "b": [change]})
    spaces = {"threshold": default_space("threshold")}
    (found,) = sweep(events, labels, spaces, BASE, rules=Rules(20), split=Split("series"), trials=trials).detectors
    assert (found.best, found.kept, found.trials) == (found.defaults, kept, 0)
    assert found.told == f"same: {kept}"
    better = sweep(events, labels, spaces, BASE, rules=Rules(20), split=Split("series"), trials=30).detectors[0]
    assert (better.kept, better.told) == ((None, "better") if change == 50 else (kept, f"same: {kept}"))


@pytest.mark.parametrize("name", DETECTORS)
def test_every_detectors_space_can_be_drawn_from(name: str) -> None:
    space, rng = default_space(name), np.random.default_rng(0)
    metric = "error"
    made = 0
    for _ in range(15):
        try:
            rule_of(MonitorRule(metric=metric), name, sample_at(space, rng.random(len(space)).tolist()))
            made += 1
        except ValueError:
            continue
    assert made >= 7


def test_a_space_is_a_table_for_each_detector_and_a_plain_value_is_fixed(tmp_path: Path) -> None:
    (tmp_path / "space.toml").write_text(
        '[cusum]\nslack = [0.1, 1.0]\ndirection = "up"\n[z_score]\n"window.size" = [50, 90]\n'
    )
    spaces = read_spaces(tmp_path / "space.toml")
    assert sample_at(spaces["cusum"], [0.0, 0.9]) == {"slack": 0.1, "direction": "up"}
    assert rule_of(MonitorRule(), "z_score", sample_at(spaces["z_score"], [0.0])).window.size == 50


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[cusm]\n", "cusm: unknown detector 'cusm' (did you mean 'cusum'?)"),
        ("[cusum]\nslak = [1, 2]\n", "cusum: cusum has no parameter 'slak'; known: threshold, slack"),
        ("[cusum]\nslack = [2, 1]\n", "cusum: space.slack: "),
        ("cusum = 3\n", "cusum: expected a table of parameters, got 3"),
        ("", "expected a table for each detector"),
        ("[", "not TOML"),
    ],
)  # fmt: skip
def test_a_space_that_cannot_be_is_named(tmp_path: Path, content: str, complaint: str) -> None:
    (tmp_path / "space.toml").write_text(content)
    with pytest.raises(SpaceError, match=r"space\.toml") as caught:
        read_spaces(tmp_path / "space.toml")
    assert complaint in str(caught.value)


def test_where_nothing_is_labelled_there_is_nothing_to_sweep() -> None:
    with pytest.raises(
        NothingToSweep, match="no values of error of a model that labels knows; models in the source: m"
    ):
        sweep([metrics(0, 0.9, "m")], LABELS, {}, BASE)
