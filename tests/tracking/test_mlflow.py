"""Runs in MLflow: what its own page shows, what it does not take, and that it never holds up the event loop."""

from __future__ import annotations

import doctest
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

import agents.tracking.mlflow
from agents.tracking import StoreError, Tracker
from agents.tracking.mlflow import MlflowStore, text_of, value_of
from tests.schemas.strategies import SCALARS, optional
from tests.tracking.databases import mlflow_database

mlflow = pytest.importorskip("mlflow")


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return mlflow_database(tmp_path)


async def test_mlflow_itself_shows_the_run(uri: str) -> None:
    tracker = Tracker(MlflowStore(uri))
    run_id = await tracker.start_run({"lr": 0.1, "layers": 3}, {"team": "vision"}, model_name="digits")
    for epoch, loss in enumerate((0.7, 0.4)):
        await tracker.log_epoch_metrics(run_id, epoch, {"loss": loss})
    await tracker.end_run(run_id, {"accuracy": 0.9})
    await tracker.close()
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name("digits")
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == (run_id, "FINISHED")
    assert run.data.params == {"lr": "0.1", "layers": "3"}
    assert run.data.tags["team"] == "vision"
    assert run.data.metrics == {"loss": 0.4, "final/accuracy": 0.9}
    assert [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, "loss")] == [
        (0, 0.7), (1, 0.4),
    ]  # fmt: skip


async def test_names_that_mlflow_does_not_take_are_refused_and_leave_nothing(uri: str) -> None:
    tracker = Tracker(MlflowStore(uri))
    with pytest.raises(StoreError, match=r"Invalid parameter name.*'l=r'|l=r"):
        await tracker.start_run({"l=r": 0.1}, model_name="digits")
    with pytest.raises(StoreError, match=r"tag 'mlflow\.user': those that begin with"):
        await tracker.start_run(tags={"mlflow.user": "ada"}, model_name="digits")
    assert await tracker.runs() == []
    run_id = await tracker.start_run(model_name="digits")
    with pytest.raises(StoreError, match="'final/loss': names that begin with 'final/' are those of the end"):
        await tracker.log_epoch_metrics(run_id, 0, {"final/loss": 1.0})
    with pytest.raises(StoreError, match="lo=ss"):
        await tracker.log_epoch_metrics(run_id, 0, {"lo=ss": 1.0})
    assert (await tracker.get_run(run_id)).epochs == {}
    await tracker.close()


async def test_many_parameters_and_metrics_are_all_there(uri: str) -> None:
    tracker = Tracker(MlflowStore(uri))
    params = {f"p{number}": number for number in range(250)}
    metrics = {f"m{number}": float(number) for number in range(30)}
    run_id = await tracker.start_run(params, model_name="digits")
    await tracker.log_epoch_metrics(run_id, 0, metrics)
    run = await tracker.get_run(run_id)
    assert (run.params, run.epochs) == (params, {0: metrics})
    await tracker.close()


async def test_every_call_of_its_client_is_made_off_the_event_loop(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: dict[str, set[str]] = {}

    def watched(name: str) -> None:
        real = getattr(mlflow.MlflowClient, name)

        def call(*arguments: Any, **named: Any) -> Any:
            threads.setdefault(name, set()).add(threading.current_thread().name)
            return real(*arguments, **named)

        monkeypatch.setattr(mlflow.MlflowClient, name, call)

    for name in ("create_run", "log_batch", "set_tag", "get_run", "search_runs", "get_metric_history"):
        watched(name)
    tracker = Tracker(MlflowStore(uri))
    run_id = await tracker.start_run({"lr": 0.1}, model_name="digits")
    await tracker.log_epoch_metrics(run_id, 0, {"loss": 0.7})
    await tracker.end_run(run_id)
    assert len(await tracker.runs()) == 1
    await tracker.close()
    assert len(threads) == 6
    assert set.union(*threads.values()) == {"mlflow_0"}


async def test_a_server_that_is_away_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    tracker = Tracker(MlflowStore("http://127.0.0.1:9"))
    with pytest.raises(StoreError, match=r"MLflow at http://127\.0\.0\.1:9: "):
        await tracker.start_run(model_name="digits")
    await tracker.close()


async def test_without_mlflow_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    tracker = Tracker(MlflowStore("sqlite:///runs.db"))
    with pytest.raises(StoreError, match=r"install visutility-streams\[mlflow\]"):
        await tracker.runs()
    await tracker.close()


@given(optional(SCALARS))
def test_every_hyperparameter_comes_back_with_its_type(value: object) -> None:
    back = value_of(text_of(value))
    assert (back, type(back)) == (value, type(value))


def test_the_examples_in_the_documentation_are_true() -> None:
    assert doctest.testmod(agents.tracking.mlflow).failed == 0
