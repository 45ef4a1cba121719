"""What trainers call to record a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import uuid4

from pydantic import ValidationError

from agents.tracking.runs import Record, Run, TrackingError, metrics_of, run_id_of
from agents.tracking.store import RunStore
from agents.tracking.subscribers import Subscriber
from schemas.experiments import EpochEnd, RunStart, TrainingEnd

M = TypeVar("M", RunStart, EpochEnd, TrainingEnd)

Metrics = Mapping[str, float] | Iterable[tuple[str, float]]
"""Finite numbers by name, or pairs of them."""


def _now() -> datetime:
    return datetime.now(UTC)


class Tracker:
    """Records training runs in a store. Every call is one message in the form of those on `experiments`.

        tracker = Tracker(JsonlStore("runs.jsonl"))
        run = await tracker.start_run({"learning_rate": 0.1}, {"why": "first try"}, model_name="digits")
        await tracker.log_epoch_metrics(run, 0, {"loss": 0.7})
        await tracker.end_run(run, {"accuracy": 0.93})

    Raises `TrackingError` (`agents.tracking.runs` has its kinds), also for values that no message may hold.
    """

    def __init__(self, store: RunStore, clock: Callable[[], datetime] = _now) -> None:
        self._store, self._clock = store, clock

    async def start_run(
        self,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        *,
        model_name: str,
        model_version: str = "",
        run_id: str | None = None,
    ) -> str:
        """Begin a run; returns its id: `{model}_{version}_{hex}`, or what is given, which must be new (`RunExists`)."""
        identity = run_id or run_id_of(model_name, model_version, uuid4().hex)
        about = {"model_name": model_name, "model_version": model_version}
        await self._append(RunStart, identity, about, params=dict(params or {}), tags=dict(tags or {}))
        return identity

    async def log_epoch_metrics(self, run_id: str, epoch: int, metrics: Metrics) -> None:
        """Record metrics of an epoch, counted from 0. Recorded again they are merged, and the later value counts.

        Raises `UnknownRun`, `RunEnded`, and `DuplicateMetric` for pairs that name a metric twice.
        """
        await self._append(EpochEnd, run_id, await self._about(run_id), epoch=epoch, metrics=_numbers(metrics))

    async def end_run(self, run_id: str, final_metrics: Metrics | None = None) -> Run:
        """End a run; returns it as it is then. Raises `UnknownRun`, `RunEnded`, `DuplicateMetric`."""
        seconds = max(0.0, (self._clock() - (await self._store.get(run_id)).started).total_seconds())
        numbers = _numbers(final_metrics or {})
        about = await self._about(run_id)
        await self._append(TrainingEnd, run_id, about, final_metrics=numbers, duration_seconds=seconds)
        return await self._store.get(run_id)

    async def get_run(self, run_id: str) -> Run:
        """A run as it is now. Raises `UnknownRun`."""
        return await self._store.get(run_id)

    async def runs(self) -> list[Run]:
        """Every run, in the order in which they began."""
        return await self._store.runs()

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Be told of each message from now on, in order; returns how to stop. See `RunStore.subscribe`."""
        return self._store.subscribe(subscriber)

    async def close(self) -> None:
        """Let go of the store's files and connections."""
        await self._store.close()

    async def _about(self, run_id: str) -> dict[str, str]:
        run = await self._store.get(run_id)
        return {"model_name": run.model_name, "model_version": run.model_version}

    async def _append(self, kind: type[M], run_id: str, about: dict[str, str], **fields: Any) -> None:
        try:
            message: Record = kind.model_validate(
                {"event_id": str(uuid4()), "timestamp": self._clock(), "run_id": run_id, **about, **fields}
            )
        except ValidationError as problem:
            first = problem.errors(include_url=False)[0]
            raise TrackingError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        await self._store.append(message)


def _numbers(metrics: Metrics) -> dict[str, float]:
    try:
        return metrics_of(metrics)
    except TrackingError:
        raise
    except (TypeError, ValueError) as problem:
        raise TrackingError(f"metrics: expected numbers by name, or pairs of them: {problem}") from None
