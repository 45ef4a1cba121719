"""Runs in a file, one message a line: appended, synced, shared by processes, and mended after a crash.

Writers take turns by a lock on the file (flock), and each reads what the others wrote before it decides whether its own
message may be added. A line counts once it ends in a newline: what a crash left behind it was never acknowledged.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import TypeVar, cast

from agents.tracking.runs import Record, Run, Runs, StoreError
from agents.tracking.subscribers import Subscriber, Subscribers
from schemas.message import InvalidMessage
from schemas.topics import TOPICS

T = TypeVar("T")
log = logging.getLogger(__name__)


class JsonlStore:
    """Implements `RunStore` over a file of messages, such as `visutility runs export` writes.

    What other processes add is noticed at the next call of any method.
    """

    def __init__(self, path: Path | str) -> None:
        """Reads nothing yet. The file and its folder are made when they are first needed."""
        self._path = Path(path)
        self._parse = TOPICS["experiments"].parser()
        self._runs, self._subscribers = Runs(), Subscribers()
        self._file: FileIO | None = None
        self._read_to = self._lines = 0
        self._turns, self._threads = asyncio.Lock(), threading.Lock()

    async def append(self, message: Record) -> None:
        await self._off_the_loop(lambda: (self._append(message), None))

    async def get(self, run_id: str) -> Run:
        return await self._off_the_loop(lambda: self._look(lambda: self._runs.get(run_id)))

    async def runs(self) -> list[Run]:
        return await self._off_the_loop(lambda: self._look(self._runs.all))

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        return self._subscribers.add(subscriber)

    async def close(self) -> None:
        async with self._turns:
            if self._file is not None:
                await asyncio.to_thread(self._file.close)
                self._file = None

    async def _off_the_loop(self, work: Callable[[], tuple[list[Record], T]]) -> T:
        """Do file work in a thread, and tell the subscribers what it found, on the loop and in the file's order."""
        async with self._turns:
            try:
                found, result = await asyncio.to_thread(work)
            except OSError as problem:
                raise StoreError(f"{self._path}: {problem.strerror or problem}") from problem
            for message in found:
                self._subscribers.tell(message)
        return result

    def _append(self, message: Record) -> list[Record]:
        with self._locked(fcntl.LOCK_EX) as file:
            found = self._read(file, mend=True)
            self._runs.check(message)
            try:
                _write(file, message.to_json() + b"\n")
            except OSError:
                file.truncate(self._read_to)  # what was not acknowledged must not be found there later
                raise
            return found + self._read(file, mend=False)

    def _look(self, look: Callable[[], T]) -> tuple[list[Record], T]:
        """What others wrote, and then what the view shows."""
        if self._file is None and not self._path.exists():
            return [], look()
        with self._locked(fcntl.LOCK_SH) as file:
            return self._read(file, mend=False), look()

    @contextmanager
    def _locked(self, kind: int) -> Iterator[FileIO]:
        """The file, held by this thread alone in this process and locked against others."""
        with self._threads:
            file = self._file = self._file or self._opened()
            fcntl.flock(file, kind)
            try:
                yield file
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)

    def _opened(self) -> FileIO:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        existed = self._path.exists()
        file = FileIO(self._path, "a+")
        if not existed:
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)  # else a power cut may take the new file's name with it
            finally:
                os.close(folder)
        return file

    def _read(self, file: FileIO, *, mend: bool) -> list[Record]:
        """Apply the lines beyond those read before; returns the messages among them."""
        file.seek(self._read_to)
        data = file.read()
        whole = data.rfind(b"\n") + 1
        if mend and whole < len(data):
            torn = len(data) - whole
            log.warning("%s: %d bytes of a line that was never finished are removed", self._path, torn)
            file.truncate(self._read_to + whole)
        found: list[Record] = []
        for line in data[:whole].split(b"\n")[:-1]:
            self._lines += 1
            message = self._message(line)
            if message is not None and self._runs.apply(message):
                found.append(message)
        self._read_to += whole
        return found

    def _message(self, line: bytes) -> Record | None:
        try:
            return cast(Record, self._parse(line))
        except InvalidMessage as problem:
            log.warning("%s:%d: is left out: %s", self._path, self._lines, problem)
            return None


def _write(file: FileIO, line: bytes) -> None:
    """Append a line; it is on the disk when this returns. Unbuffered, so that nothing of a failed write comes later."""
    while line:
        line = line[file.write(line) :]
    os.fsync(file.fileno())
