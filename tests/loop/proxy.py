"""A proxy before a broker that can be frozen: connections stay, and nobody answers any more."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


class Proxy:
    """Stands for a broker of one node at an IPv4 address; the address it advertises is replaced by the proxy's own."""

    def __init__(self, servers: str) -> None:
        host, port = servers.split(":")
        self._broker = (host, int(port))
        self._server = socket.create_server(("127.0.0.1", 0))
        self._address = self._server.getsockname()
        self._sockets: list[socket.socket] = [self._server]
        self._flowing = threading.Event()
        self._flowing.set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def servers(self) -> str:
        return f"127.0.0.1:{self._address[1]}"

    def freeze(self) -> None:
        """From now on nothing passes, in either direction."""
        self._flowing.clear()

    def close(self) -> None:
        self._flowing.set()
        for each in self._sockets:
            each.close()

    def _accept(self) -> None:
        theirs, ours = (host.encode() + struct.pack(">i", port) for host, port in (self._broker, self._address))
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                broker = socket.create_connection(self._broker)
                self._sockets += (client, broker)
                self._pump(client, broker, bytes)
                self._pump(broker, client, lambda data: data.replace(theirs, ours))

    def _pump(self, source: socket.socket, target: socket.socket, changed: Callable[[bytes], bytes]) -> None:
        def run() -> None:
            with suppress(OSError):
                while data := source.recv(1 << 20):
                    self._flowing.wait()
                    target.sendall(changed(data))
            source.close()
            target.close()

        threading.Thread(target=run, daemon=True).start()


@contextmanager
def proxied(servers: str) -> Iterator[Proxy]:
    """A proxy, closed at the end."""
    proxy = Proxy(servers)
    try:
        yield proxy
    finally:
        proxy.close()
