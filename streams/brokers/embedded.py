"""A broker inside this process, for machines with Python alone: librdkafka's mock cluster. Everything is in memory.

What it cannot do, which the tests hold as strict expected failures:

- Transactions are answered but change nothing: readers that read committed see open and aborted ones, offsets sent to
  a transaction are forgotten, a second producer of the same id fences nobody, and commit markers have wrong checksums.
  So workers deliver at least once here (`transactions` is False).
- Retention: beyond about 5 MB a partition silently drops its oldest records (`MAX_PARTITION_BYTES`).
- Groups of more than one member: the second one that joins is refused. One worker at a time.
- Topics cannot be created by request, nor configured; one appears with four partitions when it is asked for.
"""

from __future__ import annotations

from streams.brokers.broker import Broker, not_started
from streams.brokers.librdkafka import MockCluster, library_path

#: Partitions of a topic that appears on use.
DEFAULT_PARTITIONS = 4

#: What a partition surely keeps; measured at 5.0 to 5.2 MB of values, whatever their size.
MAX_PARTITION_BYTES = 4_500_000


class EmbeddedBroker(Broker):
    """librdkafka's mock cluster on a free loopback port. Needs the `demo` extra; `start` says so where it is missing.

    Its threads live in this process, so other processes may connect for as long as this one lives.
    """

    kind = "embedded"
    transactions = False
    read_committed = False

    def __init__(self) -> None:
        self._cluster: MockCluster | None = None

    @property
    def bootstrap_servers(self) -> str:
        return self._running().bootstrap_servers

    def start(self) -> None:
        if self._cluster is None:
            self._cluster = MockCluster(library_path())

    def stop(self) -> None:
        cluster, self._cluster = self._cluster, None
        if cluster is not None:
            cluster.close()

    def create_topic(self, name: str, partitions: int) -> None:
        """Create a topic with other than four partitions. Only from the process that runs the broker."""
        self._running().create_topic(name, partitions)

    def _running(self) -> MockCluster:
        if self._cluster is None:
            raise not_started(self)
        return self._cluster
