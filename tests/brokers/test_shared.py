"""How the processes of a parallel test run come to one broker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streams.brokers.broker import Broker, BrokerError
from streams.brokers.embedded import EmbeddedBroker
from streams.brokers.external import ExternalBroker
from tests.shared_broker import SharedBroker, ask


@pytest.fixture
def started() -> list[Broker]:
    """The brokers that were chosen."""
    return []


@pytest.fixture
def shared(started: list[Broker]) -> Iterator[SharedBroker]:
    def choose() -> Broker:
        started.append(EmbeddedBroker())
        return started[-1]

    shared = SharedBroker(choose)
    yield shared
    shared.stop()


def test_whoever_asks_gets_the_same_broker_which_ends_with_the_run(shared: SharedBroker, started: list[Broker]) -> None:
    first, second = ask(shared.folder), ask(shared.folder)
    assert first == second
    with ExternalBroker(first, timeout=5.0):
        assert len(started) == 1
    shared.stop()
    with pytest.raises(BrokerError):
        ExternalBroker(first, timeout=0.3).start()


def test_no_broker_is_started_where_nobody_asks(shared: SharedBroker, started: list[Broker]) -> None:
    shared.stop()
    assert started == []


def test_whoever_asks_is_told_why_there_is_none() -> None:
    class Missing(EmbeddedBroker):
        def start(self) -> None:
            raise BrokerError("no Java here")

    shared = SharedBroker(Missing)
    try:
        for _ in range(2):
            with pytest.raises(BrokerError, match="no Java here"):
                ask(shared.folder)
    finally:
        shared.stop()
