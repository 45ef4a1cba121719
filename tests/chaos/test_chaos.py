"""The short form of `python -m tests.chaos`: five faults on a broker that is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.brokers.broker import Broker
from tests.chaos.plan import BROKER_FAULTS, KILLS, SHORT, Fault, plan
from tests.chaos.run import Run
from tests.loop.driving import Cluster


@pytest.mark.timeout(900)
def test_faults_of_every_kind_leave_no_trace(real_broker: Broker, topic_prefix: str, tmp_path: Path) -> None:
    figures = Run(Cluster(real_broker, topic_prefix, tmp_path), 7, SHORT, say=print).execute()
    assert figures.problems == []
    assert figures.faults.total() == len(SHORT)
    assert figures.compared["drift"] > 50
    assert min(figures.compared.values()) > 0


def test_a_seed_gives_the_same_plan_each_time_and_another_seed_another() -> None:
    assert plan(1, 30, broker_faults=True) == plan(1, 30, broker_faults=True) != plan(2, 30, broker_faults=True)


def test_a_plan_holds_as_many_kills_as_asked_for_and_every_other_fault() -> None:
    faults = plan(1, 30, broker_faults=True)
    assert sum(fault in KILLS for fault in faults) == 30
    assert faults.count(Fault.BROKER_KILL) == 5
    assert set(faults) == set(Fault)
    spared = plan(1, 30, broker_faults=False, disk_faults=False)
    assert not {*BROKER_FAULTS, Fault.DISK_FULL} & set(spared)
