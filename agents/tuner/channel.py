"""What passes between a worker and its trials while they run: reports one way, the order to end early the other.

Datagrams over Unix sockets, in a folder that nobody else may look into: each is whole or not there, and neither a lock
nor a thread is left behind by a process that is killed in the middle. Nothing depends on their arrival: the reports
come once more with the trial's result, and an order that came too early is repeated at the next report.
"""

from __future__ import annotations

import shutil
import socket
import struct
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_REPORT: Final = struct.Struct("<Id")
_ORDER: Final = b"end"
_HEARS: Final = "worker"
_PREFIX: Final = "visutility-trials-"
_LONGEST: Final = 60
"""Of the folder for temporary files: a socket's path may have 107 bytes."""


class TrialChannel:
    """The trial's end. Reports that cannot be sent at once are left out."""

    def __init__(self, address: str) -> None:
        """`address` is what `TrialChannels.open` gave."""
        self._worker, self._ordered = str(Path(address).with_name(_HEARS)), False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        with suppress(FileNotFoundError):  # left by a process that was to run this trial, and died
            Path(address).unlink()
        with suppress(OSError):  # its worker has just gone, say: then nobody listens
            self._socket.bind(address)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, step: int, value: float) -> None:
        """Tell the worker what was reported."""
        with suppress(OSError):
            self._socket.sendto(_REPORT.pack(step, value), self._worker)

    def asked_to_end(self) -> bool:
        """Whether the worker has asked for an early end."""
        with suppress(OSError):
            self._ordered = self._ordered or self._socket.recv(16) == _ORDER
        return self._ordered


class LiveTrial:
    """A trial while it runs: `heard` gets each report's step and value, as it comes. `end_early` asks it to end."""

    def __init__(self, heard: Callable[[int, float], None]) -> None:
        self.heard = heard
        self.ends_early = False
        self._order: Callable[[], None] = lambda: None

    def end_early(self) -> None:
        """Ask the trial to end; one that does not look goes to its end."""
        self.ends_early = True
        self._order()

    def attach(self, order: Callable[[], None]) -> None:
        """It runs, and `order` reaches it."""
        self._order = order

    def take(self, step: int, value: float) -> None:
        """A report has come."""
        self.heard(step, value)
        if self.ends_early:
            self._order()


class TrialChannels:
    """The worker's end of all its trials' channels; `receive` is to be called whenever `fileno` can be read."""

    def __init__(self) -> None:
        beside = tempfile.gettempdir()
        self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=beside if len(beside) < _LONGEST else "/tmp"))
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._remove_abandoned()
        self._socket.bind(str(self._folder / _HEARS))
        self._trials: dict[str, LiveTrial] = {}
        self._opened = 0

    def fileno(self) -> int:
        """The descriptor to watch."""
        return self._socket.fileno()

    def open(self, trial: LiveTrial) -> str:
        """The address of a trial's channel, for its process."""
        self._opened += 1
        address = str(self._folder / str(self._opened))
        self._trials[address] = trial
        trial.attach(lambda: self._order(address))
        return address

    def receive(self) -> None:
        """Pass on all that has come."""
        with suppress(OSError):
            while True:
                data, address = self._socket.recvfrom(64)
                trial = self._trials.get(address)
                if trial is not None and len(data) == _REPORT.size:
                    trial.take(*_REPORT.unpack(data))

    def close_one(self, address: str) -> None:
        """The trial has ended; what was still on its way is passed on first."""
        self.receive()
        self._trials.pop(address, None)
        with suppress(OSError):
            Path(address).unlink()

    def close(self) -> None:
        """Leave nothing behind."""
        self._socket.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _remove_abandoned(self) -> None:
        """Remove the folders of workers that were killed: nobody reads their sockets any more."""
        for folder in self._folder.parent.glob(f"{_PREFIX}*"):
            try:
                self._socket.sendto(b"", str(folder / _HEARS))
            except ConnectionRefusedError:
                shutil.rmtree(folder, ignore_errors=True)
            except OSError:
                continue  # it has no socket yet, or belongs to somebody else

    def _order(self, address: str) -> None:
        with suppress(OSError):  # it has not begun yet, or has ended
            self._socket.sendto(_ORDER, address)
