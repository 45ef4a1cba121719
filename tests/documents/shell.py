"""Does what a document says, as its reader would: command after command, in one folder, on one Kafka.

Addresses of a broker (`localhost:9092`, `kafka:9092`, `broker:9092`) are this Kafka's, the prefix `visutility.` is one
of its own. A command of ours that ends by itself is run in this process, for starting Python takes a second; those that
run until they are told to stop are processes, which must become ready, go on to the end of the document, and end well.
Anything else is bash's.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from agents.cli.main import main
from tests.documents.fences import ROOT, Block, lines, words

_BROKER = re.compile(r"\b(?:localhost|kafka|broker)(?:-\d)?:909\d\b")
_TOPIC = re.compile(r"(?<=[/\"])visutility\.(?=[a-z]+[-\"?]|$)")
_ADDRESS = re.compile(r"http://(127\.0\.0\.1:\d+)/#token=(\S+)")
_PATIENCE = 120.0


class Reader:
    """One who follows a document. `dashboard` and `token` are those of the dashboard that it had him start."""

    def __init__(self, folder: Path, servers: str, prefix: str, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.dashboard, self.token = folder, "", ""
        self._servers, self._prefix, self._patch = servers, prefix, patch
        self._running: list[tuple[str, subprocess.Popen[str]]] = []
        for variable in [name for name in os.environ if name.startswith("VISUTILITY_")]:
            patch.delenv(variable)
        patch.chdir(folder)
        patch.setenv("VISUTILITY_BOOTSTRAP_SERVERS", servers)
        patch.setenv("VISUTILITY_TOPIC_PREFIX", prefix)
        patch.setenv("VISUTILITY_DASHBOARD", '{"port": 0}')
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("HOME", str(folder))
        patch.setenv("COLUMNS", "200")
        patch.setenv("PATH", f"{_programs(folder / '.programs')}:{os.environ['PATH']}")

    def follow(self, block: Block) -> None:
        """Do what a block says. A command that fails, fails the test."""
        if block.language == "python":
            self.do(f"python3 - <<'PYTHON'\n{block.text}PYTHON", str(block))
            return
        for line in lines(block.text):
            self.do(line, f"{block}: {line}")

    def do(self, line: str, what: str = "") -> str:
        """Do one line; returns what it printed."""
        line = self._here(line)
        command, plain = words(line), [] if "<<" in line else shlex.split(line, comments=True)
        if command[0] == "export":
            for name, _, value in (word.partition("=") for word in command[1:]):
                self._patch.setenv(name, value)
        elif command == plain and command[0] == "visutility":
            if _goes_on(command[1:]):
                self._start(command[1:], what or line)
            else:
                return _run(command[1:], what or line)
        else:
            done = subprocess.run(
                ["bash", "-euc", line], capture_output=True, text=True, timeout=_PATIENCE, check=False
            )
            assert done.returncode == 0, f"{what or line}: {done.stdout}{done.stderr}"
            return done.stdout
        return ""

    def unset(self, variable: str) -> None:
        """Take a variable out of the environment."""
        self._patch.delenv(variable)

    def stop(self) -> None:
        """End what goes on, the last first; each must end well."""
        ended = [(what, process, _ended(process)) for what, process in reversed(self._running)]
        self._running.clear()
        for what, process, output in ended:
            assert process.returncode == 0, f"{what}: exit status {process.returncode}: {output}"

    def _here(self, line: str) -> str:
        line = _BROKER.sub(self._servers, line)
        line = _TOPIC.sub(self._prefix, line)
        return line.replace("localhost:8321", self.dashboard) if self.dashboard else line

    def _start(self, arguments: list[str], what: str) -> None:
        port, number = _free_port(), len(self._running)
        log = self.folder / f".output-{number}"
        environment = {
            **os.environ,
            "VISUTILITY_METRICS_ADDRESS": f"127.0.0.1:{port}",
            "VISUTILITY_DATA_DIR": str(self.folder / f".data-{number}"),
        }
        with log.open("w") as output:
            command = [sys.executable, "-m", "agents.cli.main", *arguments]
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, text=True, env=environment)
        process.args = log
        self._running.append((what, process))
        ready = {"worker": lambda: _answers(port), "dashboard": lambda: self._opened(log)}
        recorded = Path(_value(arguments, "--to")).name.partition(".")[0] if "--to" in arguments else ""
        try:
            _until(ready.get(arguments[0], lambda: any(self.folder.glob(f"{recorded}*"))), process, what, log)
        except AssertionError:
            _ended(self._running.pop()[1])
            raise

    def _opened(self, log: Path) -> bool:
        """Whether the dashboard has told its address; its token is then $TOKEN for the lines that follow."""
        if found := _ADDRESS.search(log.read_text()):
            self.dashboard, self.token = found.groups()
            self._patch.setenv("TOKEN", self.token)
        return bool(found)


def _goes_on(arguments: list[str]) -> bool:
    """Whether the command runs until it is told to stop."""
    subcommand = len(arguments) > 1 and not arguments[1].startswith("-")
    return arguments[0] == "worker" or (arguments[0] == "dashboard" and not subcommand) or "--follow" in arguments


def _run(arguments: list[str], what: str) -> str:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(arguments)
    assert status == 0, f"{what}: exit status {status}: {err.getvalue()}"
    return out.getvalue()


def _programs(folder: Path) -> Path:
    """A folder with our command and this Python, to be found before any other."""
    folder.mkdir()
    for name, arguments in (("visutility", '-m agents.cli.main "$@"'), ("python", '"$@"'), ("python3", '"$@"')):
        file = folder / name
        file.write_text(f"#!/bin/sh\nexec {sys.executable} {arguments}\n")
        file.chmod(0o755)
    return folder


def _value(arguments: list[str], option: str) -> str:
    return arguments[arguments.index(option) + 1]


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _until(ready: Callable[[], bool], process: subprocess.Popen[str], what: str, log: Path) -> None:
    end = time.monotonic() + _PATIENCE
    while not ready():
        assert process.poll() is None, f"{what}: ended with {process.returncode}: {log.read_text()}"
        assert time.monotonic() < end, f"{what}: not ready after {_PATIENCE:.0f} s: {log.read_text()}"
        time.sleep(0.1)


def _ended(process: subprocess.Popen[str]) -> str:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    return Path(str(process.args)).read_text()


@contextlib.contextmanager
def reader(folder: Path, servers: str, prefix: str, patch: pytest.MonkeyPatch) -> Iterator[Reader]:
    """A reader who in the end stops what the document had him start, whatever has become of it."""
    follows = Reader(folder, servers, prefix, patch)
    try:
        yield follows
    except BaseException:
        with contextlib.suppress(AssertionError):
            follows.stop()
        raise
    follows.stop()
