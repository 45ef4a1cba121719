"""From what a user wrote (`--broker`, `bootstrap_servers`) to a broker."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from streams.brokers.broker import Broker
from streams.brokers.containers import ContainerBroker
from streams.brokers.embedded import EmbeddedBroker
from streams.brokers.external import ExternalBroker
from streams.brokers.jars import JarsBroker

_OWN: Mapping[str, Callable[[], Broker]] = {
    "embedded": EmbeddedBroker,
    "jars": JarsBroker,
    "containers": ContainerBroker,
}


def choose_broker(choice: str, bootstrap_servers: str | None = None) -> Broker:
    """The broker that `choice` names: `auto`, `embedded`, `jars`, `containers` or `HOST:PORT[,HOST:PORT…]`.

    `auto` is the cluster of the settings (`bootstrap_servers`) if they name one, else the embedded broker.
    It is not started yet. Raises `BrokerError` for anything else.
    """
    if choice == "auto":
        return ExternalBroker(bootstrap_servers) if bootstrap_servers else EmbeddedBroker()
    if own := _OWN.get(choice):
        return own()
    return ExternalBroker(choice)
