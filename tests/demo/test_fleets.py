"""The fleets' process on a broker: they serve, follow their champion, and end when told to."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agents.demo.digits import fit, load_recent, pools, save_classifier
from agents.demo.fleets import ACTOR, running_fleets
from agents.demo.history import History
from agents.demo.observer import Observer
from agents.demo.plan import DEGRADED, FLEETS, Plan
from agents.demo.rules import demo_settings
from agents.registry import actions
from agents.registry.actions import By
from agents.registry.client import ModelRegistry
from agents.worker import engine_settings
from schemas.message import Message
from schemas.metrics import InferenceFailure
from schemas.models import CHAMPION
from streams.brokers.embedded import EmbeddedBroker
from streams.topics import create_topics, wanted_topics

DEGRADE_AT = 5


@pytest.fixture
def plan(tmp_path: Path) -> Iterator[Plan]:
    with EmbeddedBroker() as broker:
        plan = Plan(broker.bootstrap_servers, "fleets-test.", tmp_path, degrade_at=DEGRADE_AT, batches_per_second=20.0)
        engine = engine_settings(demo_settings(plan, exactly_once=False))
        asyncio.run(create_topics(plan.bootstrap_servers, wanted_topics(engine, [])))
        yield plan


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
    return [error for error in errors if error.startswith("the champion is not taken: the artifact")]


def by() -> By:
    return By("ada", datetime.now(UTC))


@asynccontextmanager
async def registry_of(plan: Plan) -> AsyncIterator[ModelRegistry]:
    """The registry, once the fleets have registered what they begin with."""
    async with ModelRegistry(plan.bootstrap_servers, topic_prefix=plan.topic_prefix) as registry:
        changed = asyncio.Event()
        registry.subscribe(lambda *_: changed.set())
        while not all(CHAMPION in registry.view.aliases(name) for name in FLEETS):
            changed.clear()
            await changed.wait()
        yield registry


async def register(registry: ModelRegistry, version: str, sha256: str, artifact: Path) -> None:
    stored = (artifact.as_uri(), sha256)
    await registry.write([actions.register(registry.view, DEGRADED, version, stored, by())])


def test_a_promoted_version_is_taken_and_recovers_what_the_camera_cost(plan: Plan) -> None:
    async def run() -> None:
        history = History(DEGRADE_AT)
        async with Observer(plan) as observer, registry_of(plan) as registry:
            await read_until(observer, history, lambda _: len(history.readings[DEGRADED]) >= 3 * DEGRADE_AT)
            artifact = plan.data_dir / "v2.npz"
            sha256 = save_classifier(fit(load_recent(plan.data_dir, DEGRADED)), artifact)
            await register(registry, "v2", sha256, artifact)
            await registry.promote(DEGRADED, "v2", by())
            await read_until(observer, history, lambda _: history.recovered_batches >= 35)
        before, drifted, recovered = history.accuracy()[DEGRADED].values()
        assert before is not None
        assert drifted is not None
        assert recovered is not None
        assert drifted < recovered - 0.2
        assert recovered > before - 0.1

    with running_fleets(plan):
        asyncio.run(run())


def test_fleets_begin_as_champions_and_follow_the_alias_alone_forward_and_back(plan: Plan) -> None:
    async def run() -> None:
        history = History(DEGRADE_AT)

        async def serves(version: str) -> None:
            served = len(history.readings[DEGRADED])
            await read_until(
                observer,
                history,
                lambda _: [each.version for each in history.readings[DEGRADED][served:]][-5:] == [version] * 5,
            )

        async with Observer(plan) as observer:
            await serves("v1")
            async with registry_of(plan) as registry:
                first = {name: registry.view.champion(name) for name in FLEETS}
                assert {(each.version, each.actor) for each in first.values()} == {("v1", ACTOR)}
                artifact = plan.data_dir / "v2.npz"
                await register(registry, "v2", save_classifier(fit(pools(1).train), artifact), artifact)
                await registry.promote(DEGRADED, "v2", by(), alias="challenger")
                await serves("v1")
                await registry.promote(DEGRADED, "v2", by())
                await serves("v2")
                await registry.rollback(DEGRADED, by())
                await serves("v1")
        versions = [reading.version for reading in history.readings[DEGRADED]]
        assert [one for one, two in itertools.pairwise([*versions, "end"]) if one != two] == ["v1", "v2", "v1"]
        assert {reading.version for reading in history.readings[FLEETS[0]]} == {"v1"}

    with running_fleets(plan):
        asyncio.run(run())


def test_fleets_that_are_started_again_go_on_with_the_champion_of_before(plan: Plan) -> None:
    async def promote_another() -> None:
        async with registry_of(plan) as registry:
            artifact = plan.data_dir / "v2.npz"
            await register(registry, "v2", save_classifier(fit(pools(1).train), artifact), artifact)
            await registry.promote(DEGRADED, "v2", by())

    async def follow(begun: datetime) -> set[str | None]:
        versions: list[str | None] = []
        async with Observer(plan) as observer:
            async for news in observer.news():
                sent = [each for _, each in news if each.type == "metrics" and each.model_name == DEGRADED]
                versions += [each.model_version for each in sent if each.timestamp >= begun]
                if len(versions) > 2:
                    break
        return set(versions)

    with running_fleets(plan):
        asyncio.run(promote_another())
    begun = datetime.now(UTC)
    with running_fleets(plan):
        assert asyncio.run(follow(begun)) == {"v2"}


def test_a_version_that_cannot_be_verified_is_reported_and_not_taken(plan: Plan) -> None:
    async def run() -> None:
        history = History(DEGRADE_AT)
        async with Observer(plan) as observer, registry_of(plan) as registry:
            await read_until(observer, history, lambda _: len(history.readings[DEGRADED]) > 0)
            artifact = plan.data_dir / "v2.npz"
            artifact.write_bytes(b"not what was published")
            await register(registry, "v2", "0" * 64, artifact)
            await registry.promote(DEGRADED, "v2", by())
            await read_until(observer, history, lambda messages: bool(refusals(messages)))
            await read_until(observer, history, lambda messages: len(messages) > 20)
        assert {reading.version for reading in history.readings[DEGRADED]} == {"v1"}

    with running_fleets(plan):
        asyncio.run(run())


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


def test_fleets_without_a_broker_end_with_one_line(plan: Plan, capfd: pytest.CaptureFixture[str]) -> None:
    with running_fleets(replace(plan, bootstrap_servers="127.0.0.1:9")) as process:
        process.join(50)
        assert process.exitcode == 1
    complaint = [line for line in capfd.readouterr().err.splitlines() if line.startswith("fleets:")]
    assert len(complaint) == 1
    assert "no Kafka broker answers at 127.0.0.1:9" in complaint[0]
