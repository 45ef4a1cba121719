"""Everything an operator may set, with its default."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar, get_args

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from agents.settings.dashboard import DashboardSettings
from agents.settings.fields import counted, unset, written_as
from agents.settings.inputs import InputTopic
from agents.settings.notify import NotifyRule
from agents.settings.rules import MonitorRule, RetrainRule, Rule
from agents.settings.security import SecuritySettings
from agents.settings.tune import TuneRule
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

    bootstrap_servers: Annotated[str | None, written_as("`HOST:PORT`, several separated by commas")] = None
    """Kafka brokers. Commands that need Kafka ask for it."""
    topic_prefix: Annotated[str, written_as("at most 100 letters, digits, `.`, `_`, `-`")] = "visutility."
    """What every topic, consumer group and transactional id begins with."""
    partitions: Annotated[WholeNumber, counted("partitions", 1, 10_000)] = 4
    """Partitions of each topic that is created (`trial-requests` gets at least 12). All workers of one prefix need the
    same number."""
    replication_factor: Annotated[WholeNumber, counted("copies", 1, 100)] = 1
    """Copies of each topic that is created; 3 is usual on a cluster."""
    data_dir: Path = Path(".visutility")
    """Where a worker keeps its state (RocksDB) and trained models. Each worker needs its own."""
    artifacts: Annotated[str | None, written_as("path or URL")] = None
    """Where trained models are kept, if not in `artifacts` of `data_dir`: a folder that all machines share, or anything
    fsspec reaches, such as `s3://bucket/models` (`visutility-streams[remote]` and its s3fs)."""
    delivery: Literal["exactly_once", "at_least_once"] = "exactly_once"
    """`at_least_once` is for brokers without transactions: after a crash some outputs are published twice."""
    checkpoint_interval: PositiveDuration = timedelta(seconds=2)
    """The longest time between two commits of state and offsets while records arrive."""
    checkpoint_records: Annotated[WholeNumber, counted("records", 1)] = 400_000
    """So many records make a commit before the interval is over."""
    output_linger: Duration = timedelta(milliseconds=20)
    """How long an output may wait for others, so as to be committed with them."""
    session_timeout: PositiveDuration = timedelta(seconds=10)
    """A worker that Kafka has not heard of for so long loses its partitions to the others."""
    max_failures: Annotated[WholeNumber, counted("steps", 1)] = 100
    """So many steps of a stage may fail in a row, each record becoming a dead letter (each tick an alert); one more
    stops the worker, for then the fault is not the records'."""
    on_lost_records: Literal["stop", "continue"] = "stop"
    """When the topic's retention removed records before they were processed: stop, or go on without them with an alert
    (`records_lost`) that tells how many."""
    lag_warning: Annotated[WholeNumber, counted("records", 1)] = 100_000
    """A partition that is more records behind than this is warned of in the log, once a minute at most."""
    log_format: Literal["auto", "human", "json"] = "auto"
    """One JSON object a line, or lines for people; `auto`: for people on a terminal, else JSON. Always on stderr."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is logged. Above `debug`, libraries log warnings and errors alone, and a broker that is away is
    one line when it goes, one every half a minute, one when it is back."""
    log_events: bool = False
    """Log each event at a level of its own (score info, drift warning, failure error, heartbeat debug); else a summary
    a checkpoint."""
    heartbeat_timeout: PositiveDuration = timedelta(minutes=5)
    """A model that sent a heartbeat and then nothing for so long raises an alert, which its next heartbeat resolves."""
    version_retention: PositiveDuration = timedelta(days=30)
    """Of a version that was followed by another and has not been seen for so long, in the model's own time, everything
    is forgotten. The one seen last stays, and of more than three the one seen longest ago goes at once."""
    label_horizon: PositiveDuration = timedelta(days=14)
    """How long a `prediction` and a `label` wait for each other, in the model's own time."""
    label_limit: Annotated[WholeNumber, counted("predictions and labels", 1)] = 1_000_000
    """How many of a model may wait, pairs that were joined counted until their time is over; beyond it the oldest are
    given up."""
    segment_limit: Annotated[WholeNumber, counted("segments", 1, 10_000)] = 100
    """How many segments of a model are watched by themselves, over all its rules; an alert (`segment_limit`) tells when
    there are more."""
    agents: Annotated[list[Agent], NoDecode, BeforeValidator(_split), unset("all")] = Field(
        default_factory=lambda: list(AGENTS)
    )
    """Which stages a worker runs, and whether it runs trials; in the environment and on the command line separated by
    commas."""
    retrain_budget_per_hour: Annotated[WholeNumber, counted("requests", 1)] | None = None
    """At most so many requests an hour over all models: one outage must not retrain ten thousand."""
    monitor: list[MonitorRule] = Field(default_factory=lambda: [MonitorRule()])
    """What is watched, and how."""
    retrain: list[RetrainRule] = Field(default_factory=lambda: [RetrainRule()])
    """When to ask for retraining."""
    tune: list[TuneRule] = Field(default_factory=list)
    """What to do about retrain requests."""
    notify: list[NotifyRule] = Field(default_factory=list)
    """Who is told of what."""
    inputs: list[InputTopic] = Field(default_factory=list)
    """The topics of others, each once."""
    trial_processes: Annotated[WholeNumber, counted("trials", 0, 1_000)] | None = None
    """How many trials a worker that is a tuner or a runner runs at once; without it one for each core it may use, one
    core spared where it runs stages too, from 1 to 4; `0`: none, for others run them."""
    metrics_address: Annotated[str | None, written_as("`HOST:PORT`")] = None
    """Where a worker answers Prometheus (`/metrics`) and tells its health, such as `127.0.0.1:9464`; it asks for no
    token."""
    dashboard: DashboardSettings = DashboardSettings()
    """Settings of `visutility dashboard`; in the environment one JSON object, `VISUTILITY_DASHBOARD`."""

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
        """What else of this worker keeps a state on a topic: which alerts were told, where somebody is told of any, and
        what was taken of topics of others.
        """
        if "monitor" not in self.agents:
            return []
        takes = self.inputs and self.delivery == "exactly_once"
        return [*(["notify"] if self.notify else []), *(["inputs"] if takes else [])]

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
