"""The process pool: whatever an objective does to its process, the call ends with a result and the next one runs."""

from __future__ import annotations

import asyncio
import hashlib
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agents.registry.artifacts import ArtifactStore, load_artifact
from agents.registry.known import KnownVersion
from agents.tuner.channel import LiveTrial
from agents.tuner.pool import NICENESS, TrialPool, cores
from agents.tuner.sampling import SamplingCall, choose
from agents.tuner.space import Params
from agents.tuner.worker import TrainingCall, TrialCall
from tests.tuner.making import request

HERE = "tests.tuner.objectives"
ROOT = Path(__file__).parents[2]


def trial(how: str = "peak", objective: str = f"{HERE}:objective", limit: float = 30.0, **fields: Any) -> TrialCall:
    """A call for one trial that ends as `how` says."""
    sent = request(**fields).to_json()
    return TrialCall(objective, sent, 0, {"how": how, "lr": 0.05}, seed=1, incumbent={}, limit_seconds=limit)


async def test_a_trial_that_wants_more_memory_than_it_may_have_fails_alone(pool: TrialPool) -> None:
    ended = await pool.run_trial(replace(trial(objective=f"{HERE}:hoarding"), memory_mb=300))
    assert (ended.error or "").startswith("MemoryError (objectives.py:")
    unlimited = await pool.run_trial(trial(objective=f"{HERE}:hoarding"))
    assert unlimited.score == 400 * 2**20
    assert (await pool.run_trial(replace(trial(), memory_mb=300))).score == 1.0


