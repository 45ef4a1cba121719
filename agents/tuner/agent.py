"""The tuner's shell: does what `TunerStage.work` names, and feeds the results back as messages."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from agents.tuner.pool import TrialPool
from agents.tuner.sampling import SamplingCall, choose, is_light
from agents.tuner.stage import TunerStage
from agents.tuner.state import TunerState
from agents.tuner.work import SamplingWork, TrainingWork, Work
from agents.tuner.worker import TrainingCall, error_line
from schemas.message import Message

log = logging.getLogger(__name__)

Feed = Callable[[str, Message], Awaitable[None] | None]
"""Takes a model's name and a result for it; may be a coroutine function. Called on the event loop."""

Place = tuple[int, str]


class StudyRunner:
    """Asks the samplers and trains the winners of all models of this process. All methods belong to one event loop.

    Call `reconcile` for a model after each commit that changed it and when its partition was restored, `drop` when a
    partition is lost or its transaction was aborted (its results were then lost with it, so what the restored state
    names runs again). `feed` gets each result once; if it raises, the work is done anew at the next `reconcile`.
    """

    def __init__(self, stage: TunerStage, feed: Feed, artifacts: Path | str, pool: TrialPool) -> None:
        """`pool` runs the trainings; whoever made it closes it."""
        self._stage, self._feed = stage, feed
        self._artifacts = str(artifacts.absolute()) if isinstance(artifacts, Path) else artifacts
        self._pool, self._samplers = pool, TrialPool(workers=1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._running: dict[Place, dict[str, asyncio.Task[None]]] = {}
        # Fed back, but perhaps not in the state yet: a commit of something else must not start it again.
        self._fed: dict[Place, set[str]] = {}
        self._closed = False

    @property
    def running(self) -> int:
        """How many pieces of work are running or wait for a free process."""
        return sum(len(tasks) for tasks in self._running.values())

    def reconcile(self, partition: int, model_name: str, state: TunerState) -> None:
        """Start what the state names and is not running; cancel what runs and is no longer named.

        Once closed nothing is started: the next owner of the partition does it.
        """
        if self._closed:
            return
        place = (partition, model_name)
        named = {work.id: work for work in self._stage.work(state)}
        tasks = self._running.get(place, {})
        for work_id in [running for running in tasks if running not in named]:
            tasks.pop(work_id).cancel()
        fed = self._fed.get(place, set()) & set(named)
        self._fed[place] = fed
        for work_id, work in named.items():
            if work_id not in fed and work_id not in tasks:
                task = asyncio.get_running_loop().create_task(self._do(place, work), name=f"tuner {work_id}")
                self._running.setdefault(place, {})[work_id] = task
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        self._forget_if_idle(place)

    def drop(self, partition: int) -> None:
        """Cancel everything of a partition and forget what was fed back for it."""
        for place in [place for place in self._running if place[0] == partition]:
            for task in self._running.pop(place).values():
                task.cancel()
        for place in [place for place in self._fed if place[0] == partition]:
            del self._fed[place]

    async def close(self) -> None:
        """Cancel everything and end the samplers' process."""
        self._closed = True
        tasks = list(self._tasks)
        self._running.clear()
        self._fed.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._samplers.close()

    async def _do(self, place: Place, work: Work) -> None:
        try:
            message = await self._result(work)
        except Exception as problem:  # noqa: BLE001 (what came back fits no message: an empty metric name, say)
            log.warning("%s of %s failed: %s", work.id, place[1], problem)
            message = work.failed(error_line(problem))
        finally:
            # No longer running before it is fed: the commit that feeding leads to may reconcile at once, which must
            # not cancel this task. And a cancelled task's entry may be its successor's already.
            tasks = self._running.get(place, {})
            if tasks.get(work.id) is asyncio.current_task():
                del tasks[work.id]
                self._forget_if_idle(place)
        await self._feed_back(place, work, message)

    async def _feed_back(self, place: Place, work: Work, message: Message) -> None:
        self._fed.setdefault(place, set()).add(work.id)
        try:
            fed = self._feed(place[1], message)
            if inspect.isawaitable(fed):
                await fed
        except Exception:
            log.exception("the result of %s of %s was not taken; it is done again", work.id, place[1])
            self._fed.get(place, set()).discard(work.id)
            self._forget_if_idle(place)

    async def _result(self, work: Work) -> Message:
        return await (self._choose(work) if isinstance(work, SamplingWork) else self._train(work))

    async def _choose(self, work: SamplingWork) -> Message:
        history = list(work.history())
        call = SamplingCall(work.study_id, work.sampler, work.space, work.seed, work.options, history, work.count)
        if is_light(work.sampler):
            chosen, error = choose(call), None
        else:
            ended = await self._samplers.run_sampling(call)
            chosen, error = ended.chosen, ended.error
        return work.result(datetime.now(UTC), chosen.params, chosen.exhausted, error)

    async def _train(self, work: TrainingWork) -> Message:
        request, limit = work.request.to_json(), work.timeout_seconds
        call = TrainingCall(
            work.objective, request, work.params, self._artifacts, limit, work.options, work.champion, work.promotion
        )
        ended = await self._pool.run_training(call)
        return work.result(ended.url, ended.sha256, ended.metrics, ended.error, ended.seconds, ended.promotion)

    def _forget_if_idle(self, place: Place) -> None:
        if not self._running.get(place):
            self._running.pop(place, None)
        if not self._fed.get(place):
            self._fed.pop(place, None)
