"""Who is told of what: which findings and alerts leave Kafka, and where to."""

from __future__ import annotations

from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, StringConstraints, field_validator, model_validator

from agents.settings.fields import written_as
from agents.settings.rules import WEB_ADDRESS, Pattern, Rule
from streams.duration import Duration, PositiveDuration

Severity = Literal["info", "warning", "error"]

SEVERITIES: tuple[Severity, ...] = ("info", "warning", "error")
"""From the least to the greatest."""

Line = Annotated[str, StringConstraints(max_length=128, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]


class NotifyRule(Rule):
    """Sends what happens to the models that match to one address. Unlike other rules, each that matches sends.

    The address is a secret (a Slack webhook's path is its password): it appears in no log and no error.
    """

    to: Literal["slack", "alertmanager"]
    """What is sent: the JSON of Slack's incoming webhooks (Mattermost and others take it too), or of Alertmanager's
    API v2."""
    url: SecretStr | None = None
    """Where to. It is a secret, and told nowhere; better is the next one."""
    url_variable: Annotated[str, written_as("name of a variable", pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")] | None = (
        None
    )
    """The environment variable that holds the address; one of the two is needed. Of Alertmanager `http://HOST:9093`
    will do."""
    kinds: Annotated[list[Pattern], written_as("list of patterns", min_length=1, max_length=100)] = Field(
        default_factory=lambda: ["*"]
    )
    """The kinds of alerts, and of what else can be told."""
    severity: Severity = "warning"
    """The least severity."""
    team: Line = ""
    """Whose models these are: the first line of a message for people, the label `team` for Alertmanager."""
    group_by: Literal["model", "team"] = "model"
    """What goes into one message: alerts of one model, or of all models of the entry."""
    group_wait: Duration = timedelta(seconds=10)
    """How long the first of a message waits for others."""
    cooldown: Duration = timedelta(minutes=30)
    """After a kind of alert of a model was told, for so long not again; what came meanwhile is told at the end, with
    how many."""
    resolved: bool = True
    """Whether the end of an alert is told."""
    expires: PositiveDuration = timedelta(days=1)
    """How long an alert counts as firing without its end: for Alertmanager its `endsAt`."""
    dry_run: bool = False
    """Log what would be sent, and send nothing."""

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
