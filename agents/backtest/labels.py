"""Where changes truly were: labels from a JSON or CSV file, to hold a backtest's alarms against.

A label is a point (`begin` alone) or a range, `begin` to `end`, both included. Places are times, or numbers of events
of the model, the first being 0. What a file may look like is in docs/backtest.md; the layouts of public collections are
told by their looks: the Numenta Anomaly Benchmark's windows, the Turing Change Point Dataset's annotations, and a
manifest of such files with their `drifts`.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from schemas.fields import EPOCH

Place = int | datetime
"""The number of an event of the model (from 0), or a time (with its zone)."""

#: Marks of different annotators no further apart (in events) are of the same change; so many annotators must agree.
APART, ANNOTATORS = 5, 2

_FIELDS: Final = ("model", "metric", "begin", "end", "begin_event", "end_event")
_ENDINGS: Final = re.compile(r"(\.(csv|json|jsonl|parquet|gz|zst))+$")

_EPOCH_SECONDS: Final = re.compile(r"\s*[0-9]+(\.[0-9]*)?\s*")


class LabelsError(ValueError):
    """The labels cannot be used. The message is one line: file, place, what was expected."""


@dataclass(frozen=True, slots=True)
class Label:
    """A change of the models that `model` (a name, or a pattern of the shell) fits; of one metric, or of any (empty).

    `end` is None for a point; else a place of the same kind as `begin`, the last that is still part of the change.
    """

    model: str
    begin: Place
    end: Place | None = None
    metric: str = ""

    def is_of(self, model_name: str) -> bool:
        """Whether the label is one of this model."""
        return is_same_series(self.model, model_name)


@dataclass(frozen=True, slots=True)
class Labels:
    """All labels of a file, and the models (names or patterns) of which it says that they never change."""

    source: str
    labels: tuple[Label, ...]
    unchanged: tuple[str, ...] = ()

    def of(self, model_name: str) -> list[Label] | None:
        """The labels of a model; None if the file does not know the model."""
        found = [label for label in self.labels if label.is_of(model_name)]
        known = found or any(is_same_series(pattern, model_name) for pattern in self.unchanged)
        return found if known else None

    def names(self) -> list[str]:
        """Every model's name or pattern, each once, in the file's order."""
        return list(dict.fromkeys([*(label.model for label in self.labels), *self.unchanged]))


def is_same_series(pattern: str, model_name: str) -> bool:
    """Whether a pattern of the shell fits a model's name, or both name the same file.

    Then endings (.csv, .gz, …) do not count, and `__` is what `/` is in collections that are one folder.

    >>> is_same_series("realTweets/Twitter_volume_FB.csv", "realTweets__Twitter_volume_FB")
    True
    """
    return fnmatchcase(model_name, pattern) or _bare(pattern) == _bare(model_name)


def _bare(name: str) -> str:
    return _ENDINGS.sub("", name).replace("__", "/")


def read_labels(path: Path) -> Labels:
    """The labels in a `.json` or `.csv` file. Raises LabelsError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as problem:
        raise LabelsError(f"{path}: expected UTF-8, got byte {problem.object[problem.start]:#x}") from None
    except OSError as problem:
        raise LabelsError(f"{path}: cannot be read: {problem.strerror or problem}") from None
    if path.suffix == ".csv":
        return _labels_of(str(path), _rows(path, text))
    if path.suffix != ".json":
        raise LabelsError(f"{path}: expected a file named .json or .csv")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise LabelsError(f"{path}: not JSON: {problem}") from None
    return parse_labels(document, str(path))


def parse_labels(document: object, source: str = "labels") -> Labels:
    """The labels in a JSON document of any of the known layouts; `source` names it in errors. Raises LabelsError."""
    if isinstance(document, Mapping) and isinstance(document.get("labels"), list):
        document = document["labels"]
    if isinstance(document, list) and document and all(_is_manifest_entry(entry) for entry in document):
        return _of_manifest(source, document)
    if isinstance(document, list):
        return _labels_of(source, ((f"labels[{number}]", entry) for number, entry in enumerate(document)))
    if isinstance(document, Mapping):
        windows = document.get("windows")
        return _of_series(source, windows if isinstance(windows, Mapping) else document)
    raise LabelsError(f"{source}: expected a list of labels, or an object with a list for each model")


# Our own layout: an object, or a row, for each label.


