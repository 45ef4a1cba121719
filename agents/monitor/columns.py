"""A run of like `metrics` messages as columns: the monitor's quick way, for what fleets send nearly always."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from operator import attrgetter, itemgetter

from agents.monitor.plan import AVERAGE_PRECISION_RECALL
from schemas.compact import CompactMetrics, instant
from schemas.fields import EPOCH
from schemas.message import Message
from schemas.metrics import RATIOS
from streams.stage import Compact

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Columns:
    """Messages of one version that have the same metrics: `values` has a column for each, in the order of `Metrics`.

    `latest` is the greatest event time, in microseconds since the epoch.
    """

    version: str
    values: dict[str, list[float]]
    latest: int


def columns_of(messages: Sequence[Message | Compact], with_average: bool) -> Columns | None:
    """The columns of these messages (at least one); None if they are not all compact and alike.

    `with_average` adds (precision + recall) / 2 where both came.
    """
    compact = [message for message in messages if type(message) is CompactMetrics]
    if len(compact) < len(messages):
        return None
    if len(set(map(attrgetter("model_version"), compact))) > 1:
        return None
    values = _ratios(compact)
    extras = None if values is None else _extras(compact)
    if values is None or extras is None:
        return None
    values |= extras
    if with_average and "precision" in values and "recall" in values:
        pairs = zip(values["precision"], values["recall"], strict=True)
        values[AVERAGE_PRECISION_RECALL] = [(precision + recall) / 2 for precision, recall in pairs]
    latest = (instant(max(map(attrgetter("timestamp"), compact))) - EPOCH) // _MICROSECOND
    return Columns(compact[0].model_version, values, latest)


def _ratios(messages: list[CompactMetrics]) -> dict[str, list[float]] | None:
    """The ratios that came; None if one came in some messages only."""
    values = {}
    for name in RATIOS:
        column = list(map(attrgetter(name), messages))
        missing = column.count(None)
        if 0 < missing < len(column):
            return None
        if not missing:
            values[name] = column
    return values


def _extras(messages: list[CompactMetrics]) -> dict[str, list[float]] | None:
    """The extras; None if their names, or the order of these, differ."""
    extras = list(map(attrgetter("extras"), messages))
    names = list(extras[0])
    if len(names) > 1 and any(map(names.__ne__, map(list, extras))):
        return None
    if set(map(len, extras)) != {len(names)}:
        return None
    try:
        return {f"extras.{name}": list(map(itemgetter(name), extras)) for name in names}
    except KeyError:  # one name each, and not the same
        return None
