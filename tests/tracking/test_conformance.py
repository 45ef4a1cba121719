"""One suite for every store behind the tracker: what is recorded is there, in full, for whoever asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agents.tracking import (
    DuplicateMetric,
    JsonlStore,
    MemoryStore,
    RunEnded,
    RunExists,
    RunStore,
    Tracker,
    TrackingError,
    UnknownRun,
)
from agents.tracking.kafka import KafkaStore
from agents.tracking.mlflow import MlflowStore
from agents.tracking.runs import Record
from schemas.experiments import EpochEnd, RunStart, TrainingEnd
from streams.brokers.broker import Broker
from streams.settings import EngineSettings
from streams.topics import create_topics, wanted_topics
from tests.tracking.databases import mlflow_database
from tests.tracking.servers import forget_all, mlflow_program, mlflow_server

Open = Callable[[], Awaitable[RunStore]]

SERVER = pytest.param("mlflow-server", marks=pytest.mark.timeout(300))  # which takes its time to begin
START = datetime(2025, 6, 1, 12, 0, 0, 123_456, tzinfo=UTC)


class Clock:
    """Half a second goes by at each look."""

    def __init__(self) -> None:
        self.now = START - timedelta(seconds=0.5)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=0.5)
        return self.now


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of MLflow's own server."""
    with mlflow_server(mlflow_program(), tmp_path_factory.mktemp("mlflow")) as address:
        yield address


@pytest.fixture(params=["memory", "jsonl", "mlflow", SERVER, "kafka-real", "kafka-embedded"])
async def open_store(request: pytest.FixtureRequest, tmp_path: Path, topic_prefix: str) -> AsyncIterator[Open]:
    """Opens one store again and again, as one program after the other would."""
    kind: str = request.param
    opened: list[RunStore] = []
    memory = MemoryStore()
    broker: Broker | None = None
    if kind.startswith("mlflow"):
        pytest.importorskip("mlflow")
        uri = mlflow_database(tmp_path) if kind == "mlflow" else request.getfixturevalue("server")
    if kind.startswith("kafka"):
        broker = request.getfixturevalue(f"{kind.removeprefix('kafka-')}_broker")
        settings = EngineSettings(bootstrap_servers=broker.bootstrap_servers, topic_prefix=topic_prefix)
        await create_topics(broker.bootstrap_servers, wanted_topics(settings, []))

    async def open_one() -> RunStore:
        store: RunStore
        if broker is not None:
            store = await KafkaStore.open(broker.bootstrap_servers, topic_prefix)
        elif kind.startswith("mlflow"):
            store = MlflowStore(uri)
        else:
            store = JsonlStore(tmp_path / "deep" / "runs.jsonl") if kind == "jsonl" else memory
        opened.append(store)
        return store

    yield open_one
    for store in opened:
        await store.close()
    if kind == "mlflow-server":
        forget_all(uri)


@pytest.fixture
async def tracker(open_store: Open) -> Tracker:
    return Tracker(await open_store(), Clock())


async def test_a_run_is_there_with_all_that_was_recorded(tracker: Tracker) -> None:
    params = {"lr": 0.1, "layers": 3, "bias": True, "name": "3", "none": None, "activation": "tanh"}
    run_id = await tracker.start_run(params, {"why": "first try"}, model_name="digits", model_version="7")
    await tracker.log_epoch_metrics(run_id, 0, {"loss": 0.7, "accuracy": 0.5})
    await tracker.log_epoch_metrics(run_id, 1, {"loss": 0.4})
    run = await tracker.get_run(run_id)
    assert (run.model_name, run.model_version, run.started, run.state) == ("digits", "7", START, "running")
    assert run.params == params
    assert [type(value) for value in run.params.values()] == [type(value) for value in params.values()]
    assert run.tags == {"why": "first try"}
    assert run.epochs == {0: {"loss": 0.7, "accuracy": 0.5}, 1: {"loss": 0.4}}
    assert run.metrics == {"loss": 0.4, "accuracy": 0.5}
    assert (run.ended, run.duration_seconds, run.final_metrics) == (None, None, {})


