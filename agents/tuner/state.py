"""The tuner's whole state for one model: its studies, and what is known of its versions."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from agents.registry.known import KnownVersions
from agents.tuner.study import Study
from agents.tuner.versions import split_version
from schemas.fields import Params as ParamsField

KNOWN_LINES = 64  # lines of versions whose highest number is remembered for a model
KNOWN_REQUESTS = 64  # ended requests that are remembered, so that one delivered again starts nothing
KNOWN_STUDIES = 16  # ended studies whose missing results are recorded as late


class TunerState(BaseModel):
    """All that the tuner knows about one model.

    `latest` is the newest version seen on `models`, with its `hyperparameters`; `numbers` the highest number taken in
    each line of versions; `studies` the running one and then those that wait; `ended` the requests dealt with; `owed`
    the trials, by study, whose results were not waited for; `sequence` the next of the key's sequence numbers; `firing`
    the alerts not resolved; `known` the versions that may be or become the champion.
    """

    latest: str = ""
    hyperparameters: ParamsField = Field(default_factory=dict)
    numbers: dict[str, int] = Field(default_factory=dict)
    studies: list[Study] = Field(default_factory=list)
    ended: list[str] = Field(default_factory=list)
    owed: dict[str, list[int]] = Field(default_factory=dict)
    sequence: int = 0
    firing: list[str] = Field(default_factory=list)
    known: KnownVersions = Field(default_factory=KnownVersions)

    @property
    def running(self) -> Study | None:
        """The study whose turn it is."""
        return self.studies[0] if self.studies else None

    def study(self, study_id: str) -> Study | None:
        """The running study, if it is this one."""
        return self.studies[0] if self.studies and self.studies[0].id == study_id else None

    def know_version(self, version: str, hyperparameters: dict[str, Any]) -> None:
        """A version exists. Read back or delivered twice it changes nothing."""
        stem, number = split_version(version)
        highest = self.numbers.pop(stem, -1)
        if number > highest or not self.latest:
            self.latest, self.hyperparameters = version, hyperparameters
        self.numbers[stem] = max(number, highest)
        for forgotten in list(self.numbers)[:-KNOWN_LINES]:
            del self.numbers[forgotten]

    def knows_request(self, request_id: str) -> bool:
        """Whether a request runs, waits or was dealt with."""
        return request_id in self.ended or any(study.request.event_id == request_id for study in self.studies)

    def end_request(self, request_id: str) -> None:
        """Remember a request as dealt with."""
        self.ended = [*self.ended, request_id][-KNOWN_REQUESTS:]

    def owe(self, study_id: str, numbers: list[int]) -> None:
        """A runner may still send the results of these trials."""
        if numbers:
            self.owed[study_id] = sorted({*self.owed.get(study_id, ()), *numbers})
            for forgotten in list(self.owed)[:-KNOWN_STUDIES]:
                del self.owed[forgotten]

    def settle(self, study_id: str, number: int) -> bool:
        """Whether the result of this trial was still owed; it no longer is."""
        owed = self.owed.get(study_id, [])
        if number not in owed:
            return False
        owed.remove(number)
        if not owed:
            del self.owed[study_id]
        return True

    def take_sequence(self, count: int = 1) -> int:
        """The first of the key's next `count` sequence numbers, which are used up by that."""
        first, self.sequence = self.sequence, self.sequence + count
        return first
