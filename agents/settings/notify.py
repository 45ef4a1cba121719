"""Who is told of what: which findings and alerts leave Kafka, and where to."""

from __future__ import annotations

from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, StringConstraints, field_validator, model_validator

from agents.settings.rules import WEB_ADDRESS, Pattern, Rule
from streams.duration import Duration, PositiveDuration

Severity = Literal["info", "warning", "error"]

SEVERITIES: tuple[Severity, ...] = ("info", "warning", "error")
"""From the least to the greatest."""

Line = Annotated[str, StringConstraints(max_length=128, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]


class NotifyRule(Rule):
    """Sends what happens to the models that match to one address. Unlike other rules, each that matches sends.

    The address is a secret (a Slack webhook's path is its password): it is read from `url`, or better from the
    environment variable that `url_variable` names, and appears in no log and no error.
    """

    to: Literal["slack", "alertmanager"]
    url: SecretStr | None = None
    url_variable: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")] | None = None
    kinds: Annotated[list[Pattern], Field(min_length=1, max_length=100)] = Field(default_factory=lambda: ["*"])
    severity: Severity = "warning"
    team: Line = ""
    group_by: Literal["model", "team"] = "model"
    group_wait: Duration = timedelta(seconds=10)
    cooldown: Duration = timedelta(minutes=30)
    resolved: bool = True
    expires: PositiveDuration = timedelta(days=1)
    dry_run: bool = False

    @field_validator("url")
    @classmethod
    def _is_a_web_address(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not WEB_ADDRESS.fullmatch(url.get_secret_value()):
            raise ValueError("expected an address that begins with http:// or https://, got something else")
        return url

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if (self.url is None) == (self.url_variable is None):
            raise ValueError('expected either "url" or "url_variable", got both or none')
        return self

    def wants(self, kind: str) -> bool:
        """Whether the rule is for this kind of event, model and severity aside."""
        return any(fnmatchcase(kind, pattern) for pattern in self.kinds)

    def heeds(self, severity: Severity) -> bool:
        """Whether a severity is at least the rule's."""
        return SEVERITIES.index(severity) >= SEVERITIES.index(self.severity)
