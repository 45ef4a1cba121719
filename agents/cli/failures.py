"""How a command says that it could not do what was asked. Both are shown as one line on stderr."""

from __future__ import annotations


class CommandFailed(RuntimeError):
    """It was asked rightly and did not work: a broker that is away, a topic that is missing. Exit status 1."""


class BadInput(ValueError):
    """What was asked cannot be done as it stands: an unknown name, a file of another kind. Exit status 2."""
