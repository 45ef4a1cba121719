"""A worker tells Prometheus what it does; rules and panels ask for nothing that is not told."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import ClientSession
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from agents.dashboard.telemetry import registry_of
from agents.telemetry import AddressTaken, Telemetry
from streams.brokers.broker import Broker
from tests.dashboard.making import drift, request, status, trial
from tests.dashboard.memory import MemorySource
from tests.engine.live import Live, until

DEPLOY = Path(__file__).parents[2] / "deploy"
PROMTOOL = shutil.which("promtool")


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    found: Iterator[Sample] = (each for family in text_string_to_metric_families(text) for each in family.samples)
    return {(each.name, frozenset(each.labels.items())): each.value for each in found}


def value(text: str, name: str, **labels: str) -> float:
    return samples(text)[name, frozenset(labels.items())]


async def told(port: int, path: str) -> tuple[int, str]:
    async with ClientSession() as session, session.get(f"http://127.0.0.1:{port}/{path}") as answer:
        return answer.status, await answer.text()


async def test_what_a_worker_has_committed_is_counted(real_broker: Broker, topic_prefix: str, tmp_path: Path) -> None:
    live = await Live.on(real_broker.bootstrap_servers, topic_prefix, tmp_path)
    worker = live.new_worker()
    telemetry = Telemetry("127.0.0.1:0", topic_prefix, lambda: worker.ready)
    telemetry.watch_stages(worker)
    port = await telemetry.start()
    try:
        assert (await told(port, "health/ready"))[0] == 503
        assert (await told(port, "health/live"))[0] == 200
        await worker.start()
        await until(lambda: worker.ready)
        assert (await told(port, "health/ready"))[0] == 200
        await live.send([1.0, 2.0, 3.0])
        async with live.producer() as producer:
            await producer.send_and_wait(live.settings.topic("metrics"), b"no JSON", partition=0)
        await until(lambda: worker.engines()["summing"].tally.records == 4)
        _, text = await told(port, "metrics")
    finally:
        await worker.stop()
        await telemetry.stop()
    assert value(text, "visutility_records_total", stage="summing") == 4
    assert value(text, "visutility_outputs_total", stage="summing", topic="dead-letter") == 1
    assert value(text, "visutility_lag_records", stage="summing", topic="metrics") == 0
    assert value(text, "visutility_delay_seconds", stage="summing") == 0
    assert value(text, "visutility_unwritten_bytes", stage="summing") > 0
    assert value(text, "visutility_unwritten_changelog_bytes", stage="summing") > 0
    assert (value(text, "visutility_ready"), value(text, "visutility_partitions", stage="summing")) == (1, 1)
    checkpoints = value(text, "visutility_checkpoint_seconds_count", stage="summing")
    assert checkpoints >= 1
    assert value(text, "visutility_checkpoint_seconds_bucket", stage="summing", le="+Inf") == checkpoints
    shares = [value(text, f"visutility_{each}_seconds_sum", stage="summing") for each in ("transaction", "checkpoint")]
    assert 0 < shares[0] <= shares[1]
    _check_with_promtool(text)


def test_the_dashboard_counts_what_the_topics_say() -> None:
    source, asked = MemorySource(), request()
    source.put("status", status("drift"), status("silent", "other"))
    source.put("drift", drift(), drift(severity="warning"))
    source.put("retrain", asked)
    source.put("trials", trial(asked, 0), trial(asked, 1, state="failed", score=None, error="no"))
    text = generate_latest(registry_of(source)).decode()
    assert value(text, "visutility_models", state="silent") == 1
    assert value(text, "visutility_models", state="ok") == 0
    assert value(text, "visutility_messages_total", type="trial_result", outcome="failed") == 1
    assert value(text, "visutility_messages_total", type="drift_detected", outcome="warning") == 1
    assert value(text, "visutility_dashboard_ready") == 1
    _check_with_promtool(text)


async def test_an_address_that_is_taken_is_named() -> None:
    first = Telemetry("127.0.0.1:0", "p.", lambda: True)
    port = await first.start()
    second = Telemetry(f"127.0.0.1:{port}", "p.", lambda: True)
    with pytest.raises(AddressTaken, match=f"metrics_address 127.0.0.1:{port}"):
        await second.start()
    await second.stop()
    await first.stop()


def _check_with_promtool(text: str) -> None:
    if PROMTOOL is not None:
        checked = subprocess.run(
            [PROMTOOL, "check", "metrics"], input=text, capture_output=True, text=True, check=False
        )
        assert (checked.returncode, checked.stderr + checked.stdout) == (0, "")


@pytest.mark.skipif(PROMTOOL is None, reason="no promtool: apt install prometheus")
@pytest.mark.parametrize(("what", "file"), [("rules", "alerts.yml"), ("config", "prometheus.yml")])
def test_promtool_finds_nothing_wrong(what: str, file: str) -> None:
    command = [PROMTOOL or "", "check", what, str(DEPLOY / "prometheus" / file)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "SUCCESS" in checked.stdout


def test_rules_and_panels_ask_for_metrics_that_are_told() -> None:
    board = json.loads((DEPLOY / "grafana" / "dashboards" / "visutility.json").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    asked.append((DEPLOY / "prometheus" / "alerts.yml").read_text())
    names = set(re.findall(r"visutility_[a-z_]+", "\n".join(asked)))
    documented = "\n".join(
        (Path(__file__).parents[2] / each).read_text()
        for each in ("streams/telemetry.py", "agents/telemetry.py", "agents/dashboard/telemetry.py")
    )
    known = set(re.findall(r"visutility_[a-z_]+", documented))
    known |= {f"{name}{end}" for name in known for end in ("_bucket", "_count", "_sum", "_total")}
    assert names
    assert names <= known


def test_what_compose_mounts_is_there() -> None:
    mounted = re.findall(r"- \./(\S+?):", (DEPLOY.parent / "docker-compose.yml").read_text())
    assert mounted
    assert all((DEPLOY.parent / path).exists() for path in mounted)
