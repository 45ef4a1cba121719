"""What is wrong with a command line of ours, told by the command line's own parser, without running anything."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import typer
from typer.exceptions import TyperException

from agents.cli.main import app

ROOT_COMMAND: Any = typer.main.get_command(app)

_NOTHING = "what to do is missing"
_LEFT_OUT = re.compile(r"Missing (argument|option)|Option .* requires an argument")


def commands() -> Iterator[tuple[list[str], Any]]:
    """Every command with the words that lead to it, groups included, the root first."""
    pending: list[tuple[list[str], Any]] = [([], ROOT_COMMAND)]
    while pending:
        path, command = pending.pop(0)
        yield path, command
        pending[:0] = [([*path, name], below) for name, below in getattr(command, "commands", {}).items()]


def fault(arguments: Sequence[str], *, mentioned: bool = False) -> str | None:
    """Why `visutility ARGUMENTS` would be refused before it does anything; None if it would not.

    One that is only `mentioned` may leave out arguments, and the values of options at its end: `models retire`.
    """
    path, command, rest = list[str](), ROOT_COMMAND, list(arguments)
    while rest and not rest[0].startswith("-") and (below := getattr(command, "commands", {})):
        if rest[0] not in below:
            return f"no command {' '.join([*path, rest[0]])!r}"
        path, command, rest = [*path, rest[0]], below[rest[0]], rest[1:]
    if not path:
        # Done while they are parsed, and one of them writes into ~/.bashrc: never given to the parser.
        known = {name for each in command.params for name in each.opts} | {"--help"}
        return next(
            (f"No such option: {each}" for each in rest if each not in known), None if rest or mentioned else _NOTHING
        )
    if "--help" in rest:
        rest, mentioned = [each for each in rest if each != "--help"], True
    if not rest and hasattr(command, "commands") and not command.invoke_without_command:
        return None if mentioned else _NOTHING
    return _refusal(command, ["visutility", *path], rest, mentioned)


def _refusal(command: Any, path: list[str], rest: list[str], mentioned: bool) -> str | None:
    try:
        command.make_context(" ".join(path), rest)
    except TyperException as problem:
        text = problem.format_message()
        return None if mentioned and _LEFT_OUT.match(text) else text
    return None
