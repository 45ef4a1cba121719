"""What was live is recorded, and the backtest of the recording publishes the same, to the byte."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.backtest import backtest, open_source
from agents.settings import load_settings
from streams.brokers.broker import Broker
from tests.loop.driving import JAVA, LIBRDKAFKA, Cluster, Json
from tests.loop.traffic import START, event, metrics

MODELS = [f"m{number}" for number in range(12)]

SETTINGS = """
agents = ["monitor", "retrain"]
heartbeat_timeout = "1s"

[[retrain]]
cooldown = "1m"
"""


@pytest.fixture(scope="module")
def cluster(real_broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(real_broker, f"test-recording-{time.time_ns()}.", tmp_path_factory.mktemp("live"), SETTINGS)
    yield cluster
    cluster.stop()


def traffic(seed: int, rounds: int) -> list[tuple[str, bytes | None]]:
    """Values that fall now and then, heartbeats that stay away, and what no fleet should send."""
    rng = random.Random(seed)
    records: list[tuple[str, bytes | None]] = []
    for turn in range(rounds):
        at = START + seed * 100_000 + turn * 30
        for model in MODELS:
            value = 0.6 if rng.random() < 0.02 else rng.gauss(0.93, 0.01)
            records.append((model, metrics(model, f"{model}-{seed}-{turn}", at, value)))
        records.append(event("heartbeat", rng.choice(MODELS), at))
        if turn % 10 == 0:
            records += [(rng.choice(MODELS), b"{"), (rng.choice(MODELS), None)]
    return records


def send(cluster: Cluster, seed: int, rounds: int) -> None:
    """A third of the records, whatever their model, are placed by the other partitioner: these are forwarded."""
    records = traffic(seed, rounds)
    for begin in range(0, len(records), 50):
        piece = records[begin : begin + 50]
        cluster.produce(piece, LIBRDKAFKA if (begin // 50) % 3 == 0 else JAVA)


@pytest.fixture(scope="module")
def lived(cluster: Cluster) -> Cluster:
    """Traffic that a worker was killed in, between a transaction and RocksDB, and another one took over."""
    dying = cluster.worker("tests.loop.dying_worker", DIE_AT="6")
    send(cluster, 1, 120)
    assert dying.process.wait(60) == -9
    worker = cluster.worker()
    send(cluster, 2, 120)
    cluster.wait_idle()
    cluster.wait_for("alerts", 3)  # some silence, told by ticks
    time.sleep(2.5)
    send(cluster, 3, 60)
    cluster.wait_idle()
    assert worker.terminate() == 0
    return cluster


def by_model(messages: list[Json]) -> dict[str, list[str]]:
    """Each model's messages in their order, as they are on the topic."""
    told: dict[str, list[str]] = {}
    for message in messages:
        told.setdefault(message["model_name"], []).append(json.dumps(message))
    return told


def test_the_backtest_of_a_recording_publishes_what_was_published_live(lived: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "live.jsonl.zst"
    ran = lived.visutility("record", "--to", str(file), "--json")
    assert ran.returncode == 0, ran.stderr
    done = json.loads(ran.stdout)
    assert done["ordered_by"] == ["monitor"]
    assert done["ticks"] > 0
    result = backtest(open_source(file), load_settings(lived.config)).as_dict()
    for topic in ("drift", "retrain"):
        assert by_model(lived.messages(topic)) == by_model(result[topic])
    for topic, found in (
        ("alerts", "alerts"),
        ("dead-letter", "dead_letters"),
    ):  # of a model from two stages, or places
        assert sorted(map(json.dumps, lived.messages(topic))) == sorted(map(json.dumps, result[found]))
    assert len(result["drift"]) > 20
    assert len(result["retrain"]) > 5
    assert len(result["dead_letters"]) > 20
    assert {"silence"} <= {alert["kind"] for alert in result["alerts"]}
