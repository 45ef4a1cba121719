"""A run of like `metrics` messages as columns: the monitor's quick way, for what fleets send nearly always."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from operator import itemgetter
from typing import cast

import numpy as np
from msgspec.structs import astuple

from agents.monitor.plan import AVERAGE_PRECISION_RECALL
from schemas.columns.columns import MetricColumns
from schemas.compact import CompactMetrics, instant
from schemas.fields import EPOCH
from schemas.message import Message
from schemas.metrics import RATIOS
from streams.run import EventRun
from streams.stage import Compact
from streams.windows import Floats

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Columns:
    """Messages of one version that have the same metrics: `values` has a column for each, in the order of `Metrics`.

    `latest` is the greatest event time, in microseconds since the epoch.
    """

    version: str
    values: dict[str, Floats]
    latest: int


def columns_of(run: EventRun, with_average: bool) -> Columns | None:
    """The columns of a run's messages (at least one); None if they are not all compact and alike.

    `with_average` adds (precision + recall) / 2 where both came.
    """
    columns = _of_messages(run.messages) if run.columns is None else _of_decoded(run.columns)
    if columns is not None and with_average and {"precision", "recall"} <= columns.values.keys():
        columns.values[AVERAGE_PRECISION_RECALL] = (columns.values["precision"] + columns.values["recall"]) / 2
    return columns


def _of_decoded(columns: MetricColumns) -> Columns:
    values = dict(zip(columns.kind.metrics, columns.values, strict=True))
    return Columns(columns.kind.model_version, values, int(columns.times.max()))


def _of_messages(messages: Sequence[Message | Compact]) -> Columns | None:
    if set(map(type, messages)) != {CompactMetrics}:
        return None
    rows = map(astuple, cast(Sequence[CompactMetrics], messages))
    _, times, versions, _, *ratios, extras = zip(*rows, strict=True)
    if versions.count(versions[0]) < len(versions):
        return None
    values, others = _ratios(ratios), _extras(extras)
    if values is None or others is None:
        return None
    latest = (instant(max(times)) - EPOCH) // _MICROSECOND
    return Columns(versions[0], values | others, latest)


def _ratios(columns: Sequence[Sequence[float | None]]) -> dict[str, Floats] | None:
    """The ratios that came; None if one came in some messages only."""
    values = {}
    for name, column in zip(RATIOS, columns, strict=True):
        if column[0] is None:
            if column.count(None) < len(column):
                return None
            continue
        values[name] = np.array(column, dtype=np.float64)
        if np.isnan(values[name]).any():  # what None becomes; a message holds no NaN
            return None
    return values


def _extras(extras: Sequence[Mapping[str, float]]) -> dict[str, Floats] | None:
    """The extras; None if their names, or the order of these, differ."""
    names = list(extras[0])
    if len(names) > 1 and any(map(names.__ne__, map(list, extras))):
        return None
    if set(map(len, extras)) != {len(names)}:
        return None
    try:
        return {f"extras.{name}": np.array(list(map(itemgetter(name), extras)), dtype=np.float64) for name in names}
    except KeyError:  # one name each, and not the same
        return None
