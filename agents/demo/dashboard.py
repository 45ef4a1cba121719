"""The dashboard of a run, in a process of its own, so that the run's pace does not depend on it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from pydantic import SecretStr

from agents.settings import Settings

NEEDED = ("fastapi", "plotly", "uvicorn")

#: Fleets and trials go first.
_START = "import os, sys; os.nice(10); from agents.cli.main import main; sys.exit(main(sys.argv[1:]))"

_END_TIMEOUT = 5.0


@contextmanager
def running_dashboard(settings: Settings, tell: Callable[[str], None]) -> Iterator[None]:
    """Serve the dashboard of a run's topics meanwhile, and tell its address. Without its extra: nothing."""
    if any(find_spec(name) is None for name in NEEDED):
        yield
        return
    process = subprocess.Popen(
        [sys.executable, "-c", _START, "dashboard", "--port", str(_port(settings.dashboard.port))],
        cwd=settings.data_dir,
        env=_environment(settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    threading.Thread(target=_tell_address, args=(process, tell), daemon=True).start()
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(_END_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _tell_address(process: subprocess.Popen[str], tell: Callable[[str], None]) -> None:
    assert process.stdout is not None, "it was asked for"
    with process.stdout as lines:
        if (line := lines.readline().strip()) and process.poll() is None:
            tell(line)


def _port(usual: int) -> int:
    """The usual port, or any where somebody listens there already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", usual))
        except OSError:
            return 0
    return usual


def _environment(settings: Settings) -> dict[str, str]:
    """The run's own settings in place of the person's; packages are found where this process finds them."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VISUTILITY_")}
    own = {
        "BOOTSTRAP_SERVERS": settings.bootstrap_servers or "",
        "TOPIC_PREFIX": settings.topic_prefix,
        "DELIVERY": settings.delivery,
        "LOG_LEVEL": "error",
    } | {name.upper(): _text(value) for name, value in settings.security_given.items()}
    path = os.pathsep.join(each for each in (*sys.path, str(Path.cwd())) if each)
    return kept | {f"VISUTILITY_{name}": value for name, value in own.items()} | {"PYTHONPATH": path, "COLUMNS": "200"}


def _text(value: object) -> str:
    """A setting as the environment has it; files are found from any folder."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value.absolute() if isinstance(value, Path) else value)
