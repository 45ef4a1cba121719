"""`python -m tests.fuzz`: values near valid ones, by a seed, for everything that decodes; tells what broke.

An input that breaks something is written to the folder that is named, as Python's `repr`, beside the traceback.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated

import typer

from tests.fuzz.run import Finding, fuzz


def main(
    inputs: Annotated[int, typer.Option(min=1, help="How many, over all targets.")] = 100_000,
    seed: Annotated[int, typer.Option(help="Of all choices; the same seed gives the same inputs.")] = 1,
    only: Annotated[str, typer.Option(help="The targets whose names begin so.")] = "",
    memory_mb: Annotated[int, typer.Option(min=512, help="More address space than this is a finding.")] = 4_096,
    findings: Annotated[Path, typer.Option(help="Where what breaks something is written.")] = Path("fuzz-findings"),
) -> None:
    """Fuzz every decoder of this process and tell what broke."""
    numbers = itertools.count()

    def keep(finding: Finding) -> None:
        findings.mkdir(parents=True, exist_ok=True)
        text = f"{finding.target}\n{finding.input}\n\n{finding.trace}"
        (findings / f"{next(numbers)}.txt").write_text(text, errors="backslashreplace")
        typer.echo(f"{finding.target}: {finding.trace.splitlines()[-1]}")

    report = fuzz(inputs, seed, only, memory_mb, typer.echo, keep)
    typer.echo("\n".join(report.lines()))
    raise typer.Exit(1 if report.findings else 0)


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(main)
    app()
