"""What the engine needs to know, whatever the stage."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from streams.security import Connection, Security

#: Bytes of the largest record the engine may have to publish: a forwarded one of up to 10 MiB with its headers, a key's
#: state, a dead letter. Kafka's own limit of 1 MiB a topic would let one such record stop a partition for ever.
LARGEST_RECORD = 16 * 2**20

#: How the topic of a stage's state ends.
CHANGELOG = "-changelog"

Delivery = Literal["exactly_once", "at_least_once"]
OnLostRecords = Literal["stop", "continue"]


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Kafka, checkpoints and the data folder. Durations are in seconds.

    `partitions` is the number of partitions of `metrics`, and so of every input, internal and changelog topic.
    `max_failures` records in a row may make a step raise before the worker stops. `on_lost_records` is what to do when
    retention removed records that were never processed. A partition
    that is more than `lag_warning` offsets behind is warned of.
    """

    bootstrap_servers: str
    topic_prefix: str = "visutility."
    partitions: int = 4
    data_dir: Path = field(default_factory=lambda: Path(".visutility"))
    delivery: Delivery = "exactly_once"
    checkpoint_interval: float = 2.0
    checkpoint_records: int = 400_000
    output_linger: float = 0.02
    session_timeout: float = 10.0
    tick_interval: float = 1.0
    transaction_timeout: float = 10.0
    max_failures: int = 100
    on_lost_records: OnLostRecords = "stop"
    lag_warning: int = 100_000
    security: Security = field(default_factory=Security)

    @property
    def connection(self) -> Connection:
        """What every client of this stage connects to, and how."""
        return Connection(self.bootstrap_servers, self.security)

    def topic(self, name: str) -> str:
        """The name on Kafka of a topic of the registry."""
        return self.topic_prefix + name

    def group(self, stage: str) -> str:
        """The consumer group of a stage: one each, so that stages restart and rebalance on their own."""
        return self.topic_prefix + stage

    def changelog(self, stage: str) -> str:
        """The topic that holds a stage's state."""
        return f"{self.topic_prefix}{stage}{CHANGELOG}"

    def transactional_id(self, stage: str, partition: int) -> str:
        """The transactional producer of one partition of a stage; who initialises it last owns the partition."""
        return f"{self.topic_prefix}{stage}-{partition}"
