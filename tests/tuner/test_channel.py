"""What passes between a worker and a trial while it runs."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.tuner.channel import LiveTrial, TrialChannel, TrialChannels


@pytest.fixture
def channels(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrialChannels]:
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        opened = TrialChannels()
        yield opened
        opened.close()
        assert list(Path(folder).iterdir()) == []


def test_reports_come_in_order_to_the_trial_they_are_of(channels: TrialChannels) -> None:
    heard: list[tuple[str, int, float]] = []
    one = LiveTrial(lambda step, value: heard.append(("a", step, value)))
    two = LiveTrial(lambda step, value: heard.append(("b", step, value)))
    with TrialChannel(channels.open(one)) as first, TrialChannel(address := channels.open(two)) as second:
        first.send(0, 0.1)
        second.send(0, 0.2)
        first.send(1, 0.3)
        channels.receive()
        assert heard == [("a", 0, 0.1), ("b", 0, 0.2), ("a", 1, 0.3)]
        second.send(1, 0.4)
        channels.close_one(address)  # what was on its way counts, what comes later does not
        second.send(2, 0.5)
        channels.receive()
        assert heard[3:] == [("b", 1, 0.4)]


def test_only_the_trial_that_is_asked_ends_and_an_order_before_its_time_is_repeated(channels: TrialChannels) -> None:
    early, other = LiveTrial(lambda *_: None), LiveTrial(lambda *_: None)
    address = channels.open(early)
    early.end_early()
    with TrialChannel(address) as asked, TrialChannel(channels.open(other)) as left:
        assert not asked.asked_to_end()
        asked.send(0, 0.1)
        left.send(0, 0.1)
        channels.receive()
        assert (asked.asked_to_end(), asked.asked_to_end(), left.asked_to_end()) == (True, True, False)


def test_reports_that_nobody_reads_hold_no_trial_up(channels: TrialChannels) -> None:
    with TrialChannel(channels.open(LiveTrial(lambda *_: None))) as channel:
        for step in range(10_000):
            channel.send(step, 0.5)
    with TrialChannel("/nowhere/7") as gone:
        gone.send(0, 0.1)
        assert not gone.asked_to_end()


def test_what_a_killed_worker_left_is_removed_and_what_others_use_is_not(channels: TrialChannels) -> None:
    beside = Path(tempfile.gettempdir())
    left, begun = beside / "visutility-trials-left", beside / "visutility-trials-begun"
    left.mkdir()
    begun.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as killed:
        killed.bind(str(left / "worker"))
    another = TrialChannels()
    assert (left.exists(), begun.exists()) == (False, True)
    with TrialChannel(channels.open(LiveTrial(lambda *_: None))) as channel:
        channel.send(0, 0.1)
        channels.receive()
    another.close()
    begun.rmdir()
