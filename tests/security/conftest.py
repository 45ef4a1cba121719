"""One secured broker for all tests of a process that want it."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.brokers.broker import BrokerError
from tests.conftest import real_kafka_required
from tests.security.secured_broker import SecuredBroker


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    """A Kafka with TLS, SASL and ACLs, from jars whatever other broker the tests have."""
    try:
        broker = SecuredBroker(tmp_path_factory.mktemp("secured"))
        broker.start()
    except BrokerError as problem:
        if real_kafka_required():
            pytest.fail(f"VISUTILITY_REQUIRE_KAFKA is set, and there is no secured Kafka: {problem}", pytrace=False)
        pytest.skip(f"no secured Kafka: {problem}")
    try:
        yield broker
    finally:
        broker.stop()


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of its own, an environment that sets nothing, and logging as it was."""
    monkeypatch.chdir(tmp_path)
    for variable in [name for name in os.environ if name.startswith("VISUTILITY_")]:
        monkeypatch.delenv(variable)
    root, client = logging.getLogger(), logging.getLogger("aiokafka")
    handlers, level, client_level = root.handlers[:], root.level, client.level
    yield tmp_path
    gc.collect()  # what a denied client leaves behind complains when it goes; have that here
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    client.setLevel(client_level)