async def test_the_end_has_its_metrics_and_how_long_it_took(tracker: Tracker) -> None:
    run_id = await tracker.start_run(model_name="digits")
    ended = await tracker.end_run(run_id, {"accuracy": 0.9, "loss": -1e-300})
    assert (ended.state, ended.final_metrics) == ("ended", {"accuracy": 0.9, "loss": -1e-300})
    assert ended.duration_seconds is not None
    assert ended.duration_seconds > 0
    assert ended.ended is not None
    assert ended.ended > START
    assert await tracker.get_run(run_id) == ended


async def test_metrics_of_an_epoch_are_merged_and_the_later_value_counts(tracker: Tracker) -> None:
    run_id = await tracker.start_run(model_name="digits")
    for metrics in ({"loss": 0.7, "accuracy": 0.5}, {"loss": 0.3}, {"loss": 0.6, "f1": 0.1}):
        await tracker.log_epoch_metrics(run_id, 4, metrics)
    assert (await tracker.get_run(run_id)).epochs == {4: {"loss": 0.6, "accuracy": 0.5, "f1": 0.1}}


async def test_epochs_are_in_order_whenever_they_were_recorded(tracker: Tracker) -> None:
    run_id = await tracker.start_run(model_name="digits")
    for epoch in (10, 2, 0):
        await tracker.log_epoch_metrics(run_id, epoch, {"loss": float(epoch)})
    run = await tracker.get_run(run_id)
    assert list(run.epochs) == [0, 2, 10]
    assert run.metrics == {"loss": 10.0}


async def test_pairs_do_as_well_and_a_name_twice_in_one_call_is_an_error(tracker: Tracker) -> None:
    run_id = await tracker.start_run(model_name="digits")
    await tracker.log_epoch_metrics(run_id, 0, [("loss", 0.7), ("accuracy", 1)])
    with pytest.raises(DuplicateMetric, match=r"metric 'loss' is given twice in one call: 0\.7 and 0\.6"):
        await tracker.log_epoch_metrics(run_id, 0, [("loss", 0.7), ("loss", 0.6)])
    with pytest.raises(DuplicateMetric):
        await tracker.end_run(run_id, [("a", 1.0), ("a", 1.0)])
    run = await tracker.get_run(run_id)
    assert (run.epochs, run.state) == ({0: {"loss": 0.7, "accuracy": 1.0}}, "running")


async def test_a_run_that_was_never_started_is_unknown(tracker: Tracker) -> None:
    for attempt in (
        lambda: tracker.get_run("digits_7_0"),
        lambda: tracker.log_epoch_metrics("digits_7_0", 0, {"loss": 1.0}),
        lambda: tracker.end_run("digits_7_0"),
    ):
        with pytest.raises(UnknownRun, match="no run 'digits_7_0'"):
            await attempt()
    assert await tracker.runs() == []


async def test_nothing_can_be_added_to_a_run_that_has_ended(tracker: Tracker) -> None:
    run_id = await tracker.start_run(model_name="digits")
    ended = await tracker.end_run(run_id)
    with pytest.raises(RunEnded, match="has ended: epoch_end cannot be added"):
        await tracker.log_epoch_metrics(run_id, 0, {"loss": 1.0})
    with pytest.raises(RunEnded, match="has ended: training_end cannot be added"):
        await tracker.end_run(run_id)
    assert await tracker.get_run(run_id) == ended


async def test_a_run_is_started_once(tracker: Tracker) -> None:
    assert await tracker.start_run({"a": 1}, model_name="digits", run_id="mine/@'\"`") == "mine/@'\"`"
    with pytest.raises(RunExists):
        await tracker.start_run({"a": 2}, model_name="digits", run_id="mine/@'\"`")
    assert (await tracker.get_run("mine/@'\"`")).params == {"a": 1}


async def test_ids_are_model_version_and_a_number_of_their_own(tracker: Tracker) -> None:
    ids = [await tracker.start_run(model_name="digits", model_version="7") for _ in range(2)]
    assert len(set(ids)) == 2
    for each in ids:
        assert each.startswith("digits_7_")
        assert len(bytes.fromhex(each.removeprefix("digits_7_"))) == 16
    longest = await tracker.start_run(model_name="m" * 249, model_version="v" * 128)
    assert len(longest) <= 256
    assert (await tracker.get_run(longest)).model_version == "v" * 128


