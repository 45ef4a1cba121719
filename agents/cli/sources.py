"""Options of the commands that read a SOURCE, and the source they amount to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from agents.cli.failures import BadInput
from streams.security import Security

if TYPE_CHECKING:
    from agents.backtest.sources import Source

SourceArgument = Annotated[
    str,
    typer.Argument(
        help="A recording, a .jsonl, .csv or .parquet file, a folder of them, or kafka://HOST:PORT/TOPIC?from=…&to=…",
        metavar="SOURCE",
    ),
]
Map = Annotated[
    list[str] | None,
    typer.Option("--map", help="Columns of a table: timestamp=ts,accuracy=value", metavar="FIELD=COLUMN,…"),
]
ModelOption = Annotated[
    str | None,
    typer.Option("--model", help="The model that a table is about; {file}: named as the file.", metavar="NAME"),
]
Constant = Annotated[
    list[str] | None, typer.Option("--constant", help="The same in each row of a table.", metavar="FIELD=VALUE")
]
LayoutName = Annotated[
    str | None, typer.Option("--layout", help="A ready mapping: nab, nannyml, kserve or seldon.", metavar="NAME")
]
BatchRows = Annotated[
    int, typer.Option("--batch-rows", help="Rows with y_true and y_pred that are one message.", min=1, max=100_000)
]


def opened(
    spec: str,
    mapping: list[str] | None = None,
    model: str | None = None,
    constants: list[str] | None = None,
    layout: str | None = None,
    batch_rows: int | None = None,
    security: Security | None = None,
) -> Source:
    """The source that the options name; `security` is how to speak to brokers that it names. Raises BadInput."""
    from agents.backtest.sources import SourceError, open_source, parse_mapping

    options = {} if batch_rows is None else {"batch_rows": batch_rows}
    try:
        return open_source(spec, parse_mapping(mapping or (), constants or (), model, **options), layout, security)
    except SourceError as problem:
        raise BadInput(str(problem)) from None
