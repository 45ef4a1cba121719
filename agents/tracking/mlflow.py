"""Runs in MLflow 3: its server, or a database of its own such as `sqlite:///runs.db`.

A run is an MLflow run of the experiment named after the model; parameters, tags and epoch metrics (`step` is the epoch)
are what MLflow shows anyway. What MLflow has no place for is in tags that begin with `visutility.`, and metrics of the
end are `final/NAME`. All calls are made in a thread of their own: MLflow's client blocks.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from agents.tracking.runs import Record, Run, RunEnded, RunExists, StoreError, TrackingError, UnknownRun
from agents.tracking.subscribers import Subscriber, Subscribers
from schemas.experiments import EpochEnd, RunStart, TrainingEnd

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric
    from mlflow.entities import Run as MlflowRun

T = TypeVar("T")

OWN, FINAL = "visutility.", "final/"
"""What our own tags and the names of final metrics begin with."""

# Set last, when everything else of the start is there: what a crash left half-way is no run.
_KEY = f"{OWN}run_key"

_PARAMS_A_BATCH, _METRICS_A_BATCH, _RUNS_A_PAGE = 100, 1_000, 1_000  # MLflow's own limits


class MlflowStore:
    """Implements `RunStore`. Names of parameters, tags and metrics are limited to the signs that MLflow takes.

    Whether a run has ended is asked before each message; two processes that end one run at the same moment may both
    succeed. Subscribers are told of what this store adds, not of what others do.
    """

    def __init__(self, tracking_uri: str) -> None:
        """Connects at the first call. `tracking_uri`: `http://HOST:PORT`, `sqlite:///FILE` or what MLflow takes."""
        self._uri = tracking_uri
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mlflow")
        self._connected: MlflowClient | None = None
        self._ids: dict[str, str] = {}
        self._last: dict[str, int] = {}
        self._subscribers = Subscribers()

    async def append(self, message: Record) -> None:
        await self._off_the_loop(lambda: self._append(message))
        self._subscribers.tell(message)

    async def get(self, run_id: str) -> Run:
        return await self._off_the_loop(lambda: self._read(self._found(run_id)))

    async def runs(self) -> list[Run]:
        return await self._off_the_loop(self._all)

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        return self._subscribers.add(subscriber)

    async def close(self) -> None:
        await asyncio.to_thread(self._thread.shutdown)

    async def _off_the_loop(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (TrackingError, ImportError):
            raise
        except Exception as problem:
            # MLflow raises its own exceptions, those of requests, and of SQLAlchemy.
            text = " ".join(str(problem).split())[:500]
            raise StoreError(f"MLflow at {self._uri}: {type(problem).__name__}: {text}") from problem

    @property
    def _client(self) -> MlflowClient:
        if self._connected is None:
            # MLflow reports its use to its makers unless told not to.
            os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
            try:
                from mlflow import MlflowClient
            except ImportError:
                raise StoreError("MLflow is not installed; install visutility-streams[mlflow]") from None
            self._connected = MlflowClient(self._uri)
        return self._connected

    def _append(self, message: Record) -> None:
        if isinstance(message, RunStart):
            self._start(message)
            return
        run = self._found(message.run_id)
        if f"{OWN}ended" in run.data.tags:
            raise RunEnded(f"run {message.run_id!r} has ended: {message.type} cannot be added")
        if isinstance(message, EpochEnd):
            if wrong := [name for name in message.metrics if name.startswith(FINAL)]:
                raise StoreError(f"metric {wrong[0]!r}: names that begin with {FINAL!r} are those of the end")
            self._log(run, message.metrics, message.epoch, message.timestamp)
        else:
            self._end(run, message)

    def _start(self, message: RunStart) -> None:
        try:
            self._found(message.run_id)
        except UnknownRun:
            pass
        else:
            raise RunExists(f"run {message.run_id!r} was started before")
        if wrong := [name for name in message.tags if name.startswith((OWN, "mlflow."))]:
            raise StoreError(
                f"tag {wrong[0]!r}: those that begin with {OWN!r} or 'mlflow.' have a meaning of their own"
            )
        own = {
            "run_id": message.run_id,
            "model_name": message.model_name,
            "model_version": message.model_version,
            "started": message.timestamp.isoformat(),
        }
        tags = {**message.tags, **{OWN + name: value for name, value in own.items()}}
        experiment, name = self._experiment(message.model_name), message.run_id[:250]
        run_id: str = self._client.create_run(experiment, _milliseconds(message.timestamp), tags, name).info.run_id
        try:
            self._log_params(run_id, message)
            self._client.set_tag(run_id, _KEY, _key_of(message.run_id))
        except BaseException:
            self._client.delete_run(run_id)
            raise
        self._ids[message.run_id] = run_id

    def _log_params(self, run_id: str, message: RunStart) -> None:
        from mlflow.entities import Param

        params = [Param(name, text_of(value)) for name, value in message.params.items()]
        for some in _parts(params, _PARAMS_A_BATCH):
            self._client.log_batch(run_id, params=some)

    def _log(self, run: MlflowRun, metrics: dict[str, float], step: int, time: datetime) -> None:
        """The later of two values of one step is the one with the later time: no two calls have the same."""
        from mlflow.entities import Metric

        run_id = run.info.run_id
        stamp = self._last[run_id] = max(_milliseconds(time), self._last.get(run_id, 0) + 1)
        points = [Metric(name, value, stamp, step) for name, value in metrics.items()]
        for some in _parts(points, _METRICS_A_BATCH):
            self._client.log_batch(run_id, metrics=some)

    def _end(self, run: MlflowRun, message: TrainingEnd) -> None:
        run_id = run.info.run_id
        self._log(run, {FINAL + name: value for name, value in message.final_metrics.items()}, 0, message.timestamp)
        self._client.set_tag(run_id, f"{OWN}duration_seconds", repr(message.duration_seconds))
        self._client.set_tag(run_id, f"{OWN}ended", message.timestamp.isoformat())
        self._client.set_terminated(run_id, "FINISHED", _milliseconds(message.timestamp))

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        try:
            return str(self._client.create_experiment(name))
        except Exception:
            found = self._client.get_experiment_by_name(name)  # another process made it meanwhile
            if found is None:
                raise
            return str(found.experiment_id)

    def _found(self, run_id: str) -> MlflowRun:
        """The MLflow run of a run. Raises `UnknownRun`."""
        if run_id not in self._ids:
            # By a hash: a run's id may hold any sign, and filters know no escapes.
            found = self._search(f"tags.`{_KEY}` = '{_key_of(run_id)}'")
            if not found:
                raise UnknownRun(f"no run {run_id!r}")
            self._ids[run_id] = found[0].info.run_id
        return self._client.get_run(self._ids[run_id])

    def _all(self) -> list[Run]:
        runs = [self._read(run) for run in self._search(f"tags.`{_KEY}` LIKE '%'")]
        return sorted(runs, key=lambda run: run.started)

    def _search(self, which: str) -> list[MlflowRun]:
        experiments = [each.experiment_id for each in self._pages(self._client.search_experiments)]
        return self._pages(
            lambda **page: self._client.search_runs(experiments, which, order_by=["start_time ASC"], **page)
        )

    @staticmethod
    def _pages(search: Callable[..., Any]) -> list[Any]:
        found: list[Any] = []
        token = None
        while True:
            page = search(max_results=_RUNS_A_PAGE, page_token=token)
            found += page
            token = page.token
            if not token:
                return found

    def _read(self, run: MlflowRun) -> Run:
        tags, own = {}, {}
        for name, value in run.data.tags.items():
            if name.startswith(OWN):
                own[name.removeprefix(OWN)] = value
            elif not name.startswith("mlflow."):
                tags[name] = value
        ended = own.get("ended")
        final = {name: value for name, value in run.data.metrics.items() if name.startswith(FINAL)}
        return Run(
            run_id=own["run_id"],
            model_name=own["model_name"],
            model_version=own["model_version"],
            started=datetime.fromisoformat(own["started"]),
            params={name: value_of(text) for name, text in run.data.params.items()},
            tags=tags,
            epochs=self._epochs(run),
            state="running" if ended is None else "ended",
            final_metrics={name.removeprefix(FINAL): value for name, value in final.items()} if ended else {},
            ended=None if ended is None else datetime.fromisoformat(ended),
            duration_seconds=None if ended is None else float(own["duration_seconds"]),
        )

    def _epochs(self, run: MlflowRun) -> dict[int, dict[str, float]]:
        epochs: dict[int, dict[str, float]] = {}
        for name in sorted(run.data.metrics):
            if not name.startswith(FINAL):
                history: Sequence[Metric] = self._client.get_metric_history(run.info.run_id, name)
                for point in sorted(history, key=lambda point: point.timestamp):
                    epochs.setdefault(point.step, {})[name] = point.value
        return dict(sorted(epochs.items()))


def _parts(items: list[T], size: int) -> list[list[T]]:
    return [items[begin : begin + size] for begin in range(0, len(items), size)]


def text_of(value: object) -> str:
    """A hyperparameter as MLflow keeps it: as it is read, and in JSON where it would be read as something else."""
    if isinstance(value, str) and not _is_json(value):
        return value
    return json.dumps(value, ensure_ascii=False)


def value_of(text: str) -> Any:
    """The hyperparameter again.

    >>> [value_of(text_of(value)) for value in (1, 1.0, "1", True, "true", None, "null", "tanh")]
    [1, 1.0, '1', True, 'true', None, 'null', 'tanh']
    """
    return json.loads(text) if _is_json(text) else text


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _key_of(run_id: str) -> str:
    return hashlib.sha256(run_id.encode()).hexdigest()


def _milliseconds(time: datetime) -> int:
    return int(time.timestamp() * 1000)
