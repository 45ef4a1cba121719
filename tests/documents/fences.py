"""The documents' fenced blocks, and the command lines in them.

A block of commands is ```` ```sh ````, and is run by a test unless the line before it says why not:

    <!-- not run: long -->

with one of `REASONS`. What a command prints stands in a ```` ```text ```` block, or behind it in a ```` ```console ````
block, whose commands have the prompt `$` before them.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

REASONS = {
    "installs": "installs packages, and so needs a network",
    "containers": "needs a container engine",
    "long": "takes minutes",
    "examples": "the help's examples: files and models that are not there",
    "another test": "another test runs it, which makes what it needs",
    "their data": "reads data that is not in the repository",
    "elsewhere": "belongs onto machines that the tests do not have",
    "changes the repository": "writes files of the repository anew",
}
"""Why a block may be left out. Its `visutility` lines are parsed all the same, and what it names must be there."""

_FENCE = re.compile(r"(?:^<!-- not run: ([^\n]*) -->\n+)?^( *)```([^\n`]*)\n(.*?)^\2```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`(visutility(?: [^`\n]+(?:\n[^`\n]+)?)?)`")
_HEREDOC = re.compile(r"<<-?\s*'?(\w+)'?")


@dataclass(frozen=True)
class Block:
    """One fenced block: where it begins, its language, its text, and the reason for which it is not run."""

    document: Path
    line: int
    language: str
    text: str
    reason: str

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT)}:{self.line}"


def blocks(document: Path) -> list[Block]:
    """Every fenced block of a document, in its order; a transcript (`console`) as the commands in it."""
    text = document.read_text()
    found = list[Block]()
    for match in _FENCE.finditer(text):
        reason, _, language, body = match.groups()
        if language == "console":
            language, body = "sh", "".join(re.findall(r"^\$ ((?:.*\\\n)*.*\n?)", body, re.MULTILINE))
        line = text.count("\n", 0, match.start(3)) + 1
        found.append(Block(document, line, language, dedent(body), (reason or "").strip()))
    return found


def shell_blocks(document: Path) -> list[Block]:
    """Those that hold commands."""
    return [block for block in blocks(document) if block.language == "sh"]


def spans(document: Path) -> list[str]:
    """Commands of ours that the running text names: `visutility backtest --report`."""
    outside = _FENCE.sub("", document.read_text())
    return [" ".join(found.split()) for found in _SPAN.findall(outside)]


def lines(text: str) -> Iterator[str]:
    """The commands of a block, each with the lines that belong to it: continued, quoted, here-documents."""
    rest = iter(text.splitlines())
    for first in rest:
        line = first
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        while line.endswith("\\"):
            line = f"{line[:-1]} {next(rest).strip()}"
        if heredoc := _HEREDOC.search(line):
            body = list(iter(lambda: next(rest), heredoc[1]))
            yield "\n".join([line, *body, heredoc[1]])
            continue
        while _quote_is_open(line):
            line = f"{line}\n{next(rest)}"
        yield line


def _quote_is_open(line: str) -> bool:
    try:
        shlex.split(line, comments=True)
    except ValueError:
        return True
    return False


def words(line: str) -> list[str]:
    """A line as a shell splits it, without comment, variables before it, redirections and what it is piped into."""
    command = line.splitlines()[0] if "<<" in line else line
    split = shlex.shlex(command, posix=True, punctuation_chars="|<>&;")
    split.whitespace_split = True
    found = list[str]()
    for word in split:
        if word[0] in "|<>&;":
            break
        if found or not re.match(r"[A-Z_]+=", word):
            found.append(word)
    return found
