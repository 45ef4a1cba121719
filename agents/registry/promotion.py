"""Guarded promotion: whether a new version (the challenger) may replace the one in service (the champion).

Both are scored on the same examples, so the examples' own difficulty cancels out and a few hundred of them tell. A
challenger that is not promoted is registered all the same, with the reason; a person may promote it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from agents.registry.artifacts import ArtifactError, load_artifact
from agents.registry.known import KnownVersion
from agents.registry.paired_tests import mcnemar, paired_t, tango
from agents.settings.promotion import PromotionSettings
from schemas.ids import alias_id
from schemas.models import CHALLENGER, CHAMPION, MAX_PREVIOUS, ModelAlias, ModelVersion, Promotion
from schemas.retrain import RetrainRequest

Evaluate = Callable[[bytes, RetrainRequest], Sequence[float]]
"""`evaluate(artifact, request)`: one finite score an example of the request's recent data, the same examples in the
same order whichever artifact is given. 0 and 1 for wrong and right, or any other score or loss."""

BY_DEFAULT = PromotionSettings()

Floats = npt.NDArray[np.float64]


def decide(champion: Sequence[float], challenger: Sequence[float], rule: PromotionSettings = BY_DEFAULT) -> Promotion:
    """Compare the scores of both on the same examples, example by example.

    Outcomes (all scores 0 or 1) are tested by McNemar's exact test, with a margin by Tango's score test; other scores
    by the paired t test. Raises `ValueError` where the scores cannot be paired or are no finite numbers.

    >>> decide([0, 1, 0, 0] * 20, [1, 1, 1, 0] * 20).reason
    'better by 0.5 (0.75 against 0.25 on 80 examples, p = 9.1e-13)'
    """
    old, new = _scores(champion, "champion"), _scores(challenger, "challenger")
    if len(old) != len(new):
        raise ValueError(f"the champion has {len(old)} scores, the challenger {len(new)}: they must be of one data set")
    if len(old) < rule.min_samples:
        return Promotion(
            promoted=False,
            reason=f"not promoted: {len(old)} examples to compare on, at least {rule.min_samples} are needed",
            samples=len(old),
            margin=rule.margin,
        )
    differences = new - old if rule.direction == "maximize" else old - new
    test, p_value = _tested(old, new, differences, rule.margin)
    return _promotion(rule, test, p_value, float(differences.mean()), float(old.mean()), float(new.mean()), len(old))


def judge(
    evaluate: Evaluate | None,
    champion: KnownVersion | None,
    challenger: bytes,
    request: RetrainRequest,
    rule: PromotionSettings,
) -> Promotion:
    """Whether `challenger`, an artifact, is to replace `champion`; None while there is no champion.

    Reads the champion's artifact and has both evaluated. Raises nothing: what cannot be compared is not promoted.
    """
    if champion is None:
        return _uncompared(
            rule.mode != "manual", "promoted: there was no champion", "not promoted: promotion is manual"
        )
    named = {"champion": champion.version}
    if rule.mode != "guarded":
        return _uncompared(
            rule.mode == "always", "promoted without being compared", "not promoted: promotion is manual", **named
        )
    if evaluate is None:
        return _uncompared(False, "", "not promoted: the objective has no evaluate, so nothing was compared", **named)
    if not champion.artifact:
        unknown = f"the artifact of champion {champion.version} is not remembered: register it again"
        return _uncompared(False, "", f"not promoted: {unknown}", **named)
    try:
        old = evaluate(load_artifact(champion.artifact, champion.sha256), request)
    except ArtifactError as problem:
        return _uncompared(False, "", f"not promoted: {problem}", **named)
    except Exception as problem:  # noqa: BLE001 (the user's code may raise anything)
        return _uncompared(False, "", f"not promoted: the champion cannot be evaluated: {_line(problem)}", **named)
    try:
        return decide(old, evaluate(challenger, request), rule).model_copy(update=named)
    except Exception as problem:  # noqa: BLE001 (the same)
        return _uncompared(False, "", f"not promoted: the challenger cannot be evaluated: {_line(problem)}", **named)


def alias_of(version: ModelVersion, previous: Sequence[str]) -> ModelAlias:
    """The alias of a new version: `champion` if it was promoted, else `challenger`.

    `previous` are the versions that the alias points at and pointed at before, the latest first.
    """
    promotion = version.promotion or Promotion(promoted=False, reason="not promoted: nothing was compared")
    alias = CHAMPION if promotion.promoted else CHALLENGER
    return ModelAlias(
        event_id=alias_id(version.event_id, alias),
        model_name=version.model_name,
        model_version=version.version,
        timestamp=version.timestamp,
        labels=version.labels,
        alias=alias,
        version=version.version,
        previous=[each for each in previous if each != version.version][:MAX_PREVIOUS],
        reason=promotion.reason,
    )


def _scores(scores: Sequence[float], whose: str) -> Floats:
    try:
        array: Floats = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError) as problem:
        raise ValueError(f"the {whose}'s scores: expected a sequence of numbers: {problem}") from None
    if array.ndim != 1 or not np.isfinite(array).all():
        raise ValueError(f"the {whose}'s scores: expected a flat sequence of finite numbers, one an example")
    return array


def _tested(old: Floats, new: Floats, differences: Floats, margin: float) -> tuple[str, float]:
    if np.isin(old, (0, 1)).all() and np.isin(new, (0, 1)).all():
        wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
        if margin == 0:
            return "mcnemar", mcnemar(wins, losses)
        return "tango", tango(wins, losses, len(differences), margin)
    return "paired_t", paired_t(float(differences.mean()), float(differences.std(ddof=1)), len(differences), margin)


def _promotion(
    rule: PromotionSettings, test: str, p_value: float, difference: float, old: float, new: float, samples: int
) -> Promotion:
    promoted = difference > rule.margin and p_value <= rule.alpha
    told = f"{new:.4g} against {old:.4g} on {samples} examples, p = {p_value:.2g}"
    wanted = f"more than {rule.margin:.4g} was wanted at p <= {rule.alpha:g}"
    if promoted:
        reason = f"better by {difference:.4g} ({told})"
    elif difference <= 0:
        reason = f"not promoted: no better than the champion ({told})"
    else:
        reason = f"not promoted: better by {difference:.4g} ({told}), {wanted}"
    return Promotion.model_validate(
        {
            "promoted": promoted,
            "reason": reason,
            "test": test,
            "samples": samples,
            "champion_score": old,
            "challenger_score": new,
            "difference": difference,
            "margin": rule.margin,
            "p_value": min(1.0, max(0.0, p_value)),
        }
    )


def _uncompared(promoted: bool, yes: str, no: str, **fields: Any) -> Promotion:
    return Promotion(promoted=promoted, reason=(yes if promoted else no)[:1_000], **fields)


def _line(problem: BaseException) -> str:
    return " ".join(f"{type(problem).__name__}: {problem}".split())[:500]
