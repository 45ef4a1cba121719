"""Who becomes the champion: a challenger that is better, by enough, beyond chance, on the same examples."""

from __future__ import annotations

import doctest
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.registry import known, paired_tests, promotion
from agents.registry.artifacts import ArtifactStore
from agents.registry.known import KNOWN_VERSIONS, KnownVersion, KnownVersions
from agents.registry.promotion import alias_of, decide, judge
from agents.settings.promotion import PromotionSettings
from schemas.models import ModelVersion
from schemas.retrain import RetrainRequest
from tests.registry.making import alias, request_for, version

REQUEST = request_for("digits")


def outcomes(right: int, of: int) -> list[int]:
    return [1] * right + [0] * (of - right)


@pytest.mark.parametrize("module", [promotion, paired_tests, known])
def test_the_examples_in_the_documentation_are_true(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


def test_a_challenger_that_is_clearly_better_is_promoted_with_the_figures() -> None:
    made = decide(outcomes(60, 100), outcomes(90, 100))
    assert (made.promoted, made.test, made.samples) == (True, "mcnemar", 100)
    assert (made.champion_score, made.challenger_score) == (0.6, 0.9)
    assert made.difference == pytest.approx(0.3)
    assert made.p_value is not None
    assert made.p_value < 1e-6


def test_a_worse_challenger_is_refused_with_the_reason() -> None:
    made = decide(outcomes(90, 100), outcomes(60, 100))
    assert not made.promoted
    assert made.reason == "not promoted: no better than the champion (0.6 against 0.9 on 100 examples, p = 1)"


def test_the_same_model_again_is_refused() -> None:
    assert not decide(outcomes(60, 100), outcomes(60, 100)).promoted
    assert not decide([0.3, 0.2] * 50, [0.3, 0.2] * 50).promoted


def test_a_lead_that_chance_explains_is_refused() -> None:
    made = decide(outcomes(60, 100), outcomes(63, 100))
    assert not made.promoted
    assert made.reason.startswith(
        "not promoted: better by 0.03 (0.63 against 0.6 on 100 examples, p = 0.13), more than 0"
    )


def test_a_lead_within_the_margin_is_refused_however_sure_it_is() -> None:
    old, new = outcomes(6_000, 10_000), outcomes(6_400, 10_000)
    assert decide(old, new).promoted
    assert decide(old, new, PromotionSettings(margin=0.03)).promoted
    refused = decide(old, new, PromotionSettings(margin=0.05))
    assert (refused.promoted, refused.test) == (False, "tango")


def test_scores_that_are_not_outcomes_are_compared_by_the_t_test() -> None:
    rng = np.random.default_rng(3)
    hardness = rng.normal(0, 1, 200)  # shared by both: only pairing sees through it
    old, new = hardness + rng.normal(0, 0.1, 200), hardness + 0.1 + rng.normal(0, 0.1, 200)
    made = decide(old.tolist(), new.tolist(), PromotionSettings(margin=0.05))
    assert (made.promoted, made.test) == (True, "paired_t")
    assert not decide(old.tolist(), new.tolist(), PromotionSettings(margin=0.15)).promoted


def test_losses_are_better_when_lower() -> None:
    rule = PromotionSettings(direction="minimize")
    assert decide([0.9, 0.8] * 30, [0.5, 0.6] * 30, rule).promoted
    assert not decide([0.5, 0.6] * 30, [0.9, 0.8] * 30, rule).promoted
    assert decide(outcomes(50, 100), outcomes(20, 100), rule).promoted


def test_few_examples_decide_nothing() -> None:
    made = decide([0] * 29, [1] * 29)
    assert not made.promoted
    assert made.reason == "not promoted: 29 examples to compare on, at least 30 are needed"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ([1, 0], [1], "the champion has 2 scores, the challenger 1"),
        ([float("nan")], [1], "the champion's scores: expected a flat sequence of finite numbers"),
        ([1], [[1]], "the challenger's scores: expected a flat sequence"),
        ([1], ["a"], "the challenger's scores: expected a sequence of numbers"),
    ],
)
def test_scores_that_cannot_be_paired_are_an_error(old: list[float], new: list[float], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        decide(old, new)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=30, max_size=200), st.sampled_from([0.0, 0.1]))
def test_never_are_both_promoted_over_each_other(pairs: list[tuple[bool, bool]], margin: float) -> None:
    rule = PromotionSettings(margin=margin, alpha=0.4)
    old, new = [float(a) for a, _ in pairs], [float(b) for _, b in pairs]
    assert not (decide(old, new, rule).promoted and decide(new, old, rule).promoted)


class Judged:
    """A champion on disk and an `evaluate` that reads how often a model is right from its artifact."""

    def __init__(self, folder: Path, right: int) -> None:
        stored = ArtifactStore(folder).save("digits", json.dumps(right).encode())
        self.champion = KnownVersion(version="1", artifact=stored.url, sha256=stored.sha256)

    @staticmethod
    def evaluate(artifact: bytes, request: RetrainRequest) -> list[float]:
        assert request is REQUEST
        return [float(each) for each in outcomes(json.loads(artifact), 100)]


