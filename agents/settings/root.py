"""Everything an operator may set, with its default."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar, get_args

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from agents.settings.dashboard import DashboardSettings
from agents.settings.inputs import InputTopic
from agents.settings.notify import NotifyRule
from agents.settings.rules import MonitorRule, RetrainRule, Rule, TuneRule
from agents.settings.security import SecuritySettings
from streams.duration import Duration, PositiveDuration
from streams.settings import CHANGELOG

Agent = Literal["monitor", "retrain", "tuner", "runner"]

AGENTS: tuple[Agent, ...] = get_args(Agent)
"""What a worker can run: the stages, and the runner of trials, which is none: it has no state."""

STAGES: tuple[Agent, ...] = ("monitor", "retrain", "tuner")

_SERVER = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})")
_PREFIX = re.compile(r"[A-Za-z0-9._-]{0,100}")


def _not_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("expected a whole number")
    return value


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


WholeNumber = Annotated[int, BeforeValidator(_not_bool)]
RuleT = TypeVar("RuleT", bound=Rule)


class Settings(SecuritySettings):
    """Everything an operator may set, complete with defaults. Immutable. `load_settings` adds the file."""

    model_config = SettingsConfigDict(env_prefix="VISUTILITY_", extra="forbid", frozen=True, env_ignore_empty=True)

    bootstrap_servers: str | None = None
    topic_prefix: str = "visutility."
    partitions: Annotated[WholeNumber, Field(ge=1, le=10_000)] = 4
    replication_factor: Annotated[WholeNumber, Field(ge=1, le=100)] = 1
    data_dir: Path = Path(".visutility")
    artifacts: str | None = None
    delivery: Literal["exactly_once", "at_least_once"] = "exactly_once"
    checkpoint_interval: PositiveDuration = timedelta(seconds=1)
    checkpoint_records: Annotated[WholeNumber, Field(ge=1)] = 50_000
    output_linger: Duration = timedelta(milliseconds=20)
    session_timeout: PositiveDuration = timedelta(seconds=10)
    max_failures: Annotated[WholeNumber, Field(ge=1)] = 100
    on_lost_records: Literal["stop", "continue"] = "stop"
    lag_warning: Annotated[WholeNumber, Field(ge=1)] = 100_000
    log_format: Literal["auto", "human", "json"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_events: bool = False
    heartbeat_timeout: PositiveDuration = timedelta(minutes=5)
    version_retention: PositiveDuration = timedelta(days=30)
    label_horizon: PositiveDuration = timedelta(days=14)
    label_limit: Annotated[WholeNumber, Field(ge=1)] = 1_000_000
    segment_limit: Annotated[WholeNumber, Field(ge=1, le=10_000)] = 100
    agents: Annotated[list[Agent], NoDecode, BeforeValidator(_split)] = Field(default_factory=lambda: list(AGENTS))
    retrain_budget_per_hour: Annotated[WholeNumber, Field(ge=1)] | None = None
    monitor: list[MonitorRule] = Field(default_factory=lambda: [MonitorRule()])
    retrain: list[RetrainRule] = Field(default_factory=lambda: [RetrainRule()])
    tune: list[TuneRule] = Field(default_factory=list)
    notify: list[NotifyRule] = Field(default_factory=list)
    inputs: list[InputTopic] = Field(default_factory=list)
    trial_processes: Annotated[WholeNumber, Field(ge=0, le=1_000)] | None = None
    metrics_address: str | None = None
    dashboard: DashboardSettings = DashboardSettings()

    RULES: ClassVar[tuple[str, ...]] = ("monitor", "retrain", "tune", "notify")
    LISTS: ClassVar[tuple[str, ...]] = (*RULES, "inputs")

    @model_validator(mode="after")
    def _runner_has_processes(self) -> Self:
        if self.trial_processes == 0 and "runner" in self.agents and len(self.agents) == 1:
            raise ValueError("expected trial_processes of at least 1 where only trials are to be run")
        return self

    @property
    def runs_trials(self) -> bool:
        """Whether this worker runs trials: a tuner does too, or its studies would wait where nobody runs any."""
        return self.trial_processes != 0 and bool({"tuner", "runner"} & set(self.agents))

    @property
    def topic_stages(self) -> list[str]:
        """The stages whose topics the agents of this worker use."""
        wanted = {"tuner" if agent == "runner" else agent for agent in self.agents}
        return [stage for stage in STAGES if stage in wanted]

    @property
    def topic_states(self) -> list[str]:
        """What else of this worker keeps a state on a topic: which alerts were told, where somebody is told of any."""
        return ["notify"] if self.notify and "monitor" in self.agents else []

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *sources: Any, **named: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is passed: `load_settings` puts file and environment together, so that it can name the culprit."""
        return (init_settings,)

    @field_validator("bootstrap_servers")
    @classmethod
    def _servers_have_ports(cls, servers: str | None) -> str | None:
        for server in (servers or "").split(",") if servers is not None else ():
            found = _SERVER.fullmatch(server.strip())
            if found is None or not 0 < int(found[1]) < 65_536:
                raise ValueError("expected HOST:PORT, or several separated by commas")
        return servers

    @field_validator("metrics_address")
    @classmethod
    def _is_one_address(cls, address: str | None) -> str | None:
        found = None if address is None else _SERVER.fullmatch(address)
        if address is not None and (found is None or int(found[1]) > 65_535):
            raise ValueError("expected HOST:PORT, such as 127.0.0.1:9464")
        return address

    @field_validator("topic_prefix")
    @classmethod
    def _prefix_is_a_topic_name(cls, prefix: str) -> str:
        if not _PREFIX.fullmatch(prefix):
            raise ValueError("expected at most 100 letters, digits, '.', '_' and '-'")
        return prefix

    @field_validator("agents")
    @classmethod
    def _some_agent(cls, agents: list[str]) -> list[str]:
        if not agents:
            raise ValueError(f"expected at least one of {', '.join(AGENTS)}")
        return list(dict.fromkeys(agents))

    @field_validator(*RULES)
    @classmethod
    def _names_differ(cls, rules: list[RuleT]) -> list[RuleT]:
        """Outputs carry the rule's name, and their ids are made from it."""
        names = [rule.name for rule in rules]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise ValueError(f"expected names that differ, but entries {names.index(name)} and {index} are alike")
        return rules

    @field_validator("inputs")
    @classmethod
    def _are_topics_of_others(cls, inputs: list[InputTopic], info: ValidationInfo) -> list[InputTopic]:
        """What is published would otherwise be read again."""
        from schemas.topics import TOPICS  # brings all messages along

        topics, prefix = [each.topic for each in inputs], info.data.get("topic_prefix", "")
        for index, topic in enumerate(topics):
            if topic in topics[:index]:
                raise ValueError(
                    f"expected topics that differ, but entries {topics.index(topic)} and {index} are alike"
                )
            name = topic.removeprefix(prefix)
            if topic.startswith(prefix) and (name in TOPICS or name.endswith(("-internal", CHANGELOG))):
                raise ValueError(f"expected topics of others, but {topic} is one of this system's own")
        return inputs

    @property
    def artifact_folder(self) -> str:
        """The folder or URL where trained models are kept."""
        return self.artifacts or str((self.data_dir / "artifacts").absolute())

    def monitor_rule(self, model_name: str, metric: str) -> MonitorRule | None:
        """The first monitor rule for this metric of this model as a whole; None if it is kept but not watched."""
        rules = (rule for rule in self.monitor if rule.metric == metric and rule.segment_by is None)
        return next((rule for rule in rules if rule.matches(model_name)), None)

    def retrain_rule(self, model_name: str) -> RetrainRule | None:
        """The first retrain rule for this model; None if it is never retrained."""
        return next((rule for rule in self.retrain if rule.matches(model_name)), None)

    def tune_rule(self, model_name: str) -> TuneRule | None:
        """The first tune rule for this model; None if requests for it are left to others."""
        return next((rule for rule in self.tune if rule.matches(model_name)), None)
