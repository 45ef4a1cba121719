"""Messages on `models`: the registry of model versions and of the aliases that point at them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.fields import Identifier, KeyPart, NumbersByName, Params, Sha256, Text
from schemas.message import OutputMessage


class ModelVersion(OutputMessage):
    """A version was registered: its artifact (a URL or a path) with the SHA-256 of it, and where it comes from.

    `version` has no `/` and no `@`, for it is part of the record's key.
    """

    type: Literal["model_version"] = "model_version"
    version: KeyPart
    sha256: Sha256
    artifact: Text
    hyperparameters: Params = Field(default_factory=dict)
    metrics: NumbersByName = Field(default_factory=dict)
    parent_version: KeyPart | None = None
    request_id: Identifier | None = None


class ModelAlias(OutputMessage):
    """`alias` (`champion`, …) points at `version` from now on."""

    type: Literal["model_alias"] = "model_alias"
    alias: KeyPart
    version: KeyPart


ModelMessage = Annotated[ModelVersion | ModelAlias, Field(discriminator="type")]


def version_key(model_name: str, version: str) -> str:
    """The key of a `ModelVersion` on `models`; its partition is that of the bare model name."""
    return f"{model_name}/{version}"


def alias_key(model_name: str, alias: str) -> str:
    """The key of a `ModelAlias` on `models`; its partition is that of the bare model name."""
    return f"{model_name}@{alias}"
