"""The file of runs: nothing acknowledged is lost, nothing half-written is believed, processes take turns."""

# ruff: noqa: ASYNC220, ASYNC240 (the test may wait for files and processes)

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from agents.tracking import JsonlStore, StoreError, Tracker, UnknownRun
from agents.tracking.runs import Record
from schemas.topics import TOPICS

Open = Callable[[Path], Tracker]

ROOT = Path(__file__).parents[2]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "runs.jsonl"


@pytest.fixture
async def tracker_on() -> AsyncIterator[Open]:
    """Opens a file as one more program would."""
    opened: list[Tracker] = []

    def open_one(file: Path) -> Tracker:
        opened.append(Tracker(JsonlStore(file)))
        return opened[-1]

    yield open_one
    for each in opened:
        await each.close()


async def test_each_message_is_a_line_of_the_topics_own_form(tracker_on: Open, file: Path) -> None:
    tracker = tracker_on(file)
    run_id = await tracker.start_run({"lr": 0.1}, model_name="digits")
    await tracker.log_epoch_metrics(run_id, 0, {"loss": 0.7})
    await tracker.end_run(run_id)
    lines = file.read_bytes().splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["run_start", "epoch_end", "training_end"]
    parse = TOPICS["experiments"].parser()
    assert all(parse(line).model_name == "digits" for line in lines)


@pytest.mark.parametrize("torn", [b'{"type": "epoch_end", "run_', b"\xff", b'{"type": "training_end"}'])
async def test_a_torn_last_line_is_removed_and_the_rest_is_kept(
    tracker_on: Open, file: Path, torn: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = tracker_on(file)
    run_id = await tracker.start_run(model_name="digits")
    whole = file.read_bytes()
    with file.open("ab") as crashed:
        crashed.write(torn)
    for each in (tracker, tracker_on(file)):
        assert [run.run_id for run in await each.runs()] == [run_id]
    assert file.read_bytes() == whole + torn
    after = tracker_on(file)
    await after.log_epoch_metrics(run_id, 0, {"loss": 0.7})
    assert f"{len(torn)} bytes of a line that was never finished are removed" in caplog.text
    assert file.read_bytes().startswith(whole + b'{"type":"epoch_end"')
    assert (await tracker.get_run(run_id)).epochs == {0: {"loss": 0.7}}


async def test_a_line_that_is_no_message_is_named_and_left_out(
    tracker_on: Open, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = tracker_on(file)
    first = await tracker.start_run(model_name="digits")
    with file.open("ab") as other:
        other.write(b'{"type": "poem"}\n')
    second = await tracker.start_run(model_name="digits")
    assert [run.run_id for run in await tracker.runs()] == [first, second]
    assert f"{file}:2: is left out: type: " in caplog.text


async def test_a_line_is_on_the_disk_before_it_is_acknowledged(
    tracker_on: Open, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(file.stat().st_size)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    tracker = tracker_on(file)
    run_id = await tracker.start_run(model_name="digits")
    assert synced[-1] == file.stat().st_size > 0
    await tracker.log_epoch_metrics(run_id, 0, {"loss": 0.7})
    assert synced[-1] == file.stat().st_size


async def test_what_could_not_be_synced_is_not_found_later(
    tracker_on: Open, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = tracker_on(file)
    kept = await tracker.start_run(model_name="digits")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match=r"runs\.jsonl: No space left on device"):
            await tracker.start_run(model_name="digits", run_id="lost")
    for each in (tracker, tracker_on(file)):
        with pytest.raises(UnknownRun):
            await each.get_run("lost")
        assert [run.run_id for run in await each.runs()] == [kept]
    await tracker.start_run(model_name="digits", run_id="lost")


async def test_a_file_that_cannot_be_opened_is_named(tracker_on: Open, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=f"{tmp_path}: Is a directory"):
        await tracker_on(tmp_path).start_run(model_name="digits")


async def test_looking_makes_no_file(tracker_on: Open, file: Path) -> None:
    assert await tracker_on(file).runs() == []
    assert not file.exists()


async def test_what_others_add_is_told_when_it_is_read(tracker_on: Open, file: Path) -> None:
    one, other = tracker_on(file), tracker_on(file)
    told: list[Record] = []
    one.subscribe(told.append)
    run_id = await other.start_run(model_name="digits")
    assert told == []
    await one.log_epoch_metrics(run_id, 0, {"loss": 0.7})
    assert [message.type for message in told] == ["run_start", "epoch_end"]


async def test_file_work_is_done_off_the_event_loop(
    tracker_on: Open, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[bool] = set()
    real = os.fsync

    def fsync(descriptor: int) -> None:
        try:
            asyncio.get_running_loop()
            threads.add(True)
        except RuntimeError:
            threads.add(False)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    await tracker_on(file).start_run(model_name="digits")
    assert threads == {False}


WRITER = """
import asyncio, sys
from agents.tracking import JsonlStore, RunExists, Tracker

async def main(file, name):
    tracker = Tracker(JsonlStore(file))
    try:
        await tracker.start_run(model_name="digits", run_id="shared")
        print("started")
    except RunExists:
        print("existed")
    await asyncio.gather(*(tracker.log_epoch_metrics("shared", e, {name: float(e)}) for e in range(60)))

asyncio.run(main(*sys.argv[1:]))
"""


async def test_processes_that_write_at_once_lose_nothing_and_start_a_run_once(tracker_on: Open, file: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(file)]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    options: dict[str, Any] = {"stdout": subprocess.PIPE, "text": True, "env": env, "cwd": ROOT}
    writers = [subprocess.Popen([*command, name], **options) for name in "abc"]
    said = [writer.communicate(timeout=90)[0].strip() for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert sorted(said) == ["existed", "existed", "started"]
    run = await tracker_on(file).get_run("shared")
    assert run.epochs == {epoch: dict.fromkeys("abc", float(epoch)) for epoch in range(60)}
    assert len(file.read_bytes().splitlines()) == 1 + 3 * 60
