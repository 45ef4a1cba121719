"""Commands run in a folder of their own, with an environment that sets nothing."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.settings import Settings, load_settings
from streams.brokers.broker import Broker
from tests.cli.running import visutility


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder. What commands do to the libraries' loggers is undone."""
    monkeypatch.chdir(tmp_path)
    for variable in [name for name in os.environ if name.startswith("VISUTILITY_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("COLUMNS", "300")
    before = logging.getLogger("aiokafka").level
    yield tmp_path
    logging.getLogger("aiokafka").setLevel(before)


@pytest.fixture
def settings(broker: Broker, topic_prefix: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Settings:
    """Settings with topics that are there; commands find them in the environment."""
    monkeypatch.setenv("VISUTILITY_BOOTSTRAP_SERVERS", broker.bootstrap_servers)
    monkeypatch.setenv("VISUTILITY_TOPIC_PREFIX", topic_prefix)
    ran = visutility("topics", "create", "--json")
    assert ran.status == 0, ran.err
    return load_settings()
