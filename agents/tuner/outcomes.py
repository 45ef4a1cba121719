"""How trials and studies ended, as messages: on `trials`, and the new version on `models`."""

from __future__ import annotations

import math
from typing import cast

from agents.tuner.samplers import takes_incumbent
from agents.tuner.state import TunerState
from agents.tuner.study import STAGE, Study, Told
from agents.tuner.versions import next_version, split_version
from schemas.ids import output_id
from schemas.internal import TrainingFinished
from schemas.models import ModelVersion
from schemas.trials import StudyFinished, TrialResult, TrialState
from streams.records import Output


def told_of(result: TrialResult) -> Told:
    """What a study notes of a runner's result: one without a finite score has failed."""
    if result.state is TrialState.FAILED or result.score is None or not math.isfinite(result.score):
        return Told(error=result.error or "ended without a score")
    return Told(score=result.score, pruned=result.state is TrialState.PRUNED)


def published(study: Study, number: int, seconds: float) -> Output:
    """A trial's result as everybody sees it."""
    told, cause = study.told[number], study.request
    ended = TrialState.PRUNED if told.pruned else TrialState.COMPLETE
    result = TrialResult(
        event_id=study.output_id("trial_result", number),
        model_name=cause.model_name,
        model_version=cause.model_version,
        timestamp=cause.timestamp,
        labels=cause.labels,
        trial_id=study.trial_id(number),
        study_id=study.id,
        number=number,
        params=study.asked[number],
        score=told.score,
        state=ended if told.error is None else TrialState.FAILED,
        duration_seconds=seconds,
        error=told.error,
    )
    return Output("trials", cause.model_name, result)


def late(state: TunerState, result: TrialResult) -> list[Output]:
    """What came after its trial was given up or its study had ended is recorded, once, and changes nothing."""
    if not state.settle(result.study_id, result.number):
        return []
    name, version, sequence = result.model_name, result.model_version, state.take_sequence()
    update = {"event_id": output_id(STAGE, name, version, "", "", "", "late_trial_result", sequence), "late": True}
    return [Output("trials", name, result.model_copy(update=update))]


def finished(study: Study, failure: str | None) -> Output:
    """The study's end as everybody sees it; it failed if there is a `failure`."""
    cause, best = study.request, study.best
    message = StudyFinished(
        event_id=study.output_id("study_finished", 0),
        model_name=cause.model_name,
        model_version=cause.model_version,
        timestamp=cause.timestamp,
        labels=cause.labels,
        study_id=study.id,
        request_id=cause.event_id,
        state="complete" if failure is None else "failed",
        best_trial_id=None if best is None else study.trial_id(best),
        reason=failure or _success(study),
    )
    return Output("trials", cause.model_name, message)


def why_nothing_won(study: Study) -> str:
    """The reason of a study that ended without a best trial."""
    if not study.told:
        return study.stopped or study.exhausted or "it has no trials"
    last = next(reversed(study.told.values())).error or "it ended early"
    also = f"; {study.stopped or study.exhausted}" if study.stopped or study.exhausted else ""
    return f"none of {study.counted} trials completed; the last one: {last}{also}"


def _success(study: Study) -> str:
    lost, pruned = len(study.again), sum(told.pruned for told in study.told.values())
    failed = sum(told.score is None for told in study.told.values()) - lost
    best = cast(int, study.best)
    counts = {"failed": failed, "ended early": pruned, "lost and asked again": lost}
    also = "".join(f", {count} {what}" for what, count in counts.items() if count)
    text = f"trial {best} is the best of {study.counted}{also}: score {study.told[best].score:.6g}"
    early = study.stopped or study.exhausted
    return "; ".join(filter(None, [text, early, _begun_from(study)]))


def _begun_from(study: Study) -> str | None:
    """What is to be said of where the sampler began."""
    if study.incumbent or not takes_incumbent(study.plan.sampler):
        return None
    return "no version in service is known, so it began from the search space's defaults"


def version_of(state: TunerState, study: Study, training: TrainingFinished) -> ModelVersion:
    """The version that the winner's training made."""
    request, best = study.request, cast(int, study.best)
    parent = request.model_version or state.latest
    version = next_version(parent, state.numbers.get(split_version(parent)[0], 0))
    return ModelVersion(
        event_id=study.output_id("model_version", 0),
        model_name=request.model_name,
        model_version=version,
        timestamp=request.timestamp,
        labels=request.labels,
        version=version,
        sha256=training.sha256 or "",
        artifact=training.artifact,
        hyperparameters=study.asked[best],
        metrics={"score": cast(float, study.told[best].score), **training.metrics},
        parent_version=parent if parent and not {"/", "@"} & set(parent) else None,
        request_id=request.event_id,
        study_id=study.id,
        promotion=training.promotion,
    )
