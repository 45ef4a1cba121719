"""What the demonstration does and when: the fleets, the camera that degrades, and the rules they are watched by."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from streams.security import Connection, Security

FLEETS = ("digits-lobby", "digits-dock", "digits-yard")
"""Model names; each is one fleet of cameras that read handwritten digits."""

DEGRADED = "digits-dock"
"""The fleet whose camera degrades."""

FIRST_VERSION = "v1"


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. Picklable: the fleets run in a process of their own.

    `degrade_at` counts the degraded fleet's batches from 0; the monitor's window is full by then. `batch_size` is in
    images. A hundred images would do to see the drift, but two hundred make a healthy batch that looks like one rare.
    """

    bootstrap_servers: str
    topic_prefix: str
    data_dir: Path
    seed: int = 0
    degrade_at: int = 80
    batch_size: int = 200
    batches_per_second: float = 12.5
    trials: int = 10
    security: Security = field(default_factory=Security)

    @property
    def connection(self) -> Connection:
        """The broker, and how to speak to it."""
        return Connection(self.bootstrap_servers, self.security)

    def topic(self, name: str) -> str:
        """The name on Kafka of a topic of the registry."""
        return self.topic_prefix + name
