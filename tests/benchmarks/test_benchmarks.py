"""The benchmarks' own parts: what they send is what the monitor reads, and a small run of each gives every figure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from agents.monitor.stage import MonitorStage
from agents.monitor.state import window_of
from agents.settings import Settings
from benchmarks.__main__ import BENCHMARKS
from benchmarks.environments import PEERS
from benchmarks.kafka import QUIET, Kafka
from benchmarks.latency import CASES, latency
from benchmarks.run import ProcessFailed, Run, median, run_process
from benchmarks.state import CASES as STATES
from benchmarks.state import state
from benchmarks.throughput import OURS, compared
from benchmarks.traffic import PER_MESSAGE, in_turn, metrics, outcomes, states, zipf
from schemas.compact import CompactOutcomes
from streams.brokers.broker import Broker
from streams.partitioner import partition_of
from streams.parts import MemoryTable
from streams.processor import Processor

ROOT = Path(__file__).parents[2]


def benchmarks(*arguments: str, servers: str = "") -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"VISUTILITY_BOOTSTRAP_SERVERS": servers}
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280, check=False)


def measured(broker: Broker, name: str, records: int) -> dict[str, Any]:
    done = benchmarks(name, "--json", "--records", str(records), "--rounds", "1", servers=broker.bootstrap_servers)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_the_monitor_accepts_every_message_that_is_sent() -> None:
    stage = MonitorStage(Settings())
    for key, value in islice(metrics(in_turn(200)), 200):
        message = stage.decode(value, ())
        assert message is not None
        assert message.model_name == key.decode()


def test_an_outcomes_message_holds_as_many_outcomes_as_are_counted() -> None:
    ((_, value),) = outcomes(in_turn(1))
    message = MonitorStage(Settings()).decode(value, ())
    assert isinstance(message, CompactOutcomes)
    assert len(message.y_true) == len(message.y_pred) == PER_MESSAGE


def test_the_models_of_zipf_traffic_are_unequal_and_the_same_each_time() -> None:
    names = list(zipf(10_000, 100))
    assert names == list(zipf(10_000, 100))
    assert names.count("model-0") > 20 * names.count("model-99") > 0


def test_a_seeded_changelog_holds_full_windows_of_each_model() -> None:
    written = MemoryTable(states(Settings(), ["a", "b"], 500))
    seeded = dict(Processor(MonitorStage(Settings()), 0, 1, written).states())
    assert sorted(seeded) == ["a", "b"]
    for name, (model, parts) in seeded.items():
        assert model.model == name
        assert len(window_of(model.versions[-1].series["accuracy"], parts).values) == 500


def test_keys_are_placed_where_the_worker_looks_for_them() -> None:
    assert {partition_of(name, 2) for name in in_turn(50)} == {0, 1}


def test_ratios_are_our_median_over_theirs() -> None:
    result = compared({OURS: [90.0, 100.0, 500.0], "other": [40.0, 50.0, 60.0]})
    assert result == {"records_per_second": {OURS: 100.0, "other": 50.0}, "ratios": {"other": 2.0}}


def test_a_median_has_four_digits() -> None:
    assert median([123_456.0]) == 123_500.0


def test_a_process_without_a_result_is_an_error_with_its_last_words() -> None:
    with pytest.raises(ProcessFailed, match="it said: no broker"):
        run_process("it", [sys.executable, "-c", "import sys; sys.exit('no broker')"])


def test_every_peer_pins_everything_it_installs() -> None:
    pins = [line for file in PEERS.glob("*.txt") for line in file.read_text().splitlines() if not line.startswith("#")]
    assert len(pins) > 50
    assert [pin for pin in pins if "==" not in pin] == []


def test_the_list_names_every_benchmark() -> None:
    done = benchmarks("list", "--json")
    assert (done.returncode, set(json.loads(done.stdout))) == (0, {*BENCHMARKS})


def test_an_unknown_name_is_wrong_usage() -> None:
    done = benchmarks("speed")
    assert done.returncode == 2
    assert "throughput" in done.stderr
    assert "Traceback" not in done.stderr


def run_on(broker: Broker, records: int) -> Run:
    return Run(records, 1, print, Kafka(broker.bootstrap_servers))


def test_latency_gives_three_quantiles_in_their_order(real_broker: Broker) -> None:
    run = run_on(real_broker, 1_000)
    (figures,) = latency(run, CASES[:1]).values()
    run.kafka.clean()
    assert 0 < figures["p50_ms"] <= figures["p99_ms"] <= figures["p99.9_ms"]
    assert figures["drift_events"] > 0


def test_latency_is_measured_while_a_study_runs_and_without_one(real_broker: Broker) -> None:
    result = measured(real_broker, "study", 1000)
    for when in ("without", "during"):
        assert 0 < result[when]["p50_ms"] <= result[when]["p99_ms"] <= result[when]["p99.9_ms"]
    assert result["during_to_without"]["p99_ms"] == pytest.approx(
        result["during"]["p99_ms"] / result["without"]["p99_ms"], rel=1e-2
    )


def test_what_a_group_has_committed_is_deleted_and_the_rest_stays(real_broker: Broker) -> None:
    kafka = Kafka(real_broker.bootstrap_servers)
    topic, group = kafka.name("read"), kafka.name("group")
    kafka.create(topic)
    kafka.fill(topic, ((b"", b"%d" % number) for number in range(10)), lambda _: 0)
    kafka.forget(group, topic)  # which has committed nothing
    consumer = Consumer(QUIET | {"bootstrap.servers": kafka.bootstrap_servers, "group.id": group})
    consumer.commit(offsets=[TopicPartition(topic, 0, 7)], asynchronous=False)
    kafka.forget(group, topic)
    try:
        assert consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=60) == (7, 10)
    finally:
        consumer.close()
        kafka.clean()


def test_state_costs_are_there_for_each_case_and_memory_for_each_number_of_models(real_broker: Broker) -> None:
    run, few = run_on(real_broker, 2_000), [STATES[0], STATES[-1]]
    result = state(run, few)
    run.kafka.clean()
    for figures in ("changelog_bytes_per_record", "cpu_microseconds_per_record", "records_per_second"):
        assert set(result[figures]) == {case.name for case in few}
        assert all(value > 0 for value in result[figures].values())
    for when in ("memory_bytes_when_restored", "memory_bytes_with_a_kept_disk"):
        assert set(result[when]) == {"1,000 models", "2,000 models"}
        assert all(size > 2**20 for size in result[when].values())
