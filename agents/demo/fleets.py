"""Runs the fleets in a process of their own: as in production, Kafka is all that they share with the worker."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from multiprocessing.context import SpawnProcess

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from agents.demo.fleet import Fleet, first_fleets
from agents.demo.plan import Plan
from agents.registry.actions import By
from agents.registry.artifacts import ArtifactStore
from agents.registry.client import ModelRegistry
from agents.registry.view import NotFound
from schemas.message import Message
from schemas.metrics import Heartbeat, InferenceFailure
from schemas.models import CHAMPION, ModelAlias
from streams.clients import new_producer
from streams.topic_log import TopicMissing

HEARTBEAT_SECONDS = 5.0
STOP_SECONDS = 5.0
ACTOR = "fleets"
"""Who registered the first versions."""


@contextmanager
def running_fleets(plan: Plan) -> Iterator[SpawnProcess]:
    """Start the fleets' process; stop it at the end. Whoever holds it should see whether it is still alive."""
    process = multiprocessing.get_context("spawn").Process(target=run_fleets, args=(plan,), name="fleets", daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.terminate()
        process.join(STOP_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()


def run_fleets(plan: Plan) -> None:
    """Serve until SIGTERM, or until the process that started this one is gone. Exits with 1 if something fails."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes of a terminal; the parent ends this one
    try:
        asyncio.run(_serve(plan))
    except (OSError, ValueError, KafkaError, TopicMissing) as problem:
        sys.exit(f"fleets: {problem or type(problem).__name__}")


async def _serve(plan: Plan) -> None:
    fleets = {fleet.name: fleet for fleet in first_fleets(plan)}
    producer = new_producer(plan.connection, linger_ms=5)
    deployed = asyncio.Event()
    async with producer:
        work = [_send_batches(fleet, plan, producer, deployed) for fleet in fleets.values()]
        work += [_send_heartbeats(fleet, plan, producer) for fleet in fleets.values()]
        tasks = asyncio.gather(*work, _follow_champions(fleets, plan, producer, deployed), _watch_parent())
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, tasks.cancel)
        try:
            await tasks
        except asyncio.CancelledError:
            await producer.flush()


async def _send_batches(fleet: Fleet, plan: Plan, producer: AIOKafkaProducer, deployed: asyncio.Event) -> None:
    await deployed.wait()
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        for message in fleet.serve(datetime.now(UTC)):
            await producer.send(plan.topic("metrics"), message.to_json(), key=fleet.name.encode())
        due = max(due + 1 / plan.batches_per_second, loop.time())
        await asyncio.sleep(due - loop.time())


async def _send_heartbeats(fleet: Fleet, plan: Plan, producer: AIOKafkaProducer) -> None:
    while True:
        beat = Heartbeat(model_name=fleet.name, model_version=fleet.version, timestamp=datetime.now(UTC))
        await producer.send(plan.topic("metrics"), beat.to_json(), key=fleet.name.encode())
        await asyncio.sleep(HEARTBEAT_SECONDS)


async def _follow_champions(
    fleets: Mapping[str, Fleet], plan: Plan, producer: AIOKafkaProducer, deployed: asyncio.Event
) -> None:
    """Register what the fleets serve with; from then on serve with whatever NAME@champion points at, and nothing else.

    A champion that cannot be used is reported.
    """
    changes: asyncio.Queue[str] = asyncio.Queue()

    def told(key: str, message: Message | None) -> None:
        if isinstance(message, ModelAlias) and message.alias == CHAMPION and message.model_name in fleets:
            changes.put_nowait(message.model_name)

    artifacts = ArtifactStore(plan.data_dir / "artifacts")
    async with ModelRegistry(plan.connection, topic_prefix=plan.topic_prefix, artifacts=artifacts) as registry:
        registry.subscribe(told)
        await asyncio.gather(*(_deploy(fleet, registry) for fleet in fleets.values()))
        deployed.set()
        while True:
            fleet = fleets[await changes.get()]
            try:
                fleet.take(registry.view.champion(fleet.name))
            except (NotFound, ValueError) as problem:
                failure = InferenceFailure(
                    model_name=fleet.name,
                    model_version=fleet.version,
                    timestamp=datetime.now(UTC),
                    error=f"the champion is not taken: {problem}",
                )
                await producer.send(plan.topic("metrics"), failure.to_json(), key=fleet.name.encode())


async def _deploy(fleet: Fleet, registry: ModelRegistry) -> None:
    """Go on with the champion of a run before, if there is one; else register the first version, and promote it."""
    with suppress(NotFound):
        fleet.take(registry.view.champion(fleet.name))
        return
    by = By(ACTOR, datetime.now(UTC), "deployed first")
    await registry.register(fleet.name, fleet.version, fleet.artifact, by)
    await registry.promote(fleet.name, fleet.version, by)


async def _watch_parent() -> None:
    """A process that was killed cannot stop its children: end when it is gone."""
    parent = multiprocessing.parent_process()
    while parent is None or parent.is_alive():  # noqa: ASYNC110 - no event tells of another process's end
        await asyncio.sleep(1.0)
    raise ConnectionAbortedError("the process that started the fleets is gone")
