"""A cluster that someone else runs."""

from __future__ import annotations

from streams.brokers.broker import Broker, BrokerError
from streams.brokers.probe import BrokerSilent, wait_until_ready


class ExternalBroker(Broker):
    """A user's cluster, by its address; starting it only checks that it answers within `timeout` seconds."""

    kind = "external"

    def __init__(self, bootstrap_servers: str, *, timeout: float = 10.0) -> None:
        self._bootstrap_servers = parse_bootstrap_servers(bootstrap_servers)
        self._timeout = timeout

    @property
    def bootstrap_servers(self) -> str:
        return self._bootstrap_servers

    def start(self) -> None:
        try:
            wait_until_ready(self._bootstrap_servers, self._timeout)
        except BrokerSilent as problem:
            raise BrokerError(
                f"no Kafka broker answers at {self._bootstrap_servers} ({problem}); "
                "check the address and that the broker runs"
            ) from problem

    def stop(self) -> None:
        """Do nothing: the cluster is not ours."""


def parse_bootstrap_servers(text: str) -> str:
    """The same servers without blanks. Raises `BrokerError` for what is not `host:port[,host:port…]`."""
    servers = [server.strip() for server in text.split(",")]
    for server in servers:
        host, separator, port = server.rpartition(":")
        if not (host and separator and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise BrokerError(f"expected bootstrap servers as host:port[,host:port…], got {server[:100]!r}")
    return ",".join(servers)
