"""What is known of an installation, as plain values: `gather` finds it out, `checks` judges it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from agents.settings import Settings
from streams.grants import Grant


@dataclass(frozen=True, slots=True)
class Sample:
    """One of the newest records on `metrics`. `model` and `time` (the event's) are None where it cannot be read."""

    partition: int
    keyed: bool
    written: datetime
    model: str | None = None
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Input:
    """A topic of `[[inputs]]`, by its newest records.

    `problem` is why it cannot be read; `wrong` are the reasons for which records are none of its layout, of `read` in
    all. `predictions` is how many the others hold.
    """

    topic: str
    layout: str
    problem: str = ""
    missing: bool = False
    read: int = 0
    wrong: tuple[str, ...] = ()
    predictions: int = 0


@dataclass(frozen=True, slots=True)
class Folder:
    """The data folder: what keeps it from being written to, and the room on its disk in bytes."""

    problem: str = ""
    free: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that is judged. Beyond `settings`, `folder`, `absent` and `unset` it needs the broker.

    `lags` are, by stage, the records to read at two times, the later second; `inputs` is one of these, where there are
    any. `letters` are the reasons of dead letters
    of the last hour. `denied` are rights that a worker of these settings lacks. `absent` are modules that cannot be
    imported, `unset` variables of the environment.
    """

    settings: Settings
    now: datetime
    folder: Folder
    absent: frozenset[str] = frozenset()
    unset: frozenset[str] = frozenset()
    unreachable: str = ""
    topics: tuple[str, ...] = ()
    denied: tuple[Grant, ...] = ()
    transactions: str = ""
    samples: tuple[Sample, ...] = ()
    letters: tuple[str, ...] = ()
    lags: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    models: frozenset[str] = frozenset()
    inputs: tuple[Input, ...] = ()
