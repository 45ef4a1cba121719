"""Hypothesis strategies of every message, written from the contract rather than from the models."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from schemas.alerts import Alert
from schemas.audit import ActionTaken
from schemas.dead_letter import DeadLetter
from schemas.drift import Cause, DriftDetected, ExternalDrift, ThresholdBreached, WindowSummary
from schemas.experiments import EpochEnd, RunStart, TrainingEnd
from schemas.handling import Acknowledgement, Mute
from schemas.internal import Cut, OperatorAction, Run, TrainingFinished, TrialsAsked
from schemas.message import Message
from schemas.metrics import (
    DataQualityIssue,
    Heartbeat,
    InferenceFailure,
    Label,
    Metrics,
    Outcomes,
    Prediction,
    SchemaDrift,
    ValidationScore,
)
from schemas.models import ModelAlias, ModelVersion, Promotion
from schemas.retrain import RetrainRequest
from schemas.status import ModelState, ModelStatus, RuleStatus
from schemas.trial_requests import PruneTrial, TrialRequest
from schemas.trials import StudyFinished, TrialResult, TrialState

Strategy = st.SearchStrategy[Any]

CHARACTERS = st.characters(exclude_categories=["Cc", "Cs"])
NOT_SEPARATORS = st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/@")

INSTANTS: Strategy = st.datetimes(
    datetime(2000, 1, 1),  # noqa: DTZ001 (Hypothesis adds the zone)
    datetime(2099, 12, 31, 23, 59, 59, 999_999),  # noqa: DTZ001
    timezones=st.just(UTC),
)
RATIOS: Strategy = st.floats(0, 1)
FINITE: Strategy = st.floats(allow_nan=False, allow_infinity=False)
POSITIVE: Strategy = st.floats(0, allow_infinity=False)
COUNTS: Strategy = st.integers(0, 2**63 - 1)
TEXTS: Strategy = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
SCALARS: Strategy = st.booleans() | st.integers(-(2**63), 2**63 - 1) | FINITE | TEXTS
SHA256: Strategy = st.text("0123456789abcdef", min_size=64, max_size=64)


def names(longest: int = 256) -> Strategy:
    """Names of a field that takes up to `longest` characters; rarely that many."""
    return st.text(CHARACTERS, min_size=1, max_size=20) | st.just("n" * longest)


def optional(strategy: Strategy) -> Strategy:
    return st.none() | strategy


KEY_PARTS: Strategy = st.text(NOT_SEPARATORS, min_size=1, max_size=20)
NUMBERS: Strategy = st.dictionaries(names(128), FINITE, max_size=4)
PARAMS: Strategy = st.dictionaries(names(), optional(SCALARS), max_size=4)
LABELS: Strategy = st.dictionaries(names(64), st.text(CHARACTERS, max_size=20), max_size=4)

COMMON: dict[str, Strategy] = {
    "event_id": names(),
    "model_name": names(249),
    "model_version": st.text(CHARACTERS, max_size=20),
    "timestamp": INSTANTS,
    "labels": LABELS,
}
WINDOWS: Strategy = st.builds(
    WindowSummary,
    size=COUNTS,
    count=COUNTS,
    mean=FINITE,
    std=POSITIVE,
    min=optional(FINITE),
    max=optional(FINITE),
    begin=optional(INSTANTS),
    end=optional(INSTANTS),
)
CAUSES: Strategy = st.builds(Cause, event_id=names(), topic=names(1000), partition=COUNTS, offset=COUNTS)
STATES: Strategy = st.sampled_from(ModelState)
RULES: Strategy = st.builds(
    RuleStatus, rule=names(), metric=names(), segment=st.just("") | names(), state=STATES, window=optional(WINDOWS)
)


@st.composite
def outcome_columns(draw: st.DrawFn) -> dict[str, Any]:
    """Columns of equal length, of one type or mixed."""
    length = draw(st.integers(1, 6))
    item = draw(st.sampled_from([st.booleans(), st.integers(-9, 9), FINITE, TEXTS, SCALARS]))

    def column(items: Strategy) -> list[Any]:
        drawn: list[Any] = draw(st.lists(items, min_size=length, max_size=length))
        return drawn

    columns = {"y_true": column(item), "y_pred": column(item)}
    if draw(st.booleans()):
        columns["scores"] = column(FINITE)
    if draw(st.booleans()):
        columns["timestamps"] = column(INSTANTS)
    return columns


def _of(message: type[Message], /, **fields: Strategy) -> Strategy:
    return st.builds(message, **{**COMMON, **fields})


def _outcomes() -> Strategy:
    common = st.fixed_dictionaries(COMMON)
    return st.builds(lambda fields, columns: Outcomes(**fields, **columns), common, outcome_columns())


PROMOTIONS: Strategy = st.builds(
    Promotion,
    promoted=st.booleans(),
    reason=TEXTS,
    champion=optional(KEY_PARTS),
    test=st.sampled_from(["none", "mcnemar", "tango", "paired_t"]),
    samples=COUNTS,
    champion_score=optional(FINITE),
    challenger_score=optional(FINITE),
    difference=optional(FINITE),
    margin=POSITIVE,
    p_value=optional(RATIOS),
)
_METRIC = {"metric": names(), "segment": st.just("") | names(), "rule": names()}
_RUN = {"run_id": names()}
_TRIAL = {"study_id": names(), "trial_id": names(), "number": COUNTS, "params": PARAMS}

MESSAGES: dict[type[Message], Strategy] = {
    Metrics: _of(
        Metrics,
        accuracy=RATIOS,
        precision=optional(RATIOS),
        recall=optional(RATIOS),
        f1_score=optional(RATIOS),
        extras=NUMBERS,
    ),
    ValidationScore: _of(ValidationScore, score=FINITE),
    Outcomes: _outcomes(),
    Prediction: _of(Prediction, prediction_id=names(), y_pred=SCALARS, score=optional(FINITE)),
    Label: _of(Label, prediction_id=names(), y_true=SCALARS),
    ExternalDrift: _of(ExternalDrift, p_value=RATIOS, cause=optional(CAUSES)),
    InferenceFailure: _of(InferenceFailure, error=TEXTS),
    Heartbeat: _of(Heartbeat, event_id=optional(names())),
    SchemaDrift: _of(SchemaDrift, detail=TEXTS),
    DataQualityIssue: _of(DataQualityIssue, detail=TEXTS),
    RunStart: _of(RunStart, **_RUN, params=PARAMS, tags=LABELS),
    EpochEnd: _of(EpochEnd, **_RUN, epoch=COUNTS, metrics=NUMBERS),
    TrainingEnd: _of(TrainingEnd, **_RUN, final_metrics=NUMBERS, duration_seconds=POSITIVE),
    DriftDetected: _of(
        DriftDetected,
        **_METRIC,
        detector=names(),
        statistic=FINITE,
        threshold=FINITE,
        p_value=optional(RATIOS),
        direction=st.sampled_from(["worse", "better"]),
        severity=st.sampled_from(["warning", "drift"]),
        value=FINITE,
        window=WINDOWS,
        cause=CAUSES,
    ),
    ThresholdBreached: _of(
        ThresholdBreached, **_METRIC, value=FINITE, threshold=FINITE, window=optional(WINDOWS), cause=CAUSES
    ),
    RetrainRequest: _of(
        RetrainRequest,
        rule=names(),
        reason=TEXTS,
        metric=names(),
        value=optional(FINITE),
        threshold=optional(FINITE),
        window=optional(WINDOWS),
        cause_ids=st.lists(names(), max_size=3),
        actor=st.just("") | names(),
    ),
    TrialRequest: _of(
        TrialRequest,
        **_TRIAL,
        objective=names(),
        deadline=optional(INSTANTS),
        options=PARAMS,
        seed=COUNTS,
        incumbent=PARAMS,
        timeout_seconds=POSITIVE,
        memory_mb=optional(COUNTS),
        direction=st.sampled_from(["maximize", "minimize"]),
        bounds=NUMBERS,
        pruner=st.just("") | names(),
    ),
    PruneTrial: _of(PruneTrial, study_id=names(), trial_id=names(), number=COUNTS, step=COUNTS),
    TrialResult: _of(
        TrialResult,
        **_TRIAL,
        score=optional(FINITE),
        state=st.sampled_from(TrialState),
        duration_seconds=POSITIVE,
        error=optional(TEXTS),
        late=st.booleans(),
    ),
    StudyFinished: _of(
        StudyFinished,
        study_id=names(),
        request_id=names(),
        state=st.sampled_from(["complete", "failed"]),
        best_trial_id=optional(names()),
        reason=TEXTS,
    ),
    ModelVersion: _of(
        ModelVersion,
        version=KEY_PARTS,
        sha256=SHA256,
        artifact=TEXTS,
        hyperparameters=PARAMS,
        metrics=NUMBERS,
        parent_version=optional(KEY_PARTS),
        request_id=optional(names()),
        study_id=optional(names()),
        promotion=optional(PROMOTIONS),
        actor=st.just("") | names(),
    ),
    ModelAlias: _of(
        ModelAlias,
        alias=KEY_PARTS,
        version=KEY_PARTS,
        previous=st.lists(KEY_PARTS, max_size=3),
        actor=st.just("") | names(),
        reason=TEXTS,
    ),
    ModelStatus: _of(
        ModelStatus,
        state=STATES,
        counts=st.dictionaries(names(), COUNTS, max_size=3),
        rules=st.lists(RULES, max_size=2),
    ),
    Alert: _of(
        Alert,
        kind=names(),
        severity=st.sampled_from(["info", "warning", "error"]),
        state=st.sampled_from(["firing", "resolved"]),
        message=TEXTS,
    ),
    DeadLetter: _of(
        DeadLetter,
        model_name=st.just("") | names(249),
        reason=TEXTS,
        stage=names(),
        topic=names(1000),
        partition=COUNTS,
        offset=COUNTS,
        key=optional(st.just("a2V5")),
        value=optional(st.just("dmFsdWU=")),
        headers=st.dictionaries(TEXTS, TEXTS, max_size=3),
        value_sha256=optional(SHA256),
        value_size=COUNTS,
    ),
    ActionTaken: _of(
        ActionTaken,
        model_name=st.just("") | names(249),
        action=st.sampled_from(["retrain", "pause", "promote", "register", "retry_dead_letter", "mute", "acknowledge"]),
        subject=st.just("") | names(),
        actor=names(),
        access=st.sampled_from(["token", "proxy", "cli"]),
        note=TEXTS,
    ),
    Mute: _of(
        Mute,
        kind=names(),
        rule=names(),
        until=INSTANTS,
        owner=names(),
        actor=names(),
        reason=TEXTS.filter(bool),
    ),
    Acknowledgement: _of(
        Acknowledgement,
        kind=names(),
        alert_id=st.just("") | names(),
        until=INSTANTS,
        actor=names(),
        note=TEXTS,
    ),
    Cut: _of(
        Cut,
        model_name=st.just(""),
        stage=names(),
        partition=COUNTS,
        runs=st.lists(st.builds(Run, topic=st.just("") | names(), begin=COUNTS, end=COUNTS, ticks=COUNTS), max_size=3),
    ),
    OperatorAction: _of(
        OperatorAction,
        action=st.sampled_from(["pause", "resume", "mute", "retire", "reset"]),
        actor=names(),
        note=TEXTS,
    ),
    TrainingFinished: _of(
        TrainingFinished,
        study_id=names(),
        request_id=names(),
        version=st.just("") | names(),
        artifact=TEXTS,
        sha256=optional(SHA256),
        hyperparameters=PARAMS,
        metrics=NUMBERS,
        duration_seconds=POSITIVE,
        promotion=optional(PROMOTIONS),
        error=optional(TEXTS),
    ),
    TrialsAsked: _of(
        TrialsAsked,
        study_id=names(),
        first=COUNTS,
        params=st.lists(PARAMS, max_size=3),
        exhausted=optional(TEXTS),
        error=optional(TEXTS),
    ),
}

JSON_VALUES: Strategy = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
