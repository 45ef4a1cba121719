"""Java, and Kafka's jars as Maven fetches them: once per user and version, into a cache folder."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path

from streams.brokers.broker import BrokerError

OLDEST_JAVA = 17

#: Seconds; they are some 40 MB.
_FETCH_TIMEOUT = 600.0

_REMEDY = "use a cluster of your own (VISUTILITY_BOOTSTRAP_SERVERS), Docker, or the embedded broker instead"


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where fetched things are kept: `VISUTILITY_CACHE`, else `visutility` in the user's cache folder."""
    if chosen := environment.get("VISUTILITY_CACHE"):
        return Path(chosen)
    home = environment.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "visutility"


def find_java() -> str:
    """The path of a Java that can run Kafka. Raises `BrokerError` if there is none or it is too old."""
    java = shutil.which("java")
    if java is None:
        raise BrokerError(f"Kafka from jars needs Java {OLDEST_JAVA} or newer, and there is no `java`; {_REMEDY}")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False, timeout=60).stderr
    version = java_version(said)
    if version is None or version < OLDEST_JAVA:
        found = said.splitlines()[0] if said else "nothing"
        raise BrokerError(
            f"Kafka from jars needs Java {OLDEST_JAVA} or newer; `{java} -version` says {found}; {_REMEDY}"
        )
    return java


def java_version(said: str) -> int | None:
    """The feature release in what `java -version` prints (`"1.8.0_392"` is 8); None if it prints no version."""
    found = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(found[1]) if found else None


def fetch_jars(cache: Path) -> Path:
    """The folder with Kafka's jars, under `cache`; fetched with Maven if they are not there yet.

    Safe to call from several processes at once. Raises `BrokerError` if Maven is missing or fails.
    """
    with as_file(files("streams.brokers").joinpath("pom.xml")) as pom:
        version = hashlib.sha256(pom.read_bytes()).hexdigest()[:16]
        jars = cache / f"kafka-jars-{version}"
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / f"{jars.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not jars.is_dir():
                _fetch(pom, jars)
    return jars


def _fetch(pom: Path, jars: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise BrokerError(f"Kafka's jars are fetched with Maven, and there is no `mvn`; {_REMEDY}")
    with tempfile.TemporaryDirectory(dir=jars.parent) as folder:
        # Maven writes `target` beside the pom; the package's own folder may be read-only.
        copy = Path(folder) / "pom.xml"
        copy.write_bytes(pom.read_bytes())
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder}/jars"]
        command = [maven, "-q", "-B", "-f", str(copy), *goal]
        try:
            subprocess.run(command, capture_output=True, text=True, check=True, timeout=_FETCH_TIMEOUT)
        except subprocess.TimeoutExpired as problem:
            raise BrokerError(f"`mvn` did not fetch Kafka's jars in {_FETCH_TIMEOUT:.0f} s; {_REMEDY}") from problem
        except subprocess.CalledProcessError as problem:
            reason = next((line for line in problem.stdout.splitlines() if "ERROR" in line), problem.stderr.strip())
            raise BrokerError(f"`mvn` could not fetch Kafka's jars: {reason}; {_REMEDY}") from problem
        (Path(folder) / "jars").rename(jars)
