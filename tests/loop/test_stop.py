"""A worker ends when it is told to, whatever the broker does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.brokers.broker import Broker
from streams.brokers.external import ExternalBroker
from tests.loop.driving import Cluster
from tests.loop.proxy import Proxy, proxied
from tests.loop.traffic import accuracies


@pytest.fixture
def proxy(real_broker: Broker) -> Iterator[Proxy]:
    servers = real_broker.bootstrap_servers
    if not servers.startswith("127.0.0.1:") or "," in servers:
        pytest.skip(f"the proxy stands for one broker at 127.0.0.1, and this one is {servers}")
    with proxied(servers) as proxy:
        yield proxy


@pytest.mark.parametrize("waiting", [False, True], ids=["idle", "with records to commit"])
def test_a_broker_that_answers_no_more_does_not_hold_up_the_end(
    real_broker: Broker, proxy: Proxy, topic_prefix: str, tmp_path: Path, waiting: bool
) -> None:
    behind = ExternalBroker(proxy.servers)
    behind.start()
    cluster, direct = (Cluster(broker, topic_prefix, tmp_path) for broker in (behind, real_broker))
    cluster.settings += '\ncheckpoint_interval = "5s"'
    records = accuracies("m")
    try:
        worker = cluster.worker()
        direct.produce(records[:300])
        direct.wait_idle()
        if waiting:
            direct.produce(records[300:310])
            time.sleep(0.5)  # they are read, and their checkpoint is a while off
        proxy.freeze()
        assert worker.terminate() == 0  # waits 15 seconds at most
    finally:
        cluster.stop()