def test_the_first_version_is_the_champion_unless_people_promote(tmp_path: Path) -> None:
    assert judge(None, None, b"", REQUEST, PromotionSettings()).reason == "promoted: there was no champion"
    made = judge(None, None, b"", REQUEST, PromotionSettings(mode="manual"))
    assert (made.promoted, made.reason) == (False, "not promoted: promotion is manual")


def test_both_artifacts_are_evaluated_on_the_data_of_the_request(tmp_path: Path) -> None:
    judged = Judged(tmp_path, right=60)
    better = judge(judged.evaluate, judged.champion, b"90", REQUEST, PromotionSettings())
    assert (better.promoted, better.champion, better.champion_score) == (True, "1", 0.6)
    worse = judge(judged.evaluate, judged.champion, b"50", REQUEST, PromotionSettings())
    assert (worse.promoted, worse.champion) == (False, "1")


def test_modes_that_do_not_compare_say_so(tmp_path: Path) -> None:
    judged = Judged(tmp_path, right=60)
    always = judge(judged.evaluate, judged.champion, b"50", REQUEST, PromotionSettings(mode="always"))
    assert (always.promoted, always.reason) == (True, "promoted without being compared")
    manual = judge(judged.evaluate, judged.champion, b"90", REQUEST, PromotionSettings(mode="manual"))
    assert (manual.promoted, manual.test) == (False, "none")
    assert not judge(None, judged.champion, b"90", REQUEST, PromotionSettings()).promoted


def test_what_cannot_be_compared_is_not_promoted(tmp_path: Path) -> None:
    judged = Judged(tmp_path, right=60)
    broken = judge(judged.evaluate, judged.champion, b"{", REQUEST, PromotionSettings())
    assert broken.reason.startswith("not promoted: the challenger cannot be evaluated: JSONDecodeError")
    other = judged.champion.model_copy(update={"sha256": "0" * 64})
    tampered = judge(judged.evaluate, other, b"90", REQUEST, PromotionSettings())
    assert not tampered.promoted
    assert "it is not used" in tampered.reason

    def fails_on_the_champion(artifact: bytes, request: RetrainRequest) -> list[float]:
        raise KeyError(artifact)

    failed = judge(fails_on_the_champion, judged.champion, b"90", REQUEST, PromotionSettings())
    assert failed.reason.startswith("not promoted: the champion cannot be evaluated: KeyError")


def test_a_version_gets_the_alias_that_it_earned() -> None:
    better = version("2", promotion=decide(outcomes(60, 100), outcomes(90, 100)))
    worse = version("3", promotion=decide(outcomes(60, 100), outcomes(30, 100)))
    assert (made := alias_of(better, ["1"])).alias == "champion"
    assert (made.version, made.previous, made.reason) == ("2", ["1"], better.promotion and better.promotion.reason)
    assert alias_of(worse, []).alias == "challenger"
    assert alias_of(version("4"), []).alias == "challenger"
    assert alias_of(better, ["1"]) == made


def test_a_stage_knows_the_champion_and_what_it_was_trained_with() -> None:
    state = KnownVersions()
    assert state.champion is None
    first, second = version("1", hyperparameters={"lr": 0.1}), version("2", hyperparameters={"lr": 0.2})
    for message in (first, alias("champion", "1"), second, alias("challenger", "2"), first, second):
        state.take(message)
    assert state.champion is not None
    assert (state.champion.version, state.champion.hyperparameters) == ("1", {"lr": 0.1})
    state.take(alias("champion", "2", previous=["1"]))
    assert state.champion.version == "2"
    assert state.previous("champion") == ["2", "1"]
    assert KnownVersions.model_validate_json(state.model_dump_json()) == state


def test_what_a_stage_knows_is_bounded_and_keeps_the_champion() -> None:
    state = KnownVersions()
    for number in range(100):
        state.take(version(str(number)))
        if number == 3:
            state.take(alias("champion", "3"))
    assert len(state.versions) == KNOWN_VERSIONS
    assert state.champion is not None
    assert "99" in state.versions


def test_a_champion_that_is_not_remembered_is_still_there_to_beat() -> None:
    state = KnownVersions()
    state.take(alias("champion", "1"))
    assert state.champion == KnownVersion(version="1")
    made = judge(lambda artifact, request: [1.0] * 100, state.champion, b"90", REQUEST, PromotionSettings())
    assert (made.promoted, made.champion) == (False, "1")
    assert made.reason == "not promoted: the artifact of champion 1 is not remembered: register it again"
    state.take(version("1"))
    assert state.champion is not None
    assert state.champion.artifact


def test_a_retired_model_has_no_champion() -> None:
    state = KnownVersions()
    for message in (version("1"), alias("champion", "1"), alias("retired", "1")):
        state.take(message)
    assert state.champion is None


def test_settings_out_of_range_are_refused() -> None:
    for wrong in ({"margin": -1.0}, {"alpha": 0.0}, {"alpha": 1.0}, {"min_samples": 1}, {"mode": "auto"}):
        with pytest.raises(ValueError):
            PromotionSettings.model_validate(wrong)
    assert isinstance(version("1"), ModelVersion)
