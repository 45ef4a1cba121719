"""What a sweep draws near a known rule, and which of the rules that it tried it takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agents.backtest.labels import Label
from agents.backtest.scoring import Found, Score
from agents.backtest.sweep import default_space
from agents.backtest.sweep.choice import Candidate, OfSeries, chosen, evidence, is_perfect
from agents.backtest.sweep.nearby import moved, position_of, positions_of
from agents.backtest.sweep.search import rule_of, search, values_of
from agents.drift import DETECTORS
from agents.settings import MonitorRule
from agents.tuner.space import FloatRange, IntRange, Space, parse_space, sample_at

#: A change of each series is missed after so many events.
WINDOW = 1_000


def candidate(*series: tuple[int, list[int]]) -> Candidate:
    """One of which each series has so many false alarms and so long waits; what waits a whole window is missed."""
    scores = []
    for number, (false, waits) in enumerate(series):
        labels = [Label(f"m{number}", begin) for begin in range(len(waits))]
        score = Score(events=10_000, false_alarms=false, waited=WINDOW * waits.count(WINDOW))
        for label, wait in zip(labels, waits, strict=True):
            if wait < WINDOW:
                score.found.append(Found(label, 0, wait, float(wait)))
            else:
                score.missed.append(label)
        scores.append(OfSeries(score, tuple(waits)))
    return Candidate("ewma", 0, MonitorRule(), sum((each.score for each in scores), Score()), scores)


DEFAULTS = candidate((4, [50, 60]), (4, [70, 80]))


@pytest.mark.parametrize(
    "other",
    [
        candidate((4, [10, 10]), (5, [10, 10])),
        candidate((0, [10, 10]), (0, [10, WINDOW])),
        candidate((4, [50, 60]), (4, [70, 80])),
        candidate((4, [60, 60]), (4, [70, 80])),
    ],
    ids=["one more false alarm", "one more missed", "the same", "later"],
)
def test_what_loses_or_gains_nothing_is_not_taken(other: Candidate) -> None:
    assert chosen(DEFAULTS, [other]) is DEFAULTS


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (candidate((2, [50, 60]), (2, [70, 80])), candidate((3, [50, 60]), (3, [70, 80]))),
        (candidate((3, [50, 60]), (3, [70, 80])), candidate((0, [50, 60]), (5, [70, 80]))),
        (candidate((2, [40, 50]), (2, [60, 70])), candidate((1, [55, 70]), (1, [75, 90]))),
        (candidate((4, [40, 50]), (4, [60, 70])), candidate((4, [5, 60]), (4, [70, 80]))),
    ],
    ids=["fewer false alarms", "no series is worse off", "sooner as well", "each label sooner"],
)
def test_what_gains_everywhere_goes_before_what_gains_much_in_one_place(better: Candidate, worse: Candidate) -> None:
    assert evidence(worse, DEFAULTS) < evidence(better, DEFAULTS)
    assert chosen(DEFAULTS, [worse, better]) is better


def test_ever_fewer_of_many_false_alarms_do_not_outweigh_changes_found_later() -> None:
    """So many are of one kind, and all go or stay together."""
    defaults = candidate((350, [50, 60]), (350, [70, 80]))
    later, fewer = candidate((125, [70, 80]), (125, [90, 99])), candidate((240, [50, 60]), (240, [70, 80]))
    assert chosen(defaults, [later, fewer]) is fewer


def test_of_equal_evidence_the_first_is_taken_and_with_a_required_rate_the_fewest_false_alarms() -> None:
    one, same, fewest = (candidate((false, waits), (2, [70, 80])) for false, waits in
                         [(2, [50, 60]), (2, [50, 60]), (0, [999, WINDOW])])  # fmt: skip
    assert chosen(DEFAULTS, [one, same, fewest]) is one
    assert chosen(DEFAULTS, [one, same, fewest], needed=3) is fewest


def test_perfect_is_to_find_everything_at_once_without_a_false_alarm() -> None:
    assert is_perfect(candidate((0, [0, 0])).score)
    assert not any(is_perfect(candidate(each).score) for each in [(1, [0, 0]), (0, [0, 1]), (0, [0, WINDOW])])


class Known:
    """A judge that knows the score of each rule beforehand; says what it was asked."""

    def __init__(self, result: Candidate) -> None:
        self.result, self.asked = result, list[MonitorRule]()

    def scores(self, rule: MonitorRule, part: str) -> Any:
        self.asked.append(rule)
        return self.result.series


RULE = MonitorRule(metric="error")


def drawn(detector: str, result: Candidate, trials: int = 12, space: Space | None = None) -> list[MonitorRule]:
    judge: Any = Known(result)
    search(judge, RULE, detector, default_space(detector) if space is None else space, trials, 0, lambda _: None)
    return [*judge.asked]


def test_nothing_is_drawn_where_nothing_can_be_gained() -> None:
    assert len(drawn("ewma", candidate((0, [0, 0])))) == 1


def test_what_cannot_be_is_drawn_anew() -> None:
    """Of two values of `of` one is below `breaches`."""
    space = parse_space({"breaches": [5, 6], "of": {"type": "choice", "choices": [4, 9]}})
    assert len(drawn("threshold", DEFAULTS, 12, space)) == 13
    never = parse_space({"breaches": [5, 6], "of": {"type": "choice", "choices": [3, 4]}})
    assert len(drawn("threshold", DEFAULTS, 12, never)) == 1


def test_the_first_draws_lie_around_the_defaults_and_others_anywhere() -> None:
    space: Space = {"threshold": FloatRange(min=1.0, max=10_000.0, log=True)}
    found = [rule.detector.given.get("threshold", 50.0) for rule in drawn("cusum", DEFAULTS, 30, space)]
    assert len(set(found[1:11])) == 10
    assert max(found[:11]) / min(found[:11]) < 1_000 < max(found[11:24]) / min(found[11:24])


def test_what_does_not_move_stays_as_it_was() -> None:
    space = default_space("cusum")
    given = [rule.detector.given for rule in drawn("cusum", DEFAULTS, 30)[1:11]]
    assert any("threshold" not in each for each in given)
    assert all(each.get("threshold", 0.0) == 0.0 or abs(each["threshold"] - 50.0) > 1e-3 for each in given)
    assert {name for each in given for name in each} == set(space)


def test_the_last_draws_lie_around_the_best_so_far() -> None:
    """Only around 5,000, far from the default of 50, there are fewer false alarms."""

    class Judging(Known):
        def scores(self, rule: MonitorRule, part: str) -> Any:
            self.asked.append(rule)
            far = abs(np.log(rule.detector.given.get("threshold", 50.0) / 5_000.0))
            return candidate((round(10 + 10 * far), [50, 60])).series

    judge: Any = Judging(DEFAULTS)
    search(judge, RULE, "cusum", {"threshold": FloatRange(min=1.0, max=1e6, log=True)}, 40, 0, lambda _: None)
    last = [rule.detector.given["threshold"] for rule in judge.asked[-9:]]
    assert len([each for each in last if 500.0 < each < 50_000.0]) >= 5


@pytest.mark.parametrize("name", DETECTORS)
def test_defaults_lie_in_the_space_that_is_searched(name: str) -> None:
    """Where they do not, as a missing window size, draws around them are draws around something else."""
    space = default_space(name)
    rule = rule_of(RULE, name, {})
    values = values_of(rule)
    positions = positions_of(space, values)
    assert None not in positions
    again = sample_at(space, [position or 0.0 for position in positions])
    assert again == {key: pytest.approx(values[key], rel=1e-6) if key not in ("direction", "deviation") else values[key]
                     for key in space}  # fmt: skip


def test_a_position_is_where_a_parameter_has_the_value() -> None:
    parameter = IntRange(min=20, max=400, log=True)
    assert [parameter.at(position_of(parameter, value) or 0.0) for value in (20, 137, 400, 5, 900)] == [
        20,
        137,
        400,
        20,
        400,
    ]
    assert position_of(parameter, None) is None
    assert position_of(parse_space({"side": {"type": "choice", "choices": ["up", "down"]}})["side"], "both") is None


def test_draws_move_at_least_one_parameter_and_stay_within_the_range() -> None:
    space = default_space("two_proportion")
    start = positions_of(space, values_of(rule_of(RULE, "two_proportion", {})))
    draws = [moved(space, start, np.random.default_rng(seed)) for seed in range(200)]
    assert draws == [moved(space, start, np.random.default_rng(seed)) for seed in range(200)]
    assert all(draw != start for draw in draws)
    assert all(0.0 <= position < 1.0 for draw in draws for position in draw)
    stayed = [sum(now == then for now, then in zip(draw, start, strict=True)) for draw in draws]
    assert 0 < np.mean(stayed) < len(space) - 1
