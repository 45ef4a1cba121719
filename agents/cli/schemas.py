"""`visutility schemas`: the messages as JSON Schema, for programs in other languages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from agents.cli.options import AsJson
from agents.cli.output import print_json, print_line
from schemas.message import Message
from schemas.parse import type_of
from schemas.topics import TOPICS

app = typer.Typer(help="What the messages look like.", no_args_is_help=True)

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Where to write; made if it is not there.", metavar="DIR")],
    as_json: AsJson = False,
) -> None:
    """Write one JSON Schema file a message, TYPE.schema.json.

    Example: visutility schemas export docs/schemas
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {folder / f"{name}.schema.json": document for name, document in documents().items()}
    for path, document in files.items():
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    if as_json:
        print_json({"files": [str(path) for path in files]})
    else:
        print_line(f"wrote {len(files)} schemas to {folder}")


def documents() -> dict[str, dict[str, Any]]:
    """The JSON Schema of every message by its `type`; `x-topics` names the topics it travels on, without prefix."""
    messages: dict[type[Message], list[str]] = {}
    for spec in TOPICS.values():
        for message in spec.classes:
            messages.setdefault(message, []).append(spec.name)
    return {
        type_of(message): {
            "$schema": _DIALECT,
            **message.model_json_schema(by_alias=True, mode="validation"),
            "x-topics": topics,
        }
        for message, topics in messages.items()
    }
