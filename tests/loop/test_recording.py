"""What was live is recorded, and the backtest of the recording publishes the same, to the byte."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeGuard
from unittest.mock import ANY

import pytest

from agents.backtest import BacktestResult, backtest, open_source, recorded
from agents.recording.items import Item, SourceRecord
from agents.settings import load_settings
from streams.brokers.broker import Broker
from streams.origin import forwarded_from
from tests.cli.running import visutility
from tests.loop.driving import JAVA, LIBRDKAFKA, PARTITIONS, ROOT, Cluster, Json, wait_until
from tests.loop.traffic import START, event, metrics

MODELS = [f"m{number}" for number in range(12)]

SETTINGS = """
agents = ["monitor", "retrain"]
heartbeat_timeout = "1s"

[[monitor]]

[[monitor]]
models = "m0"
metric = "f1_score"
window = { duration = "100s", advance = "1s", idle = "500ms", min_samples = 2 }

[[retrain]]
cooldown = "1m"
min = { f1_score = 0.5 }
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
        records.append(event("metrics", "m0", at, f1_score=0.4 if turn % 7 == 3 or turn + 1 == rounds else 0.6))
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


@pytest.fixture(scope="module")
def recording(lived: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What lived, recorded."""
    file = tmp_path_factory.mktemp("recorded") / "live.jsonl.zst"
    done = visutility("record", "--to", file, "--json", "--config", lived.config).json
    assert (done["ordered_by"], done["ticks"] > 0, done["lost"], done["remaining"]) == (["monitor"], True, 0, 0)
    return file


def test_the_backtest_of_a_recording_publishes_what_was_published_live(lived: Cluster, recording: Path) -> None:
    result = backtest(open_source(recording), load_settings(lived.config)).as_dict()
    for topic in ("drift", "retrain"):
        assert by_model(lived.messages(topic)) == by_model(result[topic])
    for topic, found in (
        ("alerts", "alerts"),
        ("dead-letter", "dead_letters"),
    ):  # of two stages, or places
        assert sorted(map(json.dumps, lived.messages(topic))) == sorted(map(json.dumps, result[found]))
    assert len(result["drift"]) > 20
    assert len(result["retrain"]) > 5
    assert len(result["dead_letters"]) > 20
    assert {"silence"} <= {alert["kind"] for alert in result["alerts"]}
    breaches = [each for each in result["drift"] if each["type"] == "threshold_breached"]
    waited = [instant(each["timestamp"]) - instant(each["window"]["end"]) for each in breaches]
    assert 1 <= waited.count(timedelta(milliseconds=500)) < len(waited)  # before a pause ticks alone completed a window
    forwarded = sum(
        isinstance(item, SourceRecord) and item.topic.endswith("internal") for item in open_source(recording)
    )
    assert forwarded > 100


def test_neither_batches_nor_hash_seeds_change_what_a_recording_says(
    lived: Cluster, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(result: BacktestResult) -> str:
        return json.dumps(result.as_dict() | {"elapsed_seconds": 0, "events_per_second": 0})

    expected = told(backtest(open_source(recording), load_settings(lived.config)))
    for size in (1, 7):
        monkeypatch.setattr(recorded, "BATCH_RECORDS", size)
        assert told(backtest(open_source(recording), load_settings(lived.config))) == expected
    program = (
        "import json, sys; from pathlib import Path; import agents.backtest as b; from agents.settings import *;"
        "found = b.backtest(b.open_source(sys.argv[1]), load_settings(Path(sys.argv[2]))).as_dict();"
        "print(json.dumps(found | {'elapsed_seconds': 0, 'events_per_second': 0}))"
    )
    for seed in ("1", "2"):
        ran = subprocess.run(
            [sys.executable, "-c", program, str(recording), str(lived.config)],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert ran.stdout.strip() == expected


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def lanes_of(file: Path) -> dict[int, list[Item]]:
    """What each partition of a recording holds, in order."""
    lanes: dict[int, list[Item]] = {}
    for item in open_source(file):
        lanes.setdefault(item.partition, []).append(item)
    return lanes


def test_topics_read_from_kafka_are_the_same_source_as_their_recording(lived: Cluster, recording: Path) -> None:
    topic = f"{lived.prefix}metrics"
    source = open_source(f"kafka://{lived.broker.bootstrap_servers}/{topic}")
    assert source.recorded == open_source(recording).recorded
    assert list(source) == list(open_source(recording))
    some = open_source(f"kafka://{lived.broker.bootstrap_servers}/{topic}?from=5&to=9")
    records = [item for item in some if isinstance(item, SourceRecord)]
    assert {item.offset for item in records if item.topic == topic} == {5, 6, 7, 8}
    origins = [forwarded_from(item) for item in records if item.topic != topic]
    assert all(origin is not None and 5 <= origin.offset < 9 for origin in origins)


def test_a_recorder_killed_again_and_again_leaves_no_trace(lived: Cluster, recording: Path, tmp_path: Path) -> None:
    file = tmp_path / "killed.jsonl.gz"
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.loop.slow_recorder", "--to", str(file), "--config", str(lived.config)],
            cwd=ROOT,
        )
        size = file.stat().st_size if file.exists() else 0
        wait_until(lambda: file.exists() and file.stat().st_size > size, "the recorder to write")  # noqa: B023
        process.kill()
        process.wait()
        read = lanes_of(file)
        assert all(items == lanes_of(recording)[partition][: len(items)] for partition, items in read.items())
    assert lanes_of(file) != lanes_of(recording)
    assert visutility("record", "--to", file, "--config", lived.config).status == 0
    assert lanes_of(file) == lanes_of(recording)


def test_a_replay_puts_every_record_where_it_was_with_its_key_and_headers(
    lived: Cluster, recording: Path, tmp_path: Path
) -> None:
    other = Cluster(lived.broker, lived.prefix.replace("recording", "replayed"), tmp_path, SETTINGS)
    assert visutility("topics", "create", "--config", other.config).status == 0
    ran = visutility("replay", recording, "--speed", "max", "--json", "--config", other.config)
    wanted = [item for item in open_source(recording) if is_of_metrics(item)]
    assert ran.json == {"records": len(wanted), "first": ANY, "time": ANY, "moved": [], "finished": True}
    again = open_source(f"kafka://{lived.broker.bootstrap_servers}/{other.prefix}metrics?cuts=no")
    found = [item for item in again if isinstance(item, SourceRecord)]
    for partition in range(PARTITIONS):
        assert [told(each) for each in found if each.partition == partition] == [
            told(each) for each in wanted if each.partition == partition
        ]


def test_a_replay_moved_to_now_moves_the_times_in_the_messages_too(
    lived: Cluster, recording: Path, tmp_path: Path
) -> None:
    other = Cluster(lived.broker, lived.prefix.replace("recording", "moved"), tmp_path, SETTINGS)
    assert visutility("topics", "create", "--config", other.config).status == 0
    before = time.time()
    moving = ("--speed", "max", "--shift-to", "now", "--skip", 3)
    assert visutility("replay", recording, *moving, "--config", other.config).status == 0
    wanted = [item for item in open_source(recording) if is_of_metrics(item)][3:]
    first = wanted[0]
    again = open_source(f"kafka://{lived.broker.bootstrap_servers}/{other.prefix}metrics?cuts=no")
    found = [item for item in again if isinstance(item, SourceRecord)]
    assert sorted(map(model_and_value, found)) == sorted(map(model_and_value, wanted))
    moved = min(event_time(each) for each in found) - min(event_time(each) for each in wanted)
    assert 0 <= moved - (before - first.timestamp / 1000) < 60
    assert all(each.timestamp / 1000 >= before - 1 for each in found)


def is_of_metrics(item: Item) -> TypeGuard[SourceRecord]:
    return isinstance(item, SourceRecord) and item.topic.endswith("metrics")


def told(record: SourceRecord) -> tuple[object, ...]:
    return record.key, record.value, record.headers, record.timestamp


def model_and_value(record: SourceRecord) -> str:
    """A message without its time; what is no message as it is."""
    try:
        message = json.loads(record.value or b"null")
        return json.dumps(message | {"timestamp": 0}) if isinstance(message, dict) else str(record.value)
    except ValueError:
        return str(record.value)


def event_time(record: SourceRecord) -> float:
    try:
        return float(json.loads(record.value or b"null")["timestamp"])
    except (TypeError, ValueError):
        return float("inf")


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        (("record", "nix", "--to", "{tmp}/a.jsonl"), 2, "no topic nix at 127.0.0.1"),
        (("record", "--to", "{tmp}/a.json"), 2, "a.json: expected a file named .jsonl, .jsonl.gz or .jsonl.zst"),
        (("record", "--to", "/nowhere/a.jsonl"), 1, "/nowhere/a.jsonl: cannot be written: No such file"),
        (("record", "--to", "{tmp}/a.jsonl", "--since", "soon"), 2, "--since: expected an offset or a time such as"),
        (("record", "--to", "{tmp}/a.jsonl", "--rotate", "big"), 2, "--rotate: expected a size such as 500MB"),
        (
            ("record", "--to", "{tmp}/a.jsonl", "--from", "127.0.0.1:1"),
            1,
            "no Kafka broker answers at 127.0.0.1:1",
        ),
        (("replay", "{tmp}/none.jsonl"), 2, "none.jsonl: cannot be read: No such file"),
        (("replay", "{recording}", "--speed", "fast"), 2, "--speed: expected max or a number above 0"),
        (("replay", "{recording}", "--shift-to", "soon"), 2, "--shift-to: expected now or a time such as"),
        (("replay", "{recording}", "--topic", "drift"), 2, "has no topic 'drift' to replay: there are test-recording"),
        (("replay", "{recording}", "--to", "127.0.0.1:1"), 1, "check bootstrap_servers; 0 records are sent"),
        (("replay", "kafka://127.0.0.1:1/t"), 2, "no Kafka broker answers at 127.0.0.1:1"),
        (("replay", "kafka://127.0.0.1/t?since=3"), 2, "no option 'since': there are from, to and cuts"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    lived: Cluster, recording: Path, tmp_path: Path, arguments: tuple[str, ...], status: int, reason: str
) -> None:
    filled = [each.format(tmp=tmp_path, recording=recording) for each in arguments]
    ran = visutility(*filled, "--config", lived.config)
    assert (ran.status, reason in ran.err) == (status, True), ran.err