async def test_a_trial_that_misses_its_bound_ends_with_the_score_it_had(pool: TrialPool) -> None:
    pruned = await pool.run_trial(replace(trial(objective=f"{HERE}:prunable"), bounds={0: 0.6}))
    assert (pruned.pruned, pruned.score, pruned.error, pruned.reports) == (True, 0.5, None, {0: 0.5})
    reached = await pool.run_trial(replace(trial(objective=f"{HERE}:prunable"), bounds={0: 0.4}))
    assert (reached.pruned, reached.score, reached.reports) == (False, 1.0, {0: 0.5})
    assert (await pool.run_trial(replace(trial(objective=f"{HERE}:prunable"), bounds={0: 0.4}, maximize=False))).pruned


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[str]]]:
    """Tells what is in the folders among the temporary files."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield lambda: [path.name for path in Path(folder).glob("*/*")]


@pytest.mark.parametrize("at", [-1, 3])
async def test_a_running_trials_reports_are_heard_and_it_can_be_asked_to_end(
    pool: TrialPool, at: int, temporary: Callable[[], list[str]]
) -> None:
    heard: list[tuple[int, float]] = []

    def hear(step: int, value: float) -> None:
        heard.append((step, value))
        if step == at:
            live.end_early()

    live = LiveTrial(hear)
    if at < 0:
        live.end_early()  # before it has begun
    ended = await pool.run_trial(trial(objective=f"{HERE}:patient"), live)
    assert (ended.pruned, ended.error) == (True, None)
    assert heard == [(step, float(step)) for step in range(len(heard))] == list(ended.reports.items())
    assert max(at, 0) <= len(heard) < 300
    assert temporary() == ["worker"]
    await pool.close()
    assert temporary() == []


async def test_a_sampler_is_asked_in_a_process(pool: TrialPool) -> None:
    call = SamplingCall("s", "tpe", {"lr": [0.0, 1.0]}, 7, {}, [], 3)
    ended = await pool.run_sampling(call)
    assert (ended.chosen, ended.error) == (choose(replace(call, study="another")), None)
    failed = await pool.run_sampling(replace(call, study="bad", options={"temperature": 1}))
    assert "has no parameter 'temperature'" in (failed.error or "")


@pytest.mark.parametrize(("own", "alone", "beside_stages"), [(1, 1, 1), (2, 2, 1), (4, 4, 3), (64, 4, 4)])
def test_there_are_processes_for_the_cores_but_for_one_beside_stages(
    own: int, alone: int, beside_stages: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(own)))
    assert (cores(), cores(spared=1), TrialPool().workers) == (alone, beside_stages, alone)


@pytest.fixture
async def pool() -> AsyncIterator[TrialPool]:
    opened = TrialPool(workers=1)
    yield opened
    await opened.close()


async def test_a_trial_that_returns_gives_its_score(pool: TrialPool) -> None:
    ended = await pool.run_trial(trial())
    assert (ended.score, ended.error) == (1.0, None)
    assert ended.seconds >= 0


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("raise", r"RuntimeError: out of luck \(objectives\.py:\d+\)"),
        ("half a surrogate", r"RuntimeError: no file \? \(objectives\.py:\d+\)"),
        ("nan", r"expected a finite number, returned was nan"),
        ("sys.exit", r"SystemExit: enough \(objectives\.py:\d+\)"),
        ("exit code", r"its process ended with exit code 3"),
        ("segfault", r"its process was ended by SIGSEGV"),
        ("sleep", r"timed out after 0\.5 s"),
        ("spin in C", r"timed out after 0\.5 s"),
    ],
)
async def test_a_trial_that_fails_gives_one_line_and_the_next_one_runs(how: str, error: str, pool: TrialPool) -> None:
    limit = 0.5 if "timed out" in error else 30.0
    ended = await pool.run_trial(trial(how, limit=limit))
    assert ended.score is None
    assert ended.error is not None
    assert "\n" not in ended.error
    assert re.fullmatch(error, ended.error), ended.error
    assert (await pool.run_trial(trial())).score == 1.0


async def test_an_objective_that_cannot_be_imported_fails_its_trial_with_the_reason(pool: TrialPool) -> None:
    ended = await pool.run_trial(trial(objective="no.such.module:objective"))
    assert ended.error == (
        "objective 'no.such.module:objective': no module named 'no'; is it installed, or in the folder where this runs?"
    )


async def test_data_that_cannot_be_loaded_fails_its_trial_with_the_reason(pool: TrialPool) -> None:
    ended = await pool.run_trial(trial(model="bad-data"))
    assert ended.error is not None
    assert ended.error.startswith("FileNotFoundError: no recent images")


async def test_data_that_takes_for_ever_to_load_is_given_up_and_the_next_trial_runs() -> None:
    pool = TrialPool(workers=1, loading_seconds=3.0)
    try:
        ended = await pool.run_trial(trial(objective=f"{HERE}:StuckLoading", limit=0.5))
        assert ended.error == "no answer after 3.5 s"
        assert (await pool.run_trial(trial())).score == 1.0
    finally:
        await pool.close()


async def test_trials_run_at_low_priority(pool: TrialPool) -> None:
    ended = await pool.run_trial(trial(objective=f"{HERE}:niceness"))
    assert ended.score == min(os.nice(0) + NICENESS, 19)


async def test_data_is_loaded_once_for_a_request_and_process(
    pool: TrialPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OBJECTIVES_LOG", str(tmp_path / "loads"))
    calls = [trial(objective=f"{HERE}:CountingLoads", event_id=event_id) for event_id in ("a", "a", "a", "b", "b")]
    processes = {(await pool.run_trial(call)).score for call in calls}
    assert len(processes) == 1
    assert [line.split()[1] for line in (tmp_path / "loads").read_text().splitlines()] == ["a", "b"]


async def test_a_cancelled_trial_ends_its_process() -> None:
    pool = TrialPool(workers=1)
    try:
        await pool.run_trial(trial())
        (before,) = _children()
        task = asyncio.create_task(pool.run_trial(trial("sleep")))
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await _until(lambda: before not in _children())
        assert (await pool.run_trial(trial())).score == 1.0
    finally:
        await pool.close()


async def test_closing_ends_trials_in_the_middle_and_leaves_no_process() -> None:
    pool = TrialPool(workers=2)
    running = [asyncio.create_task(pool.run_trial(trial(how))) for how in ("sleep", "spin in C", "sleep")]
    await _until(lambda: len(_children()) == 2)
    await asyncio.sleep(0.5)
    await pool.close()
    assert _children() == set()
    results = await asyncio.gather(*running, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)


async def test_a_pool_whose_processes_were_all_killed_starts_new_ones(pool: TrialPool) -> None:
    assert (await pool.run_trial(trial())).score == 1.0
    for pid in _children():
        os.kill(pid, signal.SIGKILL)
    await asyncio.sleep(0.5)
    assert (await pool.run_trial(trial())).score == 1.0


async def test_a_process_killed_in_mid_trial_is_a_failed_trial(pool: TrialPool) -> None:
    await pool.run_trial(trial())
    running = asyncio.create_task(pool.run_trial(trial("sleep")))
    await asyncio.sleep(0.5)
    (child,) = _children()
    os.kill(child, signal.SIGKILL)
    ended = await running
    assert ended.error == "its process was ended by SIGKILL (out of memory?)"


async def test_a_closed_pool_fails_its_calls_and_does_not_raise() -> None:
    pool = TrialPool(workers=1)
    await pool.close()
    ended = await pool.run_trial(trial())
    assert ended.error is not None
    assert "closed" in ended.error


async def test_a_training_leaves_an_artifact_that_can_be_verified(pool: TrialPool, tmp_path: Path) -> None:
    call = TrainingCall(f"{HERE}:objective", request().to_json(), {"lr": 0.05}, str(tmp_path), 30.0)
    ended = await pool.run_training(call)
    assert ended.error is None
    assert ended.metrics == {"accuracy": 0.9}
    assert ended.sha256 is not None
    assert load_artifact(ended.url, ended.sha256) == b"m ['lr']"
    assert hashlib.sha256(b"m ['lr']").hexdigest() == ended.sha256


@pytest.mark.parametrize(("learning_rate", "promoted"), [(0.9, True), (0.3, False)])
async def test_a_training_is_compared_with_the_champion_on_the_same_examples(
    pool: TrialPool, tmp_path: Path, learning_rate: float, promoted: bool
) -> None:
    stored = ArtifactStore(tmp_path).save("m", b"0.6")
    champion = KnownVersion(version="1", artifact=stored.url, sha256=stored.sha256)
    params: Params = {"lr": learning_rate}
    objective = "tests.tuner.objectives:Judged"
    call = TrainingCall(objective, request().to_json(), params, str(tmp_path), 30.0, champion=champion)
    made = (await pool.run_training(call)).promotion
    assert made is not None
    assert (made.promoted, made.champion, made.champion_score, made.test) == (promoted, "1", 0.6, "mcnemar")
    assert made.challenger_score == learning_rate


async def test_a_training_that_raises_leaves_its_reason(pool: TrialPool, tmp_path: Path) -> None:
    call = TrainingCall(f"{HERE}:objective", request().to_json(), {"training": "raise"}, str(tmp_path), 30.0)
    ended = await pool.run_training(call)
    assert ended.sha256 is None
    assert ended.error is not None
    assert ended.error.startswith("RuntimeError: no memory")


async def test_an_objective_without_training_gives_its_parameters_as_the_artifact(
    pool: TrialPool, tmp_path: Path
) -> None:
    call = TrainingCall(f"{HERE}:Nested.objective", request().to_json(), {"lr": 0.05}, str(tmp_path), 30.0)
    ended = await pool.run_training(call)
    assert ended.sha256 is not None
    assert load_artifact(ended.url, ended.sha256) == b'{"lr": 0.05}'


PARENT = """
import asyncio, sys
from agents.tuner.pool import TrialPool
from tests.tuner.test_pool import trial

async def main():
    pool = TrialPool(workers=1)
    await pool.run_trial(trial())
    print("ready", flush=True)
    await asyncio.sleep(3600)

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_processes_do_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(PARENT)
    parent = subprocess.Popen(
        [sys.executable, str(tmp_path / "parent.py")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == "ready\n"
    children = _children_of(parent.pid)
    assert children
    parent.kill()
    parent.wait()
    parent.stdout.close()
    while any(Path(f"/proc/{pid}").exists() for pid in children):  # pytest's timeout ends a wait that never succeeds
        time.sleep(0.05)


async def _until(fact: Callable[[], bool]) -> None:
    while not fact():  # noqa: ASYNC110 (processes set no event; pytest's timeout ends a wait that never succeeds)
        await asyncio.sleep(0.05)


def _children() -> set[int]:
    return {child.pid for child in multiprocessing.active_children() if child.pid is not None}


def _children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]
