"""What a stage remembers of a model's versions: enough to find the champion's artifact and hyperparameters again."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from schemas.fields import Params
from schemas.models import CHAMPION, MAX_PREVIOUS, RETIRED, ModelAlias, ModelVersion

KNOWN_VERSIONS = 20
"""Versions remembered of a model: the newest, those with an alias, and then those registered last."""


class KnownVersion(BaseModel):
    """One version: where its artifact is, its SHA-256, and the hyperparameters it was trained with.

    Of a version that an alias points at but that is not remembered, all but its name is empty.
    """

    model_config = ConfigDict(frozen=True)

    version: str
    artifact: str = ""
    sha256: str = ""
    hyperparameters: Params = Field(default_factory=dict)


class KnownVersions(BaseModel):
    """Of one model: some `versions` in the order of registration, and what each alias pointed at, the latest first.

    A part of a stage's state: JSON of bounded size, folded from the messages of `models` in their order. Messages that
    arrive twice, as a stage's own do when it reads them back, change nothing.
    """

    versions: dict[str, KnownVersion] = Field(default_factory=dict)
    aliases: dict[str, list[str]] = Field(default_factory=dict)

    @property
    def champion(self) -> KnownVersion | None:
        """The version in service; None while the model has no champion."""
        pointed = self.aliases.get(CHAMPION)
        return self.versions.get(pointed[0], KnownVersion(version=pointed[0])) if pointed else None

    def previous(self, alias: str) -> list[str]:
        """What an alias points at and pointed at before, the latest first."""
        return list(self.aliases.get(alias, ()))

    def take(self, message: ModelVersion | ModelAlias) -> None:
        """A version was registered or an alias set."""
        if isinstance(message, ModelAlias):
            self.aliases[message.alias] = [message.version, *message.previous][: MAX_PREVIOUS + 1]
            if message.alias == RETIRED:
                self.aliases = {RETIRED: self.aliases[RETIRED]}
            return
        known = KnownVersion(
            version=message.version,
            artifact=message.artifact,
            sha256=message.sha256,
            hyperparameters=dict(message.hyperparameters),
        )
        if self.versions.get(message.version) != known:
            self.versions.pop(message.version, None)
            self.versions[message.version] = known
        self._forget()

    def _forget(self) -> None:
        pointed = {versions[0] for versions in self.aliases.values()}
        for version in [each for each in list(self.versions)[:-1] if each not in pointed]:
            if len(self.versions) <= KNOWN_VERSIONS:
                return
            del self.versions[version]
