"""Where a model version comes from and what it led to, from the messages that the system published.

    version ◀ study ◀ request ◀ findings ◀ records of the fleet (topic, partition, offset)
       └▶ aliases, findings about it ▶ requests ▶ versions

Topics other than `models` keep their messages for a time; what has gone from them is missing here, and said to be.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import uuid5

from agents.registry.view import NotFound, RegistryView
from schemas.drift import Cause, DriftDetected, ExternalDrift, ThresholdBreached
from schemas.ids import NAMESPACE
from schemas.message import Message
from schemas.models import ModelVersion
from schemas.retrain import RetrainRequest
from schemas.trials import StudyFinished, TrialResult

Finding = DriftDetected | ThresholdBreached | ExternalDrift

Document = dict[str, Any]

TOPICS = ("drift", "retrain", "trials")
"""What is read beside `models`, without prefix."""


class Lineage:
    """Answers from all messages on `models` (as a view), `drift`, `retrain` and `trials`, in any order."""

    def __init__(self, view: RegistryView, messages: Iterable[Message]) -> None:
        self._view = view
        self._findings: dict[str, Finding] = {}
        self._requests: dict[str, RetrainRequest] = {}
        self._studies: dict[str, StudyFinished] = {}
        self._trials: dict[str, list[TrialResult]] = {}
        for message in messages:
            self._take(message)

    def _take(self, message: Message) -> None:
        if isinstance(message, DriftDetected | ThresholdBreached | ExternalDrift):
            self._findings[message.event_id or ""] = message
        elif isinstance(message, RetrainRequest):
            self._requests[message.event_id] = message
        elif isinstance(message, StudyFinished):
            self._studies[message.request_id] = message
        elif isinstance(message, TrialResult):
            self._trials.setdefault(message.study_id, []).append(message)

    def of(self, name: str, version: str) -> Document:
        """The lineage of a version, as JSON-ready values. Raises `ModelNotFound`, `VersionNotFound`."""
        made = self._view.version(name, version)
        return {
            "model_name": name,
            "version": version,
            "registered": made.to_dict(),
            "aliases": [alias.to_dict() for alias in self._view.aliases(name).values() if alias.version == version],
            "parent": made.parent_version,
            "ancestors": self._ancestors(made),
            "origin": None if made.request_id is None else self._request(made.request_id, made.study_id),
            "later": self._later(name, version),
        }

    def _ancestors(self, version: ModelVersion) -> list[str]:
        """The versions it comes from, the nearest first, as far as they are registered."""
        found: list[str] = []
        parent = version.parent_version
        while parent is not None and parent not in (version.version, *found):
            found.append(parent)
            try:
                parent = self._view.version(version.model_name, parent).parent_version
            except NotFound:
                break
        return found

    def _request(self, request_id: str, study_id: str | None = None) -> Document:
        """A request with what caused it and the study it led to; `request` is None where it has gone from its topic."""
        request = self._requests.get(request_id)
        return {
            "request_id": request_id,
            "request": None if request is None else request.to_dict(),
            "causes": [] if request is None else self._causes(request),
            "study": self._study(request_id, study_id),
        }

    def _causes(self, request: RetrainRequest) -> list[Document]:
        """The findings that led to a request, each with the fleet's record; ids alone of what has gone."""
        found = [self._finding(self._findings[each]) for each in request.cause_ids if each in self._findings]
        told = {each["event_id"] for each in found} | {each["input"]["event_id"] for each in found if each["input"]}
        gone = [each for each in request.cause_ids if each not in told]
        return found + [{"event_id": each, "finding": None, "input": None} for each in gone]

    @staticmethod
    def _finding(finding: Finding) -> Document:
        cause: Cause | None = finding.cause
        return {
            "event_id": finding.event_id,
            "finding": finding.to_dict(),
            "input": None if cause is None else cause.model_dump(mode="json"),
        }

    def _study(self, request_id: str, study_id: str | None) -> Document | None:
        """The study of a request. Its id follows from the request's, so that trials are found while it runs too."""
        finished = self._studies.get(request_id)
        identity = finished.study_id if finished else study_id or str(uuid5(NAMESPACE, f"study {request_id}"))
        trials = sorted(self._trials.get(identity, ()), key=lambda trial: trial.number)
        if finished is None and not trials:
            return None
        return {
            "study_id": identity,
            "finished": None if finished is None else finished.to_dict(),
            "trials": [trial.to_dict() for trial in trials],
        }

    def _later(self, name: str, version: str) -> Document:
        """What came of a version: findings about it, requests for it, and the versions made from it."""
        about = (name, version)
        findings = [each for each in self._findings.values() if (each.model_name, each.model_version) == about]
        asked = [each for each in self._requests.values() if (each.model_name, each.model_version) == about]
        made = {each.request_id: each for each in self._view.versions(name) if each.request_id is not None}
        requests = [
            {
                "request_id": each.event_id,
                "timestamp": each.to_dict()["timestamp"],
                "reason": each.reason,
                "version": made[each.event_id].version if each.event_id in made else None,
            }
            for each in asked
        ]
        children = [each.version for each in self._view.versions(name) if each.parent_version == version]
        return {"findings": [self._finding(each) for each in findings], "requests": requests, "versions": children}
