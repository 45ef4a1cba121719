"""A worker: the configured stages in one process, and what belongs around them: topics, trials, deliveries, signals."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from agents.backtest.baselines import load_baselines
from agents.inputs.agent import InputBridge
from agents.inputs.events import STAGE as INPUTS
from agents.monitor.agent import SubscriberListener
from agents.monitor.stage import MonitorStage
from agents.notify.agent import Notifier
from agents.retrain.agent import RequestDispatcher
from agents.retrain.stage import RetrainStage
from agents.rights import rights_of
from agents.runner.agent import TrialRunner
from agents.settings import Settings
from agents.telemetry import Telemetry
from agents.tuner.agent import StudyRunner
from agents.tuner.objective import ObjectiveError
from agents.tuner.pool import TrialPool, cores
from agents.tuner.stage import TunerStage
from agents.tuner.state import TunerState
from agents.tuner.worker import LoadingCall
from schemas.message import Message
from streams.diagnosis import denial
from streams.owner import Commit, Listener
from streams.partitioner import partition_of
from streams.permissions import check_permitted
from streams.processor import Processor
from streams.settings import EngineSettings
from streams.stage import Stage
from streams.topics import create_topics, wanted_topics
from streams.worker import StreamWorker

log = logging.getLogger(__name__)


class MissingBroker(ValueError):
    """No broker was named."""


def engine_settings(settings: Settings) -> EngineSettings:
    """The engine's part of the settings. Raises `MissingBroker`."""
    if settings.bootstrap_servers is None:
        raise MissingBroker(
            "no broker: set bootstrap_servers in visutility.toml, VISUTILITY_BOOTSTRAP_SERVERS or --bootstrap HOST:PORT"
        )
    return EngineSettings(
        bootstrap_servers=settings.bootstrap_servers,
        topic_prefix=settings.topic_prefix,
        partitions=settings.partitions,
        data_dir=settings.data_dir,
        delivery=settings.delivery,
        checkpoint_interval=settings.checkpoint_interval.total_seconds(),
        checkpoint_records=settings.checkpoint_records,
        output_linger=settings.output_linger.total_seconds(),
        session_timeout=settings.session_timeout.total_seconds(),
        max_failures=settings.max_failures,
        on_lost_records=settings.on_lost_records,
        lag_warning=settings.lag_warning,
        security=settings.security,
    )


