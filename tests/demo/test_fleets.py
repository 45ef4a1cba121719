"""The fleets' process on a broker: they serve, take what is published on `models`, and end when told to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from agents.demo.digits import fit, load_recent, save_classifier
from agents.demo.fleets import running_fleets
from agents.demo.history import History
from agents.demo.observer import Observer
from agents.demo.plan import DEGRADED, FLEETS, Plan
from schemas.message import Message
from schemas.metrics import InferenceFailure
from schemas.models import ModelVersion, version_key
from streams.brokers.embedded import EmbeddedBroker

DEGRADE_AT = 5


@pytest.fixture
def plan(tmp_path: Path) -> Iterator[Plan]:
    with EmbeddedBroker() as broker:
        yield Plan(broker.bootstrap_servers, "fleets-test.", tmp_path, degrade_at=DEGRADE_AT, batches_per_second=20.0)


async def read_until(observer: Observer, history: History, enough: Callable[[list[Message]], bool]) -> None:
    messages: list[Message] = []
    async for news in observer.news():
        for topic, message in news:
            history.add(topic, message)
            messages.append(message)
        if enough(messages):
            return


def refusals(messages: list[Message]) -> list[str]:
    errors = [message.error for message in messages if isinstance(message, InferenceFailure)]
    return [error for error in errors if error.startswith("version v2 is not taken: the artifact")]


async def publish(plan: Plan, version: str, sha256: str, artifact: Path) -> None:
    message = ModelVersion(
        event_id=version,
        model_name=DEGRADED,
        timestamp=datetime.now(UTC),
        version=version,
        sha256=sha256,
        artifact=artifact.as_uri(),
    )
    async with AIOKafkaProducer(bootstrap_servers=plan.bootstrap_servers) as producer:
        await producer.send_and_wait(
            plan.topic("models"), message.to_json(), key=version_key(DEGRADED, version).encode(), partition=0
        )


@pytest.mark.timeout(90)
def test_a_published_version_is_taken_and_recovers_what_the_camera_cost(plan: Plan) -> None:
    async def run() -> None:
        history = History(DEGRADE_AT)
        async with Observer(plan) as observer:
            await read_until(observer, history, lambda _: len(history.readings[DEGRADED]) >= 3 * DEGRADE_AT)
            artifact = plan.data_dir / "v2.npz"
            await publish(plan, "v2", save_classifier(fit(load_recent(plan.data_dir, DEGRADED)), artifact), artifact)
            await read_until(observer, history, lambda _: history.complete)
        before, drifted, recovered = history.accuracy()[DEGRADED].values()
        assert before is not None
        assert drifted is not None
        assert recovered is not None
        assert drifted < recovered - 0.2
        assert recovered > before - 0.1

    with running_fleets(plan):
        asyncio.run(run())


@pytest.mark.timeout(90)
def test_a_version_that_cannot_be_verified_is_reported_and_not_taken(plan: Plan) -> None:
    async def run() -> None:
        history = History(DEGRADE_AT)
        async with Observer(plan) as observer:
            await read_until(observer, history, lambda _: len(history.readings[DEGRADED]) > 0)
            artifact = plan.data_dir / "v2.npz"
            artifact.write_bytes(b"not what was published")
            await publish(plan, "v2", "0" * 64, artifact)
            await read_until(observer, history, lambda messages: bool(refusals(messages)))
            await read_until(observer, history, lambda messages: len(messages) > 20)
        assert {reading.version for reading in history.readings[DEGRADED]} == {"v1"}

    with running_fleets(plan):
        asyncio.run(run())


@pytest.mark.timeout(60)
def test_all_fleets_send_heartbeats_and_end_when_told_to(plan: Plan) -> None:
    async def run() -> set[str]:
        names: set[str] = set()
        async with Observer(plan) as observer:
            async for news in observer.news():
                names |= {message.model_name for _, message in news if message.type == "heartbeat"}
                if len(names) == len(FLEETS):
                    break
        return names

    with running_fleets(plan) as process:
        assert asyncio.run(run()) == set(FLEETS)
    assert process.exitcode == 0


@pytest.mark.timeout(60)
def test_fleets_without_a_broker_end_with_one_line(plan: Plan, capfd: pytest.CaptureFixture[str]) -> None:
    with running_fleets(replace(plan, bootstrap_servers="127.0.0.1:9")) as process:
        process.join(50)
        assert process.exitcode == 1
    complaint = [line for line in capfd.readouterr().err.splitlines() if line.startswith("fleets:")]
    assert len(complaint) == 1
    assert "Unable to bootstrap" in complaint[0]
