"""Who asks, and what they may do. Pure.

Tokens have 256 random bits, so that one SHA-256 of them can be kept: there is nothing to guess. A token is looked up by
its hash, which takes the same time whether it is nearly right or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_address, ip_network
from typing import Literal

from agents.settings.dashboard import DashboardSettings, DashboardToken, Role

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class AccessUnsafe(ValueError):
    """The dashboard would be open to everyone. The text is one line and says what to set."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks. `open`: nobody in particular, where no tokens are set; `cli`: on the command line."""

    name: str
    role: Role
    access: Literal["open", "token", "proxy", "cli"]


def hashed(token: str) -> str:
    """What is kept of a token: its SHA-256 in hexadecimal digits."""
    return sha256(token.encode()).hexdigest()


class Access:
    """Recognises people by token or by a reverse proxy's header.

    `own_token` is that of whoever started the dashboard on the loopback without any tokens: all may read there, and
    its holder may act. Raises `AccessUnsafe` where `settings` would let everybody in from other machines.
    """

    def __init__(self, settings: DashboardSettings, own_token: DashboardToken | None = None) -> None:
        self._settings = settings
        self._proxies = [ip_network(each) for each in settings.proxies]
        tokens = [*settings.tokens, *([own_token] if own_token else [])]
        self._tokens = {each.sha256: Identity(each.name, each.role, "token") for each in tokens}
        self.is_open = not settings.tokens and not settings.proxies
        if self.is_open and not is_loopback(settings.host):
            raise AccessUnsafe(
                f"dashboard.host {settings.host} can be reached by others: set dashboard.tokens (visutility dashboard "
                "token makes one) or dashboard.proxies"
            )

    def identify(self, address: str, headers: Mapping[str, str]) -> Identity | None:
        """Who a request from this address is by; None if nobody who may even read. Header names are in lower case."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token:
            return self._tokens.get(hashed(token.strip()))
        if self._proxies and (user := headers.get(self._settings.proxy_user.lower())) and self._is_proxy(address):
            if len(user) > 256 or not user.isprintable():
                return None
            return Identity(user, "operate" if user in self._settings.operators else "read", "proxy")
        if self.is_open and is_loopback(host_in(headers.get("host", ""))):
            return Identity("anyone", "read", "open")
        return None

    def _is_proxy(self, address: str) -> bool:
        try:
            found = ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self._proxies)


def is_loopback(host: str) -> bool:
    """Whether an address or name is this machine and nothing else."""
    if host in LOOPBACK_NAMES:
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def host_in(header: str) -> str:
    """The name in a Host header, without port.

    A page elsewhere that has its name answered with 127.0.0.1 (DNS rebinding) sends its own name here.
    """
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0].lower()
