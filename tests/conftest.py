"""Brokers for tests: real Kafka where it can be had, the embedded one always, and one suite for both."""

from __future__ import annotations

import gc
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from hypothesis import HealthCheck, settings

from streams.brokers.broker import Broker, BrokerError
from streams.brokers.containers import ContainerBroker, docker_answers
from streams.brokers.embedded import EmbeddedBroker
from streams.brokers.external import ExternalBroker
from streams.brokers.jars import JarsBroker
from tests.shared_broker import SharedBroker, ask

EMBEDDED, REAL = "embedded", "real"

# How long an example takes says more about what else the machine does than about the code.
settings.register_profile("side by side", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("side by side")

#: The broker that the processes of a parallel run share, and what they know it by.
_SHARED: pytest.StashKey[SharedBroker] = pytest.StashKey()
_FOLDER = "shared_broker"

#: Addresses of the real brokers that this run has started or found.
_running: list[str] = []


def real_kafka_required() -> bool:
    """Whether a missing real Kafka fails the tests rather than skips them."""
    return os.environ.get("VISUTILITY_REQUIRE_KAFKA", "") not in ("", "0")


def choose_real_broker() -> Broker:
    """The one that this process starts or finds by itself."""
    if servers := os.environ.get("VISUTILITY_BOOTSTRAP_SERVERS"):
        return ExternalBroker(servers)
    return ContainerBroker() if docker_answers() else JarsBroker()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process of a parallel run (pytest-xdist) where the one real Kafka of all of them is to be had."""
    stash = node.config.stash
    if _SHARED not in stash:
        stash[_SHARED] = SharedBroker(choose_real_broker)
    node.workerinput[_FOLDER] = str(stash[_SHARED].folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    """The last thing that happens."""
    if (shared := config.stash.get(_SHARED, None)) is not None:
        shared.stop()


@pytest.fixture(scope="session")
def real_broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """A real Kafka: VISUTILITY_BOOTSTRAP_SERVERS, else a container where Docker answers, else jars."""
    folder: str | None = getattr(request.config, "workerinput", {}).get(_FOLDER)
    try:
        broker = choose_real_broker() if folder is None else ExternalBroker(ask(Path(folder)))
        broker.start()
    except BrokerError as problem:
        if real_kafka_required():
            pytest.fail(f"VISUTILITY_REQUIRE_KAFKA is set, and there is no real Kafka: {problem}", pytrace=False)
        pytest.skip(f"no real Kafka: {problem}")
    _running.append(broker.bootstrap_servers)
    try:
        yield broker
    finally:
        broker.stop()


@pytest.fixture(scope="session")
def embedded_broker() -> Iterator[Broker]:
    """librdkafka's mock cluster, in this process."""
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """Each broker in turn; `@pytest.mark.embedded_gap(reason)` declares what the embedded one cannot do."""
    yield request.getfixturevalue(f"{request.param}_broker")
    # A failed client's futures complain when they are collected. If that happens while Python 3.11 parses a file, as
    # pytest does to show a failure, the parser breaks ("AST constructor recursion depth mismatch"): have it here.
    gc.collect()


@pytest.fixture
def topic_prefix() -> Iterator[str]:
    """A prefix for topics, groups and transactional ids that no other test uses; its topics go with the test."""
    prefix = f"test-{uuid.uuid4().hex[:12]}."
    yield prefix
    for servers in _running:
        delete_topics(servers, prefix)


def delete_topics(servers: str, prefix: str) -> None:
    """A broker keeps files open for each partition: those of all tests together are more than a process may have."""
    admin = AdminClient({"bootstrap.servers": servers})
    if names := [name for name in admin.list_topics(timeout=60).topics if name.startswith(prefix)]:
        for deleted in admin.delete_topics(names).values():
            deleted.result()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`-m kafka` are the tests that need a real Kafka, and no other."""
    for item in items:
        if isinstance(item, pytest.Function) and _needs_kafka(item):
            item.add_marker("kafka")


def _needs_kafka(item: pytest.Function) -> bool:
    chosen = getattr(item, "callspec", None)
    if chosen is not None and "broker" in chosen.params:
        return chosen.params["broker"] == REAL or "real_broker" in item.fixturenames
    return not {"real_broker", "secured"}.isdisjoint(item.fixturenames)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes `broker` on both kinds; on the embedded one, its declared gap is a strict failure.

    Where it makes no difference which one it is (`any_broker`), the embedded one is there on every machine.
    """
    if "broker" not in metafunc.fixturenames:
        return
    gap = metafunc.definition.get_closest_marker("embedded_gap")
    marks = [] if gap is None else [pytest.mark.xfail(reason=str(gap.args[0]), strict=True)]
    embedded = pytest.param(EMBEDDED, marks=marks)
    kinds = [embedded] if metafunc.definition.get_closest_marker("any_broker") else [REAL, embedded]
    metafunc.parametrize("broker", kinds, indirect=True)