def _rows(path: Path, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        if not {"begin", "begin_event"} & set(reader.fieldnames or ()):
            raise LabelsError(f"{path}: line 1: expected the names of columns, of {', '.join(_FIELDS)}")
        for row in reader:
            if None in row or None in row.values():
                raise LabelsError(f"{path}: line {reader.line_num}: expected as many cells as line 1 has")
            yield f"line {reader.line_num}", {name: cell for name, cell in row.items() if cell.strip()}
    except csv.Error as problem:
        raise LabelsError(f"{path}: line {reader.line_num}: not CSV: {problem}") from None


def _labels_of(source: str, entries: Iterable[tuple[str, object]]) -> Labels:
    labels, unchanged = [], []
    for where, entry in entries:
        label = _label(f"{source}: {where}", entry)
        if isinstance(label, str):
            unchanged.append(label)
        else:
            labels.append(label)
    return Labels(source, tuple(labels), tuple(unchanged))


def _label(where: str, entry: object) -> Label | str:
    """One label; a model's name alone if the entry has no place."""
    if not isinstance(entry, Mapping):
        raise LabelsError(f"{where}: expected an object, got {type(entry).__name__}")
    for name in entry:
        if name not in _FIELDS:
            raise LabelsError(f"{where}: unknown field {_shown(name)}; known: {', '.join(_FIELDS)}")
    model, metric = (_text(where, name, entry.get(name)) for name in ("model", "metric"))
    places: dict[str, Place] = {}
    for name in ("begin", "end"):
        given = [field for field in (name, f"{name}_event") if entry.get(field) is not None]
        if len(given) > 1:
            raise LabelsError(f"{where}: expected {given[0]} or {given[1]}, got both")
        for field in given:
            places[name] = (_time if field == name else _number)(f"{where}.{field}", entry[field])
    if "begin" not in places:
        if "end" in places or not model:
            raise LabelsError(f"{where}: expected begin (a time) or begin_event (a number)")
        return model
    return _checked(where, Label(model or "*", places["begin"], places.get("end"), metric))


def _text(where: str, name: str, value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise LabelsError(f"{where}.{name}: expected a text, got {_shown(value)}")
    return value


def _checked(where: str, label: Label) -> Label:
    begin, end = label.begin, label.end
    if end is None:
        return label
    if isinstance(begin, datetime) and isinstance(end, datetime):
        if end < begin:
            raise LabelsError(f"{where}: expected an end not before {begin.isoformat()}, got {end.isoformat()}")
    elif isinstance(begin, datetime) or isinstance(end, datetime):
        raise LabelsError(f"{where}: expected begin and end to be of one kind: times, or numbers of events")
    elif end < begin:
        raise LabelsError(f"{where}: expected an end not before {begin}, got {end}")
    return label


def _time(where: str, value: object) -> datetime:
    """RFC 3339 (without a zone: UTC) or epoch seconds."""
    try:
        if isinstance(value, str) and not _EPOCH_SECONDS.fullmatch(value):
            time = datetime.fromisoformat(value.strip())
            return time if time.tzinfo else time.replace(tzinfo=UTC)
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            return datetime.fromtimestamp(float(value), tz=UTC)
    except (ValueError, OverflowError, OSError):
        pass
    usual = f'"{EPOCH:%Y-%m-%dT%H:%M:%SZ}"'
    raise LabelsError(f"{where}: expected a time such as {usual}, or epoch seconds, got {_shown(value)}")


def _shown(value: object) -> str:
    """A value as an error shows it, whatever its length."""
    return _short(repr(value))


def _short(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:80]}… ({len(text)} characters)"


def _number(where: str, value: object) -> int:
    try:
        number = int(value) if isinstance(value, str) else value
    except ValueError:
        number = None
    if isinstance(number, bool) or not isinstance(number, int):
        shown = _shown(value)
        raise LabelsError(f"{where}: expected the number of an event (a whole number, the first is 0), got {shown}")
    return number


# Layouts of collections: the series' name, and its changes.


def _of_series(source: str, document: Mapping[str, object], first_rows: Mapping[str, int] | None = None) -> Labels:
    """`{series: [change, …]}`: a text is a time, a number an event; a pair is a range. Or several annotators' marks."""
    labels, unchanged = [], []
    for name, changes in document.items():
        where = f"{source}: {_short(name)}"
        marks: object = changes
        if isinstance(changes, Mapping):
            marks = agreed({str(person): _marks(where, own) for person, own in changes.items()})
        if not isinstance(marks, list):
            raise LabelsError(f"{where}: expected a list of changes, got {type(marks).__name__}")
        first = (first_rows or {}).get(name, 0)
        labels += [_change(f"{where}[{number}]", name, mark, first) for number, mark in enumerate(marks)]
        if not marks:
            unchanged.append(name)
    return Labels(source, tuple(labels), tuple(unchanged))


def _change(where: str, name: str, change: object, first: int) -> Label:
    def place(value: object) -> Place:
        return _number(where, value) - first if isinstance(value, int) else _time(where, value)

    if isinstance(change, list):
        if len(change) != 2:
            raise LabelsError(f"{where}: expected a pair, [begin, end], got {len(change)} values")
        return _checked(where, Label(name, place(change[0]), place(change[1])))
    return Label(name, place(change))


def _marks(where: str, own: object) -> list[int]:
    if not isinstance(own, list):
        raise LabelsError(f"{where}: expected a list of marks of each annotator, got {type(own).__name__}")
    return [_number(where, mark) for mark in own]


def agreed(annotations: Mapping[str, Iterable[int]]) -> list[int]:
    """The changes that at least `ANNOTATORS` marked: the first mark of each cluster of marks at most `APART` apart."""
    marks = sorted((mark, person) for person, own in annotations.items() for mark in own)
    clusters: list[list[tuple[int, str]]] = []
    for mark in marks:
        if clusters and mark[0] - clusters[-1][-1][0] <= APART:
            clusters[-1].append(mark)
        else:
            clusters.append([mark])
    return [cluster[0][0] for cluster in clusters if len({person for _, person in cluster}) >= ANNOTATORS]


def _is_manifest_entry(entry: object) -> bool:
    return isinstance(entry, Mapping) and "path" in entry and "drifts" in entry


def _of_manifest(source: str, entries: list[Any]) -> Labels:
    """Files with their `drifts` (null: nobody knows). Those of predictions are rows of the stream they end with."""
    rows = {str(entry["path"]): entry.get("rows") for entry in entries}
    series, first_rows = {}, {}
    for path, drifts in ((str(entry["path"]), entry["drifts"]) for entry in entries):
        if drifts is None:
            continue
        folder, _, file = path.rpartition("/")
        name = _ENDINGS.sub("", file)
        series[name] = drifts
        whole = rows.get(f"streams/{name.rpartition('__')[0]}.csv.gz") if folder == "predictions" else None
        if whole is not None and rows[path] is not None:
            first_rows[name] = whole - rows[path]
    return _of_series(source, series, first_rows)
