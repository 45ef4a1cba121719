"""The shell around the studies: it asks samplers and trains winners, once, and stops what is no longer wanted.

With real processes; trials run here as a runner would run them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agents.registry.artifacts import load_artifact
from agents.runner.trials import call_of, epoch_end_of, result_of
from agents.tuner.agent import StudyRunner
from agents.tuner.pool import TrialPool
from agents.tuner.stage import TunerStage
from agents.tuner.state import TunerState
from schemas.internal import TrainingFinished, TrialsAsked
from schemas.message import Message
from schemas.models import ModelAlias, ModelVersion
from schemas.trial_requests import TrialRequest
from schemas.trials import StudyFinished, TrialResult, TrialState
from tests.tuner.making import apply, event, request, run_trials, stage

SLOW_TRAINING = {"training": {"type": "choice", "choices": ["sleep"]}}


class Loop:
    """What workers do for one model, without Kafka: step, reconcile, run what is handed out."""

    def __init__(self, tuner: TunerStage, artifacts: Path, pool: TrialPool) -> None:
        self.tuner, self.state, self.pool = tuner, TunerState(), pool
        self.fed: list[Message] = []
        self.published: list[Message] = []
        self.ended = asyncio.Event()
        self.runner = StudyRunner(tuner, self.feed, artifacts, pool)
        self.trials: set[asyncio.Task[None]] = set()

    async def feed(self, model_name: str, message: Message) -> None:
        """Take a result and step, as a commit would."""
        assert message.model_name == model_name
        self.fed.append(message)
        await self.take(message)

    async def take(self, message: Message) -> None:
        """Step and reconcile."""
        self.state, outputs = self.tuner.step(self.state, [event(message)])
        self.runner.reconcile(0, message.model_name, self.state)
        for output in outputs:
            assert output.message is not None
            self.published.append(output.message)
            if isinstance(output.message, TrialRequest):
                self.trials.add(asyncio.create_task(self.run(output.message)))
            elif isinstance(output.message, StudyFinished):
                self.ended.set()

    async def run(self, trial: TrialRequest) -> None:
        """Run a trial as a runner does."""
        ended = await self.pool.run_trial(call_of(trial))
        for step, value in sorted(ended.reports.items()):
            await self.take(epoch_end_of(trial, step, value, trial.timestamp))
        await self.take(result_of(trial, ended))

    def only(self, kind: type[Message]) -> list[Any]:
        """What was published of one kind."""
        return [message for message in self.published if isinstance(message, kind)]


@pytest.fixture
async def pool() -> AsyncIterator[TrialPool]:
    opened = TrialPool(workers=2)
    yield opened
    await opened.close()


@pytest.mark.parametrize("sampler", ["random", "tpe"])
async def test_a_request_runs_its_trials_and_its_training_and_registers_a_real_artifact(
    pool: TrialPool, tmp_path: Path, sampler: str
) -> None:
    loop = Loop(stage(parallel=2, sampler=sampler), tmp_path, pool)
    await loop.take(request())
    await loop.ended.wait()
    results = loop.only(TrialResult)
    assert sorted(result.number for result in results) == list(range(10))
    assert all(result.state is TrialState.COMPLETE for result in results)
    (version,) = loop.only(ModelVersion)
    assert load_artifact(version.artifact, version.sha256) == b"m ['lr']"
    assert version.metrics["accuracy"] == 0.9
    assert isinstance(loop.fed[-1], TrainingFinished)
    assert {type(message) for message in loop.fed[:-1]} == {TrialsAsked}
    assert sum(len(message.params) for message in loop.fed if isinstance(message, TrialsAsked)) == 10
    assert loop.runner.running == 0
    await loop.runner.close()


async def test_failing_trials_end_the_study_and_not_the_runner(pool: TrialPool, tmp_path: Path) -> None:
    space = {"how": {"type": "choice", "choices": ["raise", "nan", "exit code"]}}
    loop = Loop(stage(parallel=2, trials=6, space=space), tmp_path, pool)
    await loop.take(request())
    await loop.ended.wait()
    (finished,) = loop.only(StudyFinished)
    assert finished.state == "failed"
    loop.ended.clear()
    loop.tuner = stage(trials=2)
    loop.runner = StudyRunner(loop.tuner, loop.feed, tmp_path, pool)
    await loop.take(request("request-2"))
    await loop.ended.wait()
    assert [type(message) for message in loop.published[-2:]] == [ModelVersion, ModelAlias]


async def test_a_sampler_that_cannot_be_made_fails_the_study_with_its_reason(pool: TrialPool, tmp_path: Path) -> None:
    loop = Loop(stage(sampler="tpe", sampler_options={"temperature": 3}), tmp_path, pool)
    await loop.take(request())
    await loop.ended.wait()
    (finished,) = loop.only(StudyFinished)
    assert finished.state == "failed"
    assert "the sampler failed: ValueError: sampler 'tpe' has no parameter 'temperature'" in finished.reason
    await loop.runner.close()


def trained(tuner: TunerStage) -> TunerState:
    """A study whose trials have ended, so that it wants its training."""
    state, _ = run_trials(tuner, apply(tuner, TunerState(), request())[0])
    return state


async def test_reconciling_again_starts_nothing_twice(pool: TrialPool, tmp_path: Path) -> None:
    fed: list[Message] = []
    arrived = asyncio.Event()

    def feed(model_name: str, message: Message) -> None:
        fed.append(message)
        arrived.set()

    tuner = stage(trials=1)
    runner, state = StudyRunner(tuner, feed, tmp_path, pool), trained(tuner)
    for _ in range(5):
        runner.reconcile(0, "m", state)
    assert runner.running == 1
    await arrived.wait()
    await asyncio.sleep(0.2)
    assert len(fed) == 1


async def test_a_result_that_was_fed_but_is_not_committed_yet_is_not_done_again(
    pool: TrialPool, tmp_path: Path
) -> None:
    fed: list[Message] = []
    arrived = asyncio.Event()

    def feed(model_name: str, message: Message) -> None:
        fed.append(message)
        arrived.set()

    tuner = stage(trials=1)
    runner, state = StudyRunner(tuner, feed, tmp_path, pool), trained(tuner)
    runner.reconcile(0, "m", state)
    await arrived.wait()
    runner.reconcile(0, "m", state)  # another commit of the same key, before the result's own
    assert runner.running == 0
    assert len(fed) == 1
    runner.drop(0)  # the transaction was aborted: the result is lost, and what the state names is done again
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

    tuner = stage(trials=1)
    runner, state = StudyRunner(tuner, feed, tmp_path, pool), trained(tuner)
    runner.reconcile(0, "m", state)
    await arrived.wait()
    arrived.clear()
    await asyncio.sleep(0)
    runner.reconcile(0, "m", state)
    await arrived.wait()
    assert attempts == 2


async def test_a_lost_partition_ends_its_trainings_and_no_others(pool: TrialPool, tmp_path: Path) -> None:
    fed: list[Message] = []
    tuner = stage(trials=1, space=SLOW_TRAINING)
    runner = StudyRunner(tuner, lambda name, message: fed.append(message), tmp_path, pool)
    for partition, model in ((0, "a"), (1, "b")):
        state, _ = apply(tuner, TunerState(), request(model=model))
        state, _ = run_trials(tuner, state)
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
    tuner = stage(trials=1, space=SLOW_TRAINING)
    runner = StudyRunner(tuner, lambda name, message: fed.append(message), tmp_path, pool)
    runner.reconcile(0, "m", trained(tuner))
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
    (finished,) = loop.only(StudyFinished)
    assert finished.state == "failed"
    assert "metrics" in finished.reason


async def test_a_closed_runner_starts_nothing_and_fails_nothing(pool: TrialPool, tmp_path: Path) -> None:
    loop = Loop(stage(trials=2), tmp_path, pool)
    await loop.runner.close()
    await loop.take(request())  # the last checkpoint of a worker that stops
    await asyncio.sleep(0.2)
    assert loop.runner.running == 0
    assert loop.fed == []
