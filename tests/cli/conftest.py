"""Commands run in a folder of their own, with an environment that sets nothing."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest


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
