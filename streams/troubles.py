"""One line when the broker goes, one every half a minute while it is away, one when it is back.

aiokafka reports each failed attempt of each client: hundreds of lines a second, in which what else happens is lost.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

#: Seconds between two lines about a broker that is away, and without trouble until it counts as back.
SAY_EVERY, QUIET = 30.0, 5.0

#: What aiokafka's lines about a broker that cannot be reached, or takes no records, have in common.
_SIGNS = (
    "Connect call failed",
    "coordinator dead",
    "GroupCoordinatorNotAvailableError",
    "GroupLoadInProgressError",
    "is either not started or not valid",
    "KafkaConnectionError",
    "LeaderNotAvailableError",
    "NodeNotReadyError",
    "NotEnoughReplicas",
    "NotLeaderForPartitionError",
    "RequestTimedOutError",
    "KafkaTimeoutError",
    "Unable connect to node",
    "Unable to request metadata",
    "Unable to update metadata",
)

#: What the broker answers to whom an ACL is missing, by name: this module is imported where Kafka's client is not yet.
_DENIALS = (
    "ClusterAuthorizationFailedError",
    "GroupAuthorizationFailedError",
    "TopicAuthorizationFailedError",
    "TransactionalIdAuthorizationFailed",
)


class BrokerTroubles(logging.Filter):
    """Lets few of aiokafka's lines about a broker that is away through, in words of our own; all others unchanged.

    `clock` is a steady clock in seconds; `on_away` is called when the broker goes, and sees to it that `settle` is
    called now and then. May be used from several threads.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, on_away: Callable[[BrokerTroubles], None] | None = None
    ) -> None:
        super().__init__()
        self._clock, self._on_away = clock, on_away
        self._lock = threading.Lock()
        self._since: float | None = None
        self._last = self._said = 0.0
        self._left_out = 0

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and type(record.exc_info[1]).__name__ in _DENIALS:
            return False  # what is denied ends the worker, whose last line tells it
        if not record.name.startswith("aiokafka") or not _is_trouble(text := record.getMessage()):
            return True
        with self._lock:
            now = self._last = self._clock()
            if began := self._since is None:
                self._since, self._said, self._left_out = now, now, 0
                line = f"a Kafka broker does not answer ({text}); trying again"
            elif now - self._said >= SAY_EVERY:
                line = f"a Kafka broker has not answered for {now - (self._since or 0):.0f} s ({text});"
                line += f" {self._left_out} such lines left out"
                self._said, self._left_out = now, 0
            else:
                self._left_out += 1
                return False
        record.msg, record.args, record.exc_info = line, (), None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        if began and self._on_away is not None:
            self._on_away(self)
        return True

    def settle(self) -> bool:
        """Whether the broker is there; the line that it is back is logged when there was no trouble for a while."""
        with self._lock:
            if self._since is None:
                return True
            if self._clock() - self._last < QUIET:
                return False
            away, self._since = self._last - self._since, None
        log.info("Kafka answers again after %.0f s", away)
        return True


def watch(troubles: BrokerTroubles) -> None:
    """Look after a broker that is away, in a thread of its own that ends when it is back."""

    def look() -> None:
        while not troubles.settle():
            time.sleep(1.0)

    threading.Thread(target=look, name="broker-troubles", daemon=True).start()


def _is_trouble(text: str) -> bool:
    return any(sign in text for sign in _SIGNS)
