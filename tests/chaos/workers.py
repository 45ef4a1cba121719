"""Worker processes under an orchestrator that starts again whatever ends without having been told to."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.loop.driving import ROOT

#: Seconds. A worker promises to end within ten of SIGTERM; what takes twice as long has hung.
READY_TIMEOUT, STOP_TIMEOUT = 90.0, 20.0


@dataclass
class Running:
    """A process and its log. `disturbed`: the broker was away or its disk full while it ran, so that it may give up."""

    process: subprocess.Popen[bytes]
    log: Path
    disturbed: bool = False
    meant_to_die: bool = False

    @property
    def is_ready(self) -> bool:
        return b'"ready"' in self.log.read_bytes()

    @property
    def is_stopped(self) -> bool:
        """Whether SIGSTOP has stopped it."""
        status = Path(f"/proc/{self.process.pid}/stat").read_text()
        return status.rpartition(")")[2].split()[0] == "T"

    @property
    def last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return f"{self.log.name}: {lines[-1] if lines else 'nothing logged'}"


@dataclass
class Workers:
    """Workers by slot; each slot has a data folder of its own. `environment` is what every worker gets."""

    config: Path
    folder: Path
    say: Callable[[str], None]
    running: dict[int, Running] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    restarts: list[str] = field(default_factory=list)
    broker_is_away: bool = False
    _started: int = 0

    def start(self, slot: int, **faults: int) -> None:
        """Start a worker and return at once; `faults` are those of `tests.chaos.broken_worker`, in small letters."""
        log = self.folder / f"worker-{self._started:03}-slot-{slot}.log"
        self._started += 1
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.broken_worker", "worker", "--config", str(self.config)],
                env=self._environment(slot, faults),
                cwd=ROOT,
                stderr=stderr,
                stdout=subprocess.DEVNULL,
            )
        self.running[slot] = Running(process, log, self.broker_is_away, "die_at" in faults)

    def _environment(self, slot: int, faults: Mapping[str, int]) -> dict[str, str]:
        """The caller's own settings are left out: they would win over the file."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("VISUTILITY_")}
        own = {
            "PYTHONPATH": str(ROOT),
            "VISUTILITY_LOG_FORMAT": "json",
            "VISUTILITY_DATA_DIR": str(self.data(slot)),
        }
        return kept | own | {name.upper(): str(value) for name, value in faults.items()}

    def data(self, slot: int) -> Path:
        """The data folder of a slot."""
        return self.folder / f"data-{slot}"

    def wipe(self, slot: int) -> None:
        """Remove the data folder of a slot whose worker has ended."""
        shutil.rmtree(self.data(slot), ignore_errors=True)

    def kill(self, slot: int) -> None:
        """SIGKILL, as an out-of-memory killer would."""
        worker = self.running.pop(slot)
        worker.process.kill()
        worker.process.wait()

    def freeze(self, slot: int) -> None:
        self.running[slot].process.send_signal(signal.SIGSTOP)

    def thaw(self, slot: int) -> None:
        self.running[slot].process.send_signal(signal.SIGCONT)

    def terminate(self, *slots: int) -> None:
        """SIGTERM to several at once; each must end with code 0. One that had not begun to work may just die."""
        leaving = [(worker := self.running.pop(slot), worker.is_ready) for slot in slots]
        for worker, _ in leaving:
            worker.process.send_signal(signal.SIGTERM)
        for worker, was_ready in leaving:
            try:
                code = worker.process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
                self._problem(f"a worker did not end within {STOP_TIMEOUT:g} s of SIGTERM; {worker.last_words}")
                continue
            if code != 0 and (was_ready or code != -signal.SIGTERM):
                self._problem(f"a worker ended with code {code} after SIGTERM; {worker.last_words}")

    def broker_goes(self) -> None:
        """From now on a worker that ends is not to blame."""
        self.broker_is_away = True
        for worker in self.running.values():
            worker.disturbed = True

    def broker_is_back(self) -> None:
        self.broker_is_away = False

    def supervise(self) -> None:
        """Start again what has ended; unless the broker was away during its life, that is a problem."""
        for slot, worker in list(self.running.items()):
            code = worker.process.poll()
            if code is None or worker.meant_to_die:
                continue
            line = f"exit code {code}; {worker.last_words}"
            if worker.disturbed:
                self.restarts.append(line)
                self.say(f"  restarted slot {slot}: {line}")
            else:
                self._problem(f"a worker ended by itself: {line}")
            self.start(slot)

    def pause(self, seconds: float) -> None:
        """Let time pass, and supervise."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.supervise()
            time.sleep(min(0.1, left))

    def wait_ready(self) -> None:
        """Wait until all are ready; one that takes too long is a problem."""
        end = time.monotonic() + READY_TIMEOUT
        while not all(worker.is_ready for worker in self.running.values()):
            if time.monotonic() > end:
                slow = [worker.last_words for worker in self.running.values() if not worker.is_ready]
                self._problem(f"not ready after {READY_TIMEOUT:g} s; {'; '.join(slow)}")
                return
            self.pause(0.1)

    def died_as_meant(self, slot: int, seconds: float) -> bool:
        """Whether the worker that was to kill itself did so within the time; it is gone in any case."""
        worker = self.running.pop(slot)
        end = time.monotonic() + seconds
        while worker.process.poll() is None and time.monotonic() < end:
            self.pause(0.1)
        if worker.process.poll() is None:
            worker.process.kill()
            worker.process.wait()
            return False
        if worker.process.returncode != -signal.SIGKILL:
            self._problem(f"a worker ended by itself: exit code {worker.process.returncode}; {worker.last_words}")
            return False
        return True

    def wait_for(self, met: Callable[[], bool], seconds: float) -> bool:
        """Wait until something has happened; whether it has within the time."""
        end = time.monotonic() + seconds
        while not met():
            if time.monotonic() > end:
                return False
            self.pause(0.1)
        return True

    def logged(self, text: str) -> int:
        """How many lines of all logs so far hold this text."""
        return sum(log.read_text(errors="replace").count(text) for log in self.folder.glob("worker-*.log"))

    def end_all(self) -> None:
        """Leave nothing behind."""
        for slot in list(self.running):
            self.kill(slot)

    def _problem(self, line: str) -> None:
        self.say(f"  PROBLEM: {line}")
        self.problems.append(line)
