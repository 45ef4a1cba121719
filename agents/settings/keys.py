"""Every key of the settings file, written as in its documentation: "partitions", "monitor[].window.size"."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from agents.settings.root import Settings


def known_keys() -> dict[str, FieldInfo]:
    """Every key with its field, in the order of declaration; tables within tables and lists of tables included."""
    return dict(_walk(Settings, ""))


def _walk(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, info in model.model_fields.items():
        yield prefix + name, info
        if (table := _table_in(info.annotation)) is not None:
            listed = "[]" if getattr(info.annotation, "__origin__", None) is list else ""
            yield from _walk(table, f"{prefix}{name}{listed}.")


def _table_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation if issubclass(annotation, BaseModel) else None
    return next((found for part in get_args(annotation) if (found := _table_in(part)) is not None), None)


def written(location: Sequence[int | str]) -> str:
    """A place in the file as people write it: ("monitor", 0, "window", "size") is "monitor[0].window.size"."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part != "[key]":
            path += f".{part}" if path else part
    return path


def nearest_key(location: Sequence[int | str]) -> str | None:
    """The known key that the unknown one at `location` was probably meant to be, relative to its table."""
    *parents, wrong = (part for part in location if not isinstance(part, int))
    inside = "".join(f"{parent}{'[]' if parent in Settings.LISTS else ''}." for parent in parents)
    below = [key.removeprefix(inside) for key in known_keys() if key.startswith(inside)]
    close = get_close_matches(str(wrong), [key for key in below if "." not in key], n=1)
    # A key that is right but a table too high: "size" of a rule is "window.size".
    return close[0] if close else next((key for key in below if key.endswith(f".{wrong}") and "[" not in key), None)
