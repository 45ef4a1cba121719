"""Tells what happened, one line of text for each message worth telling. Pure."""

from __future__ import annotations

from agents.demo.history import RECOVERED_BATCHES, History
from agents.demo.mistake import is_of_mistake
from agents.demo.plan import DEGRADED, FIRST_VERSION
from schemas.alerts import Alert
from schemas.dead_letter import DeadLetter
from schemas.drift import DriftDetected
from schemas.message import Message
from schemas.models import CHAMPION, ModelAlias, ModelVersion
from schemas.retrain import RetrainRequest
from schemas.trials import StudyFinished, TrialResult


class Story:
    """The lines of one run. Call `line` after each message was added to the history."""

    def __init__(self, history: History, trials: int) -> None:
        self.history, self._trials = history, trials
        self._best = float("-inf")

    def line(self, message: Message) -> str | None:
        """What to say about a message that was just added, None for the many that are nothing new."""
        text = self._tell(message)
        return None if text is None else f"{message.model_name}: {text}"

    def _tell(self, message: Message) -> str | None:
        match message:
            case DriftDetected():
                return _drift(message)
            case RetrainRequest():
                return f"retraining requested ({message.reason})"
            case TrialResult():
                return self._trial_by_mistake() if is_of_mistake(message) else self._trial(message)
            case StudyFinished(state="failed"):
                return f"the study failed: {message.reason}"
            case ModelVersion() if message.request_id is not None:
                return f"version {message.version} registered{_score(message.metrics.get('score'))}"
            case ModelAlias() if message.version != FIRST_VERSION:
                return decision(message)
            case ModelVersion() | ModelAlias():
                return None
            case Alert():
                return f"alert {message.state} ({message.severity}): {message.message}"
            case DeadLetter():
                return f"dead letter from {message.topic} [{message.partition}] at {message.offset}: {message.reason}"
            case _:
                return self._batch(message)

    def _trial(self, trial: TrialResult) -> str:
        ended = len(self.history.trials)
        if trial.score is None:
            return f"trial {ended}/{self._trials} failed: {trial.error}"
        self._best = max(self._best, trial.score)
        return f"trial {ended}/{self._trials} scores {trial.score:.3f}, best {self._best:.3f}"

    def _trial_by_mistake(self) -> str | None:
        """One line for all of them, with the last."""
        trials = [trial for trial in self.history.of_mistake("trials") if isinstance(trial, TrialResult)]
        if len(trials) != self._trials:
            return None
        best = max((trial.score for trial in trials if trial.score is not None), default=float("-inf"))
        return f"{len(trials)} trials on those images, best {best:.3f}"

    def _batch(self, message: Message) -> str | None:
        """The turning points in the degraded fleet's batches."""
        if message.model_name != DEGRADED or message.type != "metrics":
            return None
        readings = self.history.readings[DEGRADED]
        if len(readings) == 1:
            return f"serves with version {message.model_version}"
        if len(readings) == self.history.degrade_at + 1:
            return f"its camera degrades (batch {self.history.degrade_at}), accuracy {readings[-1].accuracy:.3f}"
        if message.model_version == FIRST_VERSION:
            return None
        if self.history.recovered_batches == 1:
            return f"takes version {message.model_version}, accuracy {readings[-1].accuracy:.3f}"
        if self.history.recovered_batches == RECOVERED_BATCHES:
            return f"recovered: accuracy {self.history.accuracy()[DEGRADED]['recovered']:.3f}"
        return None


def _drift(drift: DriftDetected) -> str:
    window = drift.window
    return (
        f"{drift.severity} for the {drift.direction}: {drift.metric} {drift.value:.3f}, "
        f"window {window.mean:.3f} ± {window.std:.3f}, {drift.detector} {drift.statistic:+.1f}"
    )


def decision(alias: ModelAlias) -> str:
    """What became of a new version, and why."""
    said = "promoted to champion: " if alias.alias == CHAMPION else ""
    return f"version {alias.version} {said}{alias.reason}"


def _score(score: float | None) -> str:
    return "" if score is None else f", score {score:.3f}"


def summary(history: History, broker: str, elapsed: float) -> list[str]:
    """The end of the story: what came and went, and the accuracy of each fleet by period."""
    kinds = {"drift": "drift_detected", "requests": "retrain_request", "trials": "trial_result"}
    counts = ", ".join(f"{name} {history.count(kind)}" for name, kind in kinds.items())
    letters, versions = history.count("dead_letter"), len(history.made)
    promoted, refused = len(history.decided(True)), len(history.decided(False))
    aliases = [message for message in history.messages["models"] if isinstance(message, ModelAlias)]
    lines = [
        "",
        f"{elapsed:.0f} s, broker {broker}, records {history.records}, dead letters {letters}",
        f"{counts}, new versions {versions}: {promoted} promoted, {refused} refused",
        *(decision(alias) for alias in aliases if alias.version != FIRST_VERSION),
        "",
        f"{'accuracy':<16}{'before':>10}{'drifted':>10}{'recovered':>11}",
    ]
    for name, periods in history.accuracy().items():
        before, drifted, recovered = ("-" if value is None else f"{value:.3f}" for value in periods.values())
        lines.append(f"{name:<16}{before:>10}{drifted:>10}{recovered:>11}")
    return lines