async def test_runs_are_listed_in_the_order_in_which_they_began(tracker: Tracker) -> None:
    ids = [await tracker.start_run(model_name="digits") for _ in range(3)]
    await tracker.end_run(ids[1])
    assert [run.run_id for run in await tracker.runs()] == ids
    assert [run.state for run in await tracker.runs()] == ["running", "ended", "running"]


async def test_values_that_no_message_may_hold_are_refused(tracker: Tracker) -> None:
    run_id = await tracker.start_run(model_name="digits")
    with pytest.raises(TrackingError, match=r"metrics\.loss"):
        await tracker.log_epoch_metrics(run_id, 0, {"loss": float("nan")})
    with pytest.raises(TrackingError, match="epoch"):
        await tracker.log_epoch_metrics(run_id, -1, {"loss": 1.0})
    with pytest.raises(TrackingError, match="expected numbers by name"):
        await tracker.log_epoch_metrics(run_id, 0, {"loss": "low"})  # type: ignore[arg-type]
    with pytest.raises(TrackingError, match="model_name"):
        await tracker.start_run(model_name="")
    assert (await tracker.get_run(run_id)).epochs == {}


async def test_subscribers_are_told_each_message_in_order_until_they_stop(tracker: Tracker) -> None:
    told: list[Record] = []
    more: list[str] = []

    def fails(message: Record) -> None:
        raise RuntimeError("a subscriber's own fault")

    tracker.subscribe(fails)
    stop = tracker.subscribe(told.append)
    tracker.subscribe(lambda message: more.append(message.type))
    run_id = await tracker.start_run({"lr": 0.1}, model_name="digits")
    await tracker.log_epoch_metrics(run_id, 0, {"loss": 0.7})
    await tracker.end_run(run_id, {"accuracy": 0.9})
    stop()
    stop()
    await tracker.start_run(model_name="digits")
    assert [type(message) for message in told] == [RunStart, EpochEnd, TrainingEnd]
    assert {message.run_id for message in told} == {run_id}
    assert isinstance(told[1], EpochEnd)
    assert told[1].metrics == {"loss": 0.7}
    assert more == ["run_start", "epoch_end", "training_end", "run_start"]


async def test_what_is_refused_is_told_to_nobody(tracker: Tracker) -> None:
    run_id = await tracker.start_run(model_name="digits")
    await tracker.end_run(run_id)
    told: list[Record] = []
    tracker.subscribe(told.append)
    with pytest.raises(RunEnded):
        await tracker.end_run(run_id)
    assert told == []


async def test_runs_are_there_for_the_next_program(open_store: Open) -> None:
    first = Tracker(await open_store(), Clock())
    run_id = await first.start_run({"lr": 0.1}, {"why": "x"}, model_name="digits")
    await first.log_epoch_metrics(run_id, 0, {"loss": 0.7})
    ended = await first.end_run(run_id, {"accuracy": 0.9})
    await first.close()
    second = Tracker(await open_store(), Clock())
    assert await second.get_run(run_id) == ended
    assert await second.runs() == [ended]
    with pytest.raises(RunEnded):
        await second.log_epoch_metrics(run_id, 0, {"loss": 0.7})
    with pytest.raises(RunExists):
        await second.start_run(model_name="digits", run_id=run_id)


async def test_two_programs_may_record_the_same_run(open_store: Open) -> None:
    one, other = Tracker(await open_store(), Clock()), Tracker(await open_store(), Clock())
    run_id = await one.start_run(model_name="digits")

    async def known() -> bool:
        try:
            await other.get_run(run_id)
        except UnknownRun:
            return False
        return True

    async with asyncio.timeout(100):
        while not await known():  # noqa: ASYNC110 (another consumer tells nobody what it has read)
            await asyncio.sleep(0.02)
    await asyncio.gather(
        *(one.log_epoch_metrics(run_id, epoch, {"loss": 1.0}) for epoch in range(10)),
        *(other.log_epoch_metrics(run_id, epoch, {"accuracy": 0.5}) for epoch in range(10)),
    )
    ended = await one.end_run(run_id)
    assert ended.epochs == {epoch: {"loss": 1.0, "accuracy": 0.5} for epoch in range(10)}
