"""docs/commands.md, from the command line's own parser."""

from __future__ import annotations

import re
from typing import Any

from tests.documents.grammar import commands
from tests.documents.markdown import cell, paragraphs

_HEAD = """# Commands

The same as `--help` after each of them. With `--json` a command prints one JSON document on stdout and nothing else
there. Exit status: 0 done, 1 failed, 2 wrong usage or bad input; the reason is one line on stderr, and with
`VISUTILITY_LOG_LEVEL=debug` the traceback of what nobody expected. A wrong name is answered with the nearest right one.

`visutility --install-completion` lets bash, zsh, fish and PowerShell complete commands and options with Tab;
`visutility --show-completion` prints what it would install.
"""


def commands_page() -> str:
    """The page."""
    return _HEAD + "".join(_command(path, command) for path, command in commands() if path)


def _command(path: list[str], command: Any) -> str:
    text, _, examples = (command.help or "").partition("Example")
    lines = [f"\n## {' '.join(path)}\n\n{paragraphs(text)}\n"]
    if (below := getattr(command, "commands", {})) and not command.invoke_without_command:
        named = (f"[`{name}`](#{'-'.join([*path, name])})" for name in below)
        return "".join([*lines, f"\n{', '.join(named)}\n"])
    shown = "\n".join(re.findall(r"visutility .*", examples))
    lines.append(f"\n<!-- not run: examples -->\n```sh\n{shown}\n```\n")
    rows = [_parameter(each) for each in command.params if each.name != "help"]
    return "".join([*lines, "\n| | default | |\n| --- | --- | --- |\n", *rows])


def _parameter(parameter: Any) -> str:
    is_option = parameter.opts[0].startswith("-")
    names = ", ".join(f"`{name}`" for name in parameter.opts)
    if not is_option:
        names = f"`{parameter.metavar or parameter.name.upper()}`"
    elif not parameter.is_flag:
        names += f" {_value(parameter)}"
    default = "required" if parameter.required else _default(parameter)
    again = " May be given several times." if parameter.multiple else ""
    return f"| {names} | {default} | {cell(parameter.help or '')}{again} |\n"


def _value(option: Any) -> str:
    if option.metavar:
        return f"`{option.metavar}`".replace("|", "\\|")
    if (option.min, option.max) != (None, None):
        least = "" if option.min is None else f"from {option.min}"
        return f"{least} to {option.max}".strip() if option.max is not None else least
    return "TEXT"


def _default(parameter: Any) -> str:
    default = parameter.default
    if default is None or default is False or default == []:
        return ""
    return f"`{default}`" if isinstance(default, bool | int | float | str) else ""
