"""Messages on `models`: the registry of model versions and of the aliases that point at them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.fields import (
    Count,
    Finite,
    Identifier,
    KeyPart,
    NonNegative,
    NumbersByName,
    OptionalIdentifier,
    Params,
    Ratio,
    Sha256,
    Text,
)
from schemas.message import OutputMessage, Part

MAX_PREVIOUS = 20
"""Versions that an alias pointed at before and that it still knows."""


class Promotion(Part):
    """Whether a new version became the champion, and why.

    Where the two were compared, `samples` examples gave the mean scores `champion_score` and `challenger_score`;
    `difference` is by how much the challenger is better (negative: worse), `p_value` how likely a difference as great
    is if the challenger is better by no more than `margin`. `test` is `none` where nothing was compared.
    """

    promoted: bool
    reason: Text
    champion: KeyPart | None = None
    test: Literal["none", "mcnemar", "tango", "paired_t"] = "none"
    samples: Count = 0
    champion_score: Finite | None = None
    challenger_score: Finite | None = None
    difference: Finite | None = None
    margin: NonNegative = 0.0
    p_value: Ratio | None = None


class ModelVersion(OutputMessage):
    """A version was registered: its artifact (a URL or a path) with the SHA-256 of it, and where it comes from.

    `version` has no `/` and no `@`, for it is part of the record's key. `request_id` and `study_id` are those it comes
    from, `promotion` whether it was to replace the champion. `actor` is who registered it, where a person did.
    """

    type: Literal["model_version"] = "model_version"
    version: KeyPart
    sha256: Sha256
    artifact: Text
    hyperparameters: Params = Field(default_factory=dict)
    metrics: NumbersByName = Field(default_factory=dict)
    parent_version: KeyPart | None = None
    request_id: Identifier | None = None
    study_id: Identifier | None = None
    promotion: Promotion | None = None
    actor: OptionalIdentifier = ""


class ModelAlias(OutputMessage):
    """`alias` (`champion`, …) points at `version` from now on, for a `reason`; `actor` is who said so, if a person did.

    `previous` are the versions it pointed at before, the latest first.
    """

    type: Literal["model_alias"] = "model_alias"
    alias: KeyPart
    version: KeyPart
    previous: Annotated[list[KeyPart], Field(max_length=MAX_PREVIOUS)] = Field(default_factory=list)
    actor: OptionalIdentifier = ""
    reason: Text = ""


ModelMessage = Annotated[ModelVersion | ModelAlias, Field(discriminator="type")]


CHAMPION, CHALLENGER, RETIRED = "champion", "challenger", "retired"
"""Aliases with a meaning: the version in service, the newest that was not promoted, the last of a retired model."""


def version_key(model_name: str, version: str) -> str:
    """The key of a `ModelVersion` on `models`; its partition is that of the bare model name."""
    return f"{model_name}/{version}"


def alias_key(model_name: str, alias: str) -> str:
    """The key of a `ModelAlias` on `models`; its partition is that of the bare model name."""
    return f"{model_name}@{alias}"
