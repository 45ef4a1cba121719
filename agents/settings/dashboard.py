"""Where the dashboard listens, who may do what there, and how much of the past it reads at its start."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from agents.settings.fields import written_as
from streams.duration import PositiveDuration

Role = Literal["read", "operate"]
"""`read` sees everything; `operate` also acts: retrain, promote, roll back, retire, retry, pause."""


class DashboardToken(BaseModel):
    """A token by its SHA-256, as `visutility dashboard token` prints it: who has it, and what it allows."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    name: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
    """Who has the token; actions carry this name."""
    role: Role = "read"
    """What it allows: to see everything, or also to act."""
    sha256: Annotated[str, written_as("64 hexadecimal digits", pattern=r"^[0-9a-f]{64}$")]
    """The token's SHA-256; `visutility dashboard token` makes both."""


class DashboardSettings(BaseModel):
    """The dashboard's own settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    host: Annotated[str, StringConstraints(min_length=1, max_length=255)] = "127.0.0.1"
    """The address it listens on. Beyond the loopback it starts only with `tokens` or `proxies`."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 8321
    """The port; `0`: any that is free."""
    tokens: Annotated[list[DashboardToken], Field(max_length=1_000)] = Field(default_factory=list)
    """Who may use it; with none, everyone who reaches it may read."""
    proxies: Annotated[list[str], written_as("list of addresses or networks", max_length=100)] = Field(
        default_factory=list
    )
    """Reverse proxies that say who asks. Let nothing else reach the dashboard from these addresses."""
    proxy_user: Annotated[str, written_as("name of a header", pattern=r"^[A-Za-z0-9-]{1,64}$")] = "X-Forwarded-User"
    """The header in which they say it; remove it from what comes in from outside."""
    operators: Annotated[list[str], Field(max_length=10_000)] = Field(default_factory=list)
    """The users, as that header names them, who may also act."""
    history: PositiveDuration = timedelta(days=1)
    """How far back findings, requests, trials, alerts and dead letters are read at the start."""

    @field_validator("proxies")
    @classmethod
    def _are_networks(cls, proxies: list[str]) -> list[str]:
        for each in proxies:
            try:
                ip_network(each)
            except ValueError:
                raise ValueError("expected addresses or networks, such as 10.0.0.7 or 10.0.0.0/24") from None
        return proxies
