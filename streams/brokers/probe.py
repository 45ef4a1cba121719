"""Asks an address whether a Kafka broker is ready there: whether its metadata lists a live broker."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable

#: Metadata, version 1, asked for no topic, so that none is created: every broker since Kafka 0.10 knows it.
_METADATA_REQUEST = struct.pack(">hhih", 3, 1, 1, -1) + struct.pack(">i", 0)

_PAUSE = 0.1


class BrokerSilent(TimeoutError):
    """No broker was ready in time; the message says what was seen last."""


def wait_until_ready(bootstrap_servers: str, timeout: float, alive: Callable[[], bool] = lambda: True) -> None:
    """Block until one of the servers lists a live broker.

    A broker accepts connections before its controller lets it host topics; until then its metadata lists no broker.
    Servers that want TLS hang up on the plain-text question; that they hang up at once shows that they are up.
    Raises `BrokerSilent` after `timeout` seconds, or as soon as `alive` says that waiting is in vain.
    """
    until = time.monotonic() + timeout
    seen = "no connection"
    while alive() and time.monotonic() < until:
        for server in bootstrap_servers.split(","):
            host, _, port = server.rpartition(":")
            try:
                if _lists_a_broker(host.strip("[]"), int(port)):
                    return
                seen = "it answers, but lists no live broker"
            except OSError as problem:
                seen = str(problem)
        time.sleep(_PAUSE)
    raise BrokerSilent(seen)


def _lists_a_broker(host: str, port: int) -> bool:
    with socket.create_connection((host, port), timeout=2.0) as connection:
        connection.sendall(struct.pack(">i", len(_METADATA_REQUEST)) + _METADATA_REQUEST)
        first = connection.recv(1)
        if first != b"\0":  # hung up, or a TLS alert; a Kafka answer begins with its size, far below 2**24
            return True
        _receive(connection, 3)
        answer = _receive(connection, 8)
    brokers: int = struct.unpack(">i", answer[4:8])[0]
    return brokers > 0


def _receive(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise ConnectionResetError("the server closed the connection")
        data += part
    return data
