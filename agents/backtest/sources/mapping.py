"""Which column of a table becomes which field of a message."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from agents.recording.items import SourceError
from schemas.metrics import RATIOS

#: Fields by what their cells hold: a number, a time, a name, or whatever a class label may be.
NUMBERS: Final = (*RATIOS, "score", "p_value")
SCALARS: Final = ("y_true", "y_pred")
TEXTS: Final = ("model_name", "model_version", "event_id", "prediction_id", "error", "detail")

#: Fields of which there are as many as columns: `extras.auc`, `labels.region`.
GROUPS: Final = ("extras", "labels")

FIELDS: Final = ("timestamp", *TEXTS, *NUMBERS, *SCALARS)
_TYPES: Final = (
    "metrics", "validation_score", "outcomes", "prediction", "label", "external_drift", "inference_failure",
    "heartbeat", "schema_drift", "data_quality_issue",
)  # fmt: skip

DEFAULT_BATCH_ROWS: Final = 500
MAX_BATCH_ROWS: Final = 100_000


@dataclass(frozen=True)
class ColumnMapping:
    """How the rows of a table become messages.

    `columns`: field to column, a field being `timestamp`, `accuracy` and the others of `FIELDS`, `extras.NAME` or
    `labels.KEY`. `constants`: field to text, the same in each row; also `type`, which is else told by the fields.
    In a constant `{file}` is the file's name up to its first dot, so that each file of a folder can be a model.
    Rows without a column for `timestamp` are `interval` apart, from `start` on. Times without an offset are UTC.
    `batch_rows`: so many rows with `y_true` and `y_pred` are one `outcomes` message, whose time is that of its last row
    and whose offset the line of its last row; `item_times` puts the time of each row into it too.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    start: datetime = datetime(2025, 1, 1, tzinfo=UTC)
    interval: timedelta = timedelta(seconds=1)
    batch_rows: int = DEFAULT_BATCH_ROWS
    item_times: bool = False

    @property
    def type(self) -> str:
        """The type of the messages. Raises SourceError if the fields tell none."""
        known = {**self.columns, **self.constants}
        if "type" in self.constants:
            return self.constants["type"]
        if "y_true" in known and "y_pred" in known:
            return "outcomes"
        if "prediction_id" in known:
            return "label" if "y_true" in known else "prediction"
        if known.keys() & set(RATIOS) or any(name.startswith("extras.") for name in known):
            return "metrics"
        for name, message in (("score", "validation_score"), ("p_value", "external_drift")):
            if name in known:
                return message
        raise SourceError(
            "the mapping names no value: map accuracy, another ratio or extras.NAME, or y_true and y_pred, or score, "
            "or prediction_id and y_pred or y_true"
        )

    def with_constants(self, **constants: str) -> ColumnMapping:
        """The same with further constants; those that are there already, or mapped to a column, stay."""
        new = {name: value for name, value in constants.items() if name not in self.columns}
        return replace(self, constants={**new, **self.constants})


def parse_mapping(
    pairs: Iterable[str] = (), constants: Iterable[str] = (), model: str | None = None, **options: object
) -> ColumnMapping:
    """The mapping that `--map FIELD=COLUMN,…`, `--constant FIELD=VALUE` and `--model NAME` mean.

    `options` are further fields of `ColumnMapping`. Raises SourceError for a field that does not exist, or twice.
    """
    columns = _pairs("--map", (part for text in pairs for part in text.split(",") if part.strip()), FIELDS)
    fixed = _pairs("--constant", constants, ("type", *FIELDS))
    if model is not None:
        fixed["model_name"] = model
    if both := sorted(columns.keys() & fixed.keys()):
        raise SourceError(f"{both[0]}: mapped to the column {columns[both[0]]!r} and constant too; leave one out")
    if (kind := fixed.get("type", _TYPES[0])) not in _TYPES:
        raise SourceError(f"--constant type={kind}: {_nearest(kind, _TYPES)}")
    return replace(ColumnMapping(columns, fixed), **options)  # type: ignore[arg-type]


def check_columns(where: str, mapping: ColumnMapping, header: Iterable[str]) -> None:
    """Raises SourceError, naming the columns there are and the nearest, if a mapped one is missing in `where`."""
    names = list(header)
    for name, column in mapping.columns.items():
        if column not in names:
            raise SourceError(f"{where}: no column {column!r} for {name}: {_nearest(column, names)}")
        if names.count(column) > 1:
            raise SourceError(f"{where}: {names.count(column)} columns are named {column!r}; {name} needs one")


def _pairs(option: str, texts: Iterable[str], fields: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise SourceError(f"{option}: expected FIELD=…, got {text!r}")
        group, _, member = name.partition(".")
        if name not in fields and not (group in GROUPS and member):
            raise SourceError(f"{option}: no field {name!r}: {_nearest(name, (*fields, 'extras.NAME', 'labels.KEY'))}")
        if name in found:
            raise SourceError(f"{option}: {name} is given twice")
        found[name] = value
    return found


def _nearest(wrong: str, names: Iterable[str]) -> str:
    known = list(names)
    near = difflib.get_close_matches(wrong.lower(), [name.lower() for name in known], n=1, cutoff=0.5)
    meant = [name for name in known if near and name.lower() == near[0]]
    listed = ", ".join(name[:60] for name in known[:30]) + (f" and {len(known) - 30} more" if len(known) > 30 else "")
    return (f"did you mean {meant[0][:200]!r}? " if meant else "") + f"there are {listed or 'none'}"
