"""The runner: it does what the state names, once, and stops what is no longer wanted. With real processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agents.registry.artifacts import load_artifact
from agents.tuner.agent import TrialRunner
from agents.tuner.pool import TrialPool
from agents.tuner.stage import TunerStage
from agents.tuner.study import TunerState
from schemas.internal import TrainingFinished
from schemas.message import Message
from schemas.models import ModelVersion
from schemas.trials import StudyFinished, TrialResult, TrialState
from tests.tuner.making import apply, request, stage

SLEEPER = {"how": {"type": "choice", "choices": ["sleep"]}}


class Loop:
    """What a worker does for one model, without Kafka: take a result, step, reconcile."""

    def __init__(self, tuner: TunerStage, artifacts: Path, pool: TrialPool) -> None:
        self.tuner, self.state, self.partition = tuner, TunerState(), 0
        self.fed: list[Message] = []
        self.published: list[Message] = []
        self.ended = asyncio.Event()
        self.runner = TrialRunner(tuner, self.feed, artifacts, pool)

    async def feed(self, model_name: str, message: Message) -> None:
        """Take a result and step, as a commit would."""
        assert message.model_name == model_name
        self.fed.append(message)
        await self.take(message)

    async def take(self, message: Message) -> None:
        """Step and reconcile."""
        self.state, outputs = apply(self.tuner, self.state, message)
        self.published += outputs
        self.runner.reconcile(self.partition, message.model_name, self.state)
        if any(isinstance(output, StudyFinished) for output in outputs):
            self.ended.set()


@pytest.fixture
async def pool() -> AsyncIterator[TrialPool]:
    opened = TrialPool(workers=2)
    yield opened
    await opened.close()


async def test_a_request_runs_its_trials_and_its_training_and_registers_a_real_artifact(
    pool: TrialPool, tmp_path: Path
) -> None:
    loop = Loop(stage(parallel=2), tmp_path, pool)
    await loop.take(request())
    await loop.ended.wait()
    results = [message for message in loop.published if isinstance(message, TrialResult)]
    assert sorted(result.number for result in results) == list(range(10))
    assert all(result.state is TrialState.COMPLETE for result in results)
    (version,) = [message for message in loop.published if isinstance(message, ModelVersion)]
    assert load_artifact(version.artifact, version.sha256) == b"m ['lr']"
    assert version.metrics["accuracy"] == 0.9
    assert [type(message) for message in loop.fed] == [TrialResult] * 10 + [TrainingFinished]
    assert loop.runner.running == 0


async def test_failing_trials_end_the_study_and_not_the_runner(pool: TrialPool, tmp_path: Path) -> None:
    space = {"how": {"type": "choice", "choices": ["raise", "nan", "exit code"]}}
    loop = Loop(stage(parallel=2, trials=6, space=space), tmp_path, pool)
    await loop.take(request())
    await loop.ended.wait()
    (finished,) = [message for message in loop.published if isinstance(message, StudyFinished)]
    assert finished.state == "failed"
    loop.ended.clear()
    loop.tuner = stage(trials=2)
    loop.runner = TrialRunner(loop.tuner, loop.feed, tmp_path, pool)
    await loop.take(request("request-2"))
    await loop.ended.wait()
    assert isinstance(loop.published[-1], ModelVersion)


async def test_reconciling_again_starts_nothing_twice(pool: TrialPool, tmp_path: Path) -> None:
    loop = Loop(stage(parallel=2, trials=4), tmp_path, pool)
    await loop.take(request())
    for _ in range(5):
        loop.runner.reconcile(0, "m", loop.state)
    assert loop.runner.running == 2
    await loop.ended.wait()
    assert len(loop.fed) == 5


async def test_a_result_that_was_fed_but_is_not_committed_yet_is_not_done_again(
    pool: TrialPool, tmp_path: Path
) -> None:
    fed: list[Message] = []
    arrived = asyncio.Event()

    def feed(model_name: str, message: Message) -> None:
        fed.append(message)
        arrived.set()

    tuner = stage(trials=3)
    runner = TrialRunner(tuner, feed, tmp_path, pool)
    state, _ = apply(tuner, TunerState(), request())
    runner.reconcile(0, "m", state)
    await arrived.wait()
    runner.reconcile(0, "m", state)  # another commit of the same key, before the result's own
    assert runner.running == 0
    assert len(fed) == 1
    runner.drop(0)  # the transaction was aborted: the result is lost, and what the state names runs again
    runner.reconcile(0, "m", state)
    assert runner.running == 1
    arrived.clear()
    await arrived.wait()
    assert [message.event_id for message in fed] == [fed[0].event_id] * 2


async def test_a_result_that_could_not_be_fed_is_done_again_at_the_next_reconcile(
    pool: TrialPool, tmp_path: Path
) -> None:
    attempts = 0
    arrived = asyncio.Event()

    def feed(model_name: str, message: Message) -> None:
        nonlocal attempts
        attempts += 1
        arrived.set()
        if attempts == 1:
            raise RuntimeError("the partition is gone")

    tuner = stage(trials=3)
    runner = TrialRunner(tuner, feed, tmp_path, pool)
    state, _ = apply(tuner, TunerState(), request())
    runner.reconcile(0, "m", state)
    await arrived.wait()
    arrived.clear()
    await asyncio.sleep(0)
    runner.reconcile(0, "m", state)
    await arrived.wait()
    assert attempts == 2


async def test_a_lost_partition_ends_its_trials_and_no_others(pool: TrialPool, tmp_path: Path) -> None:
    fed: list[Message] = []
    tuner = stage(space=SLEEPER)
    runner = TrialRunner(tuner, lambda name, message: fed.append(message), tmp_path, pool)
    for partition, model in ((0, "a"), (1, "b")):
        state, _ = apply(tuner, TunerState(), request(model=model))
        runner.reconcile(partition, model, state)
    assert runner.running == 2
    await asyncio.sleep(0.3)
    runner.drop(0)
    await asyncio.sleep(0.3)
    assert runner.running == 1
    assert fed == []
    await runner.close()
    assert runner.running == 0


async def test_work_that_the_state_no_longer_names_is_ended(pool: TrialPool, tmp_path: Path) -> None:
    fed: list[Message] = []
    tuner = stage(space=SLEEPER)
    runner = TrialRunner(tuner, lambda name, message: fed.append(message), tmp_path, pool)
    state, _ = apply(tuner, TunerState(), request())
    runner.reconcile(0, "m", state)
    assert runner.running == 1
    runner.reconcile(0, "m", TunerState())
    assert runner.running == 0
    await runner.close()
    assert fed == []


async def test_a_training_whose_metrics_fit_no_message_ends_the_study_failed(pool: TrialPool, tmp_path: Path) -> None:
    space = {"training": {"type": "choice", "choices": ["odd metric"]}}
    loop = Loop(stage(trials=1, space=space), tmp_path, pool)
    await loop.take(request())
    await loop.ended.wait()
    (finished,) = [message for message in loop.published if isinstance(message, StudyFinished)]
    assert finished.state == "failed"
    assert "metrics" in finished.reason


async def test_a_closed_runner_starts_nothing_and_fails_nothing(pool: TrialPool, tmp_path: Path) -> None:
    loop = Loop(stage(trials=2), tmp_path, pool)
    await loop.runner.close()
    await loop.take(request())  # the last checkpoint of a worker that stops
    await asyncio.sleep(0.2)
    assert loop.runner.running == 0
    assert loop.fed == []
