"""The peers' environments, made once in the user's cache folder from the pins beside their scripts."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from streams.brokers.java import cache_folder

PEERS = Path(__file__).parent / "peers"

#: Seconds for one installation.
_TIMEOUT = 600.0


class NoEnvironment(RuntimeError):
    """A peer could not be installed; the message says why."""


def python_of(peer: str) -> str:
    """The Python of a peer's environment, which has exactly what `peers/PEER.txt` pins. Raises `NoEnvironment`."""
    pins = PEERS / f"{peer}.txt"
    folder = _folder(peer, pins.read_bytes() + sys.version.encode())
    python = str(folder / "bin" / "python")
    if not (folder / "complete").exists():
        if uv := shutil.which("uv"):
            _execute([uv, "venv", "-q", "--clear", "-p", sys.executable, str(folder)])
            _execute([uv, "pip", "install", "-q", "-p", python, "-r", str(pins)])
        else:
            _execute([sys.executable, "-m", "venv", "--clear", str(folder)])
            _execute([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", str(pins)])
        (folder / "complete").touch()
    return python


def kafka_streams() -> list[str]:
    """The command that runs the peer in Java, compiled. Raises `NoEnvironment`."""
    source, pom = PEERS / "KafkaStreamsPeer.java", PEERS / "pom.xml"
    java, javac, maven = (_find(program) for program in ("java", "javac", "mvn"))
    folder = _folder("kafka-streams", source.read_bytes() + pom.read_bytes())
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(pom, folder)  # Maven writes `target` beside it
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder}/jars"]
        _execute([maven, "-q", "-B", "-f", str(folder / "pom.xml"), *goal])
        _execute([javac, "-cp", f"{folder}/jars/*", "-d", str(folder / "classes"), str(source)])
        (folder / "complete").touch()
    return [java, "-Xmx2g", "-cp", f"{folder}/classes:{folder}/jars/*", "KafkaStreamsPeer"]


def _folder(peer: str, contents: bytes) -> Path:
    return cache_folder() / f"peer-{peer}-{hashlib.sha256(contents).hexdigest()[:16]}"


def _find(program: str) -> str:
    if found := shutil.which(program):
        return found
    raise NoEnvironment(f"there is no `{program}`")


def _execute(command: Sequence[str]) -> None:
    try:
        subprocess.run(command, capture_output=True, text=True, check=True, timeout=_TIMEOUT)
    except subprocess.TimeoutExpired as problem:
        raise NoEnvironment(f"`{command[0]}` was not done within {_TIMEOUT:g} s") from problem
    except subprocess.CalledProcessError as problem:
        said = (problem.stderr or problem.stdout).strip() or "nothing"
        raise NoEnvironment(f"`{command[0]}` failed: {said.splitlines()[-1]}") from problem
