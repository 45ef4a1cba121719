"""The port that every provider of a broker implements."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import ClassVar, Literal, Self

BrokerKind = Literal["external", "jars", "containers", "embedded"]


class BrokerError(RuntimeError):
    """A broker could not be had; the message says why and what to do about it."""


class Broker(ABC):
    """Something that speaks Kafka's protocol at an address, for as long as it is entered or started.

    `start` returns when the broker answers and raises `BrokerError` if it never does. `stop` may be called twice.
    """

    kind: ClassVar[BrokerKind]

    #: Whether offsets committed in a transaction count, and a transactional producer fences the one before it.
    transactions: bool = True

    #: Whether consumers that read committed see neither open nor aborted transactions.
    read_committed: bool = True

    @property
    @abstractmethod
    def bootstrap_servers(self) -> str:
        """`host:port[,host:port…]`. Raises `BrokerError` before `start`."""

    @abstractmethod
    def start(self) -> None:
        """Make the broker answer at `bootstrap_servers`. Blocks."""

    @abstractmethod
    def stop(self) -> None:
        """Let go of what `start` took."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def not_started(broker: Broker) -> BrokerError:
    """What `bootstrap_servers` raises before `start`."""
    return BrokerError(f"the {broker.kind} broker has not been started; enter it (`with broker:`) or call start()")
