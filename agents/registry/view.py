"""The model registry as a fold of the records on `models`: the same view from the whole topic and from what compaction
leaves of it.

    NotFound
    ├── ModelNotFound     nothing is registered under this name
    ├── VersionNotFound   the model has no such version
    └── AliasNotFound     the model has no such alias
"""

from __future__ import annotations

from collections.abc import Iterable

from agents.nearest import did_you_mean
from schemas.message import Message
from schemas.models import CHAMPION, RETIRED, ModelAlias, ModelVersion, alias_key, version_key


class NotFound(LookupError):
    """The registry has no such thing. The text is one line and says what there is."""


class ModelNotFound(NotFound):
    """Nothing is registered under this name."""


class VersionNotFound(NotFound):
    """The model has no such version."""


class AliasNotFound(NotFound):
    """The model has no such alias."""


class RegistryView:
    """All models with their versions, in the order of registration, and their aliases."""

    def __init__(self, records: Iterable[tuple[str, Message | None]] = ()) -> None:
        self._versions: dict[str, dict[str, ModelVersion]] = {}
        self._aliases: dict[str, dict[str, ModelAlias]] = {}
        for key, message in records:
            self.apply(key, message)

    def apply(self, key: str, message: Message | None) -> bool:
        """Take a record in the order of its partition; None is a tombstone. False if it is none of the registry's.

        A record whose key is not that of its message is left out, for compaction goes by keys.
        """
        if isinstance(message, ModelVersion) and key == version_key(message.model_name, message.version):
            versions = self._versions.setdefault(message.model_name, {})
            versions.pop(message.version, None)  # compaction would leave it at its later place too
            versions[message.version] = message
            return True
        if isinstance(message, ModelAlias) and key == alias_key(message.model_name, message.alias):
            self._aliases.setdefault(message.model_name, {})[message.alias] = message
            return True
        return message is None and self._remove(key)

    def _remove(self, key: str) -> bool:
        # Versions and aliases hold neither separator, names may hold both: the last one divides.
        at = max(key.rfind("/"), key.rfind("@"))
        if at < 0:
            return False
        name, part = key[:at], key[at + 1 :]
        here: dict[str, dict[str, ModelVersion]] | dict[str, dict[str, ModelAlias]]
        here = self._versions if key[at] == "/" else self._aliases
        if here.get(name, {}).pop(part, None) is not None and not here[name]:
            del here[name]
        return True

    def models(self) -> list[str]:
        """The names of all models, in alphabetical order."""
        return sorted({*self._versions, *self._aliases})

    def versions(self, name: str) -> list[ModelVersion]:
        """A model's versions, in the order of registration. Raises `ModelNotFound`."""
        if name not in self._versions:
            near = did_you_mean(name, self.models())
            raise ModelNotFound(f"no model {name!r} is registered{near}; {_there_are('models', self.models())}")
        return list(self._versions[name].values())

    def registered(self, name: str) -> list[ModelVersion]:
        """A model's versions, in the order of registration; empty if there is no such model."""
        return list(self._versions.get(name, {}).values())

    def latest(self, name: str) -> ModelVersion:
        """The version registered last, promoted or not. Raises `ModelNotFound`."""
        return self.versions(name)[-1]

    def version(self, name: str, version: str) -> ModelVersion:
        """One version. Raises `ModelNotFound`, `VersionNotFound`."""
        known = [each.version for each in self.versions(name)]
        if version not in known:
            raise VersionNotFound(f"{name!r} has no version {version!r}; {_there_are('versions', known)}")
        return self._versions[name][version]

    def alias(self, name: str, alias: str) -> ModelAlias:
        """Where an alias points. Raises `ModelNotFound`, `AliasNotFound`."""
        if name not in self._aliases:
            self.versions(name)
        aliases = self._aliases.get(name, {})
        if alias not in aliases:
            raise AliasNotFound(f"{name!r} has no alias {alias!r}; {_there_are('aliases', sorted(aliases))}")
        return aliases[alias]

    def by_alias(self, name: str, alias: str) -> ModelVersion:
        """The version that an alias points at. Raises `ModelNotFound`, `AliasNotFound`, `VersionNotFound`."""
        return self.version(name, self.alias(name, alias).version)

    def champion(self, name: str) -> ModelVersion:
        """The version in service. Raises `ModelNotFound`, `AliasNotFound`, `VersionNotFound`."""
        return self.by_alias(name, CHAMPION)

    def aliases(self, name: str) -> dict[str, ModelAlias]:
        """A model's aliases by name; empty if it has none."""
        return dict(sorted(self._aliases.get(name, {}).items()))

    def is_retired(self, name: str) -> bool:
        """Whether a model was retired, and no version promoted since."""
        return RETIRED in self._aliases.get(name, {})


def _there_are(what: str, known: list[str]) -> str:
    shown = ", ".join(known[-10:]) or "none"
    return f"{what}: {shown}" if len(known) <= 10 else f"the last of its {len(known)} {what}: {shown}"
