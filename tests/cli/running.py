"""Runs the command line in this process, as a shell would see it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from dataclasses import dataclass
from typing import Any

from agents.cli import kafka
from agents.cli.main import main
from agents.settings import Settings


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on stdout."""
        assert self.out.count("\n") == 1
        return json.loads(self.out)


def visutility(*arguments: object) -> Ran:
    """Run one command. Whatever happens, a reason is one line, and never a traceback."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([str(argument) for argument in arguments])
    ran = Ran(status, out.getvalue(), err.getvalue())
    assert "Traceback" not in ran.err
    assert ran.err.count("\n") == (status != 0)
    return ran


def everything_on(settings: Settings, topic: str) -> list[Any]:
    """The records of a topic, a partition after the other."""

    async def read() -> list[Any]:
        return [record async for record in kafka.read_all(settings, topic)]

    return asyncio.run(read())
