"""One real Kafka for all processes of a parallel run: the main process starts it when the first of them asks.

They meet in a folder: who wants the broker leaves a file there, and the main process answers with another.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from streams.brokers.broker import Broker, BrokerError

_WANTED, _ANSWER = "wanted", "answer.json"

#: Seconds between two looks, and for which an answer is waited for: the first time, jars are fetched.
_PAUSE, _PATIENCE = 0.1, 600.0


class SharedBroker:
    """The main process's side. A thread of its own starts the broker and lives as long, for the broker dies with it."""

    def __init__(self, choose: Callable[[], Broker]) -> None:
        self._choose = choose
        self._home = tempfile.TemporaryDirectory(prefix="visutility-broker-")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="shared-broker", daemon=True)
        self._thread.start()

    @property
    def folder(self) -> Path:
        """What `ask` is to be given."""
        return Path(self._home.name)

    def stop(self) -> None:
        """End the broker, if it was started."""
        self._ended.set()
        self._thread.join()
        self._home.cleanup()

    def _serve(self) -> None:
        while not (self.folder / _WANTED).exists():
            if self._ended.wait(_PAUSE):
                return
        broker = self._choose()
        try:
            broker.start()
            self._answer({"servers": broker.bootstrap_servers})
            self._ended.wait()
        except Exception as problem:  # noqa: BLE001 - whoever waits is told, whatever it is
            self._answer({"problem": str(problem)})
        finally:
            broker.stop()

    def _answer(self, answer: dict[str, str]) -> None:
        unfinished = self.folder / "unfinished"
        unfinished.write_text(json.dumps(answer))
        unfinished.rename(self.folder / _ANSWER)


def ask(folder: Path) -> str:
    """The address of the shared broker. Raises `BrokerError` with what the main process said, or if it says nothing."""
    (folder / _WANTED).touch()
    until = time.monotonic() + _PATIENCE
    while not (folder / _ANSWER).exists():
        if time.monotonic() > until or not folder.exists():
            raise BrokerError("the main process of this test run gave no broker")
        time.sleep(_PAUSE)
    answer = json.loads((folder / _ANSWER).read_text())
    if "servers" not in answer:
        raise BrokerError(answer["problem"])
    return str(answer["servers"])
