"""Where the dashboard listens, who may do what there, and how much of the past it reads at its start."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from streams.duration import PositiveDuration

Role = Literal["read", "operate"]
"""`read` sees everything; `operate` also acts: retrain, promote, roll back, retire, retry, pause."""


class DashboardToken(BaseModel):
    """A token by its SHA-256, as `visutility dashboard token` prints it: who has it, and what it allows."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
    role: Role = "read"
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class DashboardSettings(BaseModel):
    """The dashboard's own settings.

    Without `tokens` and `proxies` everyone who reaches it may read, and only `host` on the loopback is accepted.
    Requests from `proxies` (addresses or networks) are by the user that the header `proxy_user` names; `operators`
    are the users who may act.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    host: Annotated[str, StringConstraints(min_length=1, max_length=255)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8321
    tokens: Annotated[list[DashboardToken], Field(max_length=1_000)] = Field(default_factory=list)
    proxies: Annotated[list[str], Field(max_length=100)] = Field(default_factory=list)
    proxy_user: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$")] = "X-Forwarded-User"
    operators: Annotated[list[str], Field(max_length=10_000)] = Field(default_factory=list)
    history: PositiveDuration = timedelta(days=1)

    @field_validator("proxies")
    @classmethod
    def _are_networks(cls, proxies: list[str]) -> list[str]:
        for each in proxies:
            try:
                ip_network(each)
            except ValueError:
                raise ValueError("expected addresses or networks, such as 10.0.0.7 or 10.0.0.0/24") from None
        return proxies
