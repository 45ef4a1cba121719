"""`visutility schemas`: the messages as JSON Schema and AsyncAPI, for programs in other languages."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import typer

from agents.cli.options import AsJson
from agents.cli.output import print_json, print_line
from schemas.documents import Document, asyncapi_document, message_schemas

app = typer.Typer(help="What the messages look like.", no_args_is_help=True)

ASYNCAPI_FILE = "asyncapi.json"
_DISTRIBUTION = "visutility-streams"


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Where to write; made if it is not there.", metavar="DIR")],
    as_json: AsJson = False,
) -> None:
    """Write one JSON Schema file a message, TYPE.schema.json, and asyncapi.json with all topics.

    Example: visutility schemas export schemas
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = {folder / name: text for name, text in files(_version()).items()}
    for path, text in written.items():
        path.write_text(text, encoding="utf-8")
    if as_json:
        print_json({"files": [str(path) for path in written]})
    else:
        print_line(f"wrote {len(written) - 1} schemas and {ASYNCAPI_FILE} to {folder}")


def documents() -> dict[str, Document]:
    """The JSON Schema of every message by its `type`."""
    return message_schemas()


def files(release: str) -> dict[str, str]:
    """The content of every file of a release, by its name."""
    named: dict[str, Any] = {f"{name}.schema.json": schema for name, schema in message_schemas().items()}
    named[ASYNCAPI_FILE] = asyncapi_document(release)
    return {name: json.dumps(document, indent=2) + "\n" for name, document in named.items()}


def _version() -> str:
    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0"