class Worker:
    """Runs the stages that `settings.agents` names, and trials. Start it, wait for a failure or a signal, stop it."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._engine = settings, engine_settings(settings)
        self._listeners: dict[str, list[Listener[Any]]] = {"monitor": [SubscriberListener(settings)]}
        self._studies: StudyRunner | None = None
        # Trials that compute on all cores would hold up the stages, however low their priority.
        beside_stages = set(settings.agents) != {"runner"}
        self._pool = TrialPool(settings.trial_processes or cores(spared=int(beside_stages)))
        self._trials = TrialRunner(self._engine, self._pool, settings.tune) if settings.runs_trials else None
        self._dispatcher = RequestDispatcher(settings, self._engine)
        self._notifier = Notifier(settings, self._engine)
        self._inputs = InputBridge(settings, self._engine)
        stages = self._stages()
        self._streams = StreamWorker(stages, self._engine, self._listeners) if stages else None
        self._telemetry = self._new_telemetry()

    @property
    def ready(self) -> bool:
        """Whether every stage has its partitions restored and is reading, and the runner has joined its group."""
        runs_trials = self._trials is None or self._trials.joined.is_set()
        return runs_trials and (self._streams is None or self._streams.ready)

    async def start(self) -> None:
        """Create what topics are missing, then join, restore and begin."""
        if self._telemetry is not None:
            await self._telemetry.start()
        if self._engine.delivery == "at_least_once":
            log.warning("delivery is at least once: after a crash, outputs since the last checkpoint are repeated")
        with _quiet("aiokafka"):
            await self._check_rights()
            await create_topics(
                self._engine.connection,
                wanted_topics(self._engine, self._settings.topic_stages, self._settings.topic_states),
                replication_factor=self._settings.replication_factor,
            )
        if self._trials is not None:
            await self._trials.start()
        if self._streams is not None:
            await self._streams.start()
        if self._trials is not None:
            await self._trials.joined.wait()
        if "retrain" in self._settings.agents:
            await self._dispatcher.start()
        await self._notifier.start()
        await self._inputs.start()

    async def wait(self) -> None:
        """Return never; raise what made a stage fail, or `ObjectiveError` where an objective cannot be loaded."""
        streams = asyncio.Event().wait() if self._streams is None else self._streams.wait()
        await asyncio.gather(streams, self._check_objectives())

    async def stop(self) -> None:
        """Checkpoint, leave the groups, end running trials. Takes less than ten seconds."""
        if self._telemetry is not None:
            await self._telemetry.stop()
        if self._studies is not None:
            await self._studies.close()
        parts = (self._trials, self._dispatcher, self._notifier, self._inputs)
        await asyncio.gather(*(part.stop() for part in parts if part is not None))
        await self._pool.close()
        if self._streams is not None:
            await self._streams.stop()

    def told(self, problem: BaseException) -> str:
        """What ended it, in one line."""
        denied = denial(problem, self._engine.connection)
        return denied or f"{type(problem).__name__}: {_first_line(problem)}"

    async def _check_objectives(self) -> None:
        """Load what the tune rules name, in a process that is not kept: users' code may be large."""
        rules = self._settings.tune if "tuner" in self._settings.agents else []
        loader = TrialPool(workers=1)
        try:
            for number, rule in enumerate(rules):
                loaded = await loader.run_loading(LoadingCall(rule.objective, rule.options))
                if loaded.error is not None:
                    raise ObjectiveError(f"tune[{number}]: {loaded.error}")
        finally:
            await loader.close()

    async def _check_rights(self) -> None:
        """Where clients say who they are: whether all is granted that is needed, before anything is begun."""
        if self._engine.security.protocol != "PLAINTEXT":
            agents = ",".join(self._settings.agents)
            remedy = f"visutility topics acls --agents {agents}"
            await check_permitted(self._engine.connection, rights_of("worker", self._settings), remedy)

    def _new_telemetry(self) -> Telemetry | None:
        if self._settings.metrics_address is None:
            return None
        telemetry = Telemetry(self._settings.metrics_address, self._settings.topic_prefix, lambda: self.ready)
        if self._streams is not None:
            telemetry.watch_stages(self._streams, {INPUTS: self._inputs} if self._inputs.topics else None)
        if self._trials is not None:
            telemetry.watch_trials(self._trials, self._pool.workers)
        return telemetry

    def _stages(self) -> list[Stage[Any]]:
        stages: dict[str, Stage[Any]] = {}
        for name in self._settings.agents:
            if name == "monitor":
                stages[name] = MonitorStage(self._settings, load_baselines(self._settings))
            elif name == "retrain":
                stages[name] = RetrainStage(self._settings)
            elif name == "tuner":
                stages[name] = tuner = TunerStage(self._settings)
                self._studies = StudyRunner(tuner, self._feed, self._settings.artifact_folder, self._pool)
                self._listeners[name] = [StudyListener(self._studies)]
        return list(stages.values())

    def _feed(self, model_name: str, message: Message) -> None:
        partition = partition_of(model_name, self._settings.partitions)
        if self._streams is not None:
            self._streams.app("tuner").engine.feed(partition, message)


class StudyListener:
    """Keeps the studies' runner in step with what is durable: work begins only after the commit that names it."""

    wants_events = False

    def __init__(self, runner: StudyRunner) -> None:
        self._runner = runner

    def opened(self, partition: int, processor: Processor[TunerState]) -> None:
        for model_name, state in processor.states():
            self._runner.reconcile(partition, model_name, state)

    def committed(self, partition: int, processor: Processor[TunerState], commit: Commit) -> None:
        for model_name in commit.keys:
            self._runner.reconcile(partition, model_name, processor.state(model_name))

    def closed(self, partition: int) -> None:
        self._runner.drop(partition)


def run_worker(settings: Settings) -> int:
    """Run a worker until SIGTERM or SIGINT; the exit code. Failures are one log line that says what to do."""
    return asyncio.run(_run(Worker(settings)))


async def _run(worker: Worker) -> int:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    told = asyncio.ensure_future(stopped.wait())
    running = asyncio.ensure_future(_start_and_wait(worker))
    try:
        await asyncio.wait({told, running}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            log.info("stopping")
            return 0
        if problem := running.exception():
            log.error("%s", worker.told(problem))
        return 1
    finally:
        running.cancel()
        await worker.stop()


async def _start_and_wait(worker: Worker) -> None:
    await worker.start()
    log.info("ready")
    await worker.wait()


@contextmanager
def _quiet(library: str) -> Iterator[None]:
    """The library reports each failed attempt to connect; what they came to is said once, by who asked."""
    logger = logging.getLogger(library)
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _first_line(problem: BaseException) -> str:
    """What went wrong, in one line: of a list (a line for each topic that is not as it should be) its beginning."""
    first, *others = str(problem).splitlines() or [""]
    return f"{first} (and {len(others)} more like it)" if others else first
