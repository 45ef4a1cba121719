"""From the values of records to columns of `metrics` messages, and what is left to be decoded one by one."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from itertools import chain, repeat
from threading import Thread
from typing import Any, Final

import numpy as np

from schemas.columns.columns import ColumnGroups, Integers, Kind, Kinds
from schemas.columns.kinds import MOST_BYTES, gather, no_notes, place_again, scan_messages
from schemas.columns.numbers import Doubles
from schemas.columns.packed import PADDING, PackedValues
from schemas.columns.scan import WIDTH
from schemas.columns.templates import no_templates
from schemas.columns.words import MARGIN, Bytes
from schemas.compact import CompactMetrics
from schemas.kernel import COMPILED, load_others
from schemas.metrics import RATIOS, Metrics

#: Values put together for the kernel: enough for the thread that fetches to get something done meanwhile.
_TOGETHER: Final = 8_192

#: Fewer are quicker one by one.
_FEW: Final = 48

#: So many at once are a backlog: nobody waits for a single finding then. A decoder is loaded after so many of one.
_BACKLOG: Final = 5_000
_WORTH_IT: Final = 100_000

#: Kinds that are told apart at first, and at most; the bytes of their keys.
_FIRST_KINDS: Final = 65_536
_MOST_KINDS: Final = 2**18
_BYTES_EACH: Final = 96

_SAMPLE: Final = b'{"type": "metrics", "model_name": "m", "timestamp": 1700000000, "accuracy": 0.9}'


class ColumnDecoder:
    """Decodes in columns what a parser would give one by one; where it is not sure that it would, it leaves it.

    Not safe to share between threads. What it has seen of kinds is at most some 40 MB.
    """

    def __init__(self, parse: Callable[[bytes], Any]) -> None:
        """`parse` is shown the first message of each kind: whether its names will do is for the schema to say."""
        self._parse = parse
        self._kinds = Kinds()
        self._metrics: dict[tuple[str, ...], tuple[str, ...]] = {}  # each once: a fleet's kinds have the same ones
        self._slots, self._hashes, self._begins, self._keys, self._counts, self._refused = _room_for(_FIRST_KINDS)
        self._used = np.zeros(1, np.int64)
        self._key = np.zeros(MOST_BYTES, np.uint8)
        self._templates = no_templates()
        self._notes = no_notes()
        self._row, self._rows = np.zeros((1, WIDTH), np.uint64), np.empty(0, np.uint64)
        self._scan, self._gather, self._place_again = scan_messages.compiled, gather.compiled, place_again.compiled
        self.decode([_SAMPLE])  # compiles, or loads what was compiled before

    def decode(self, values: Sequence[bytes | None]) -> tuple[ColumnGroups, list[int]]:
        """Columns in the order of their first messages, and the places of the values that are left, ascending."""
        count = len(values)
        kinds = np.empty(count, np.int64)
        if len(self._rows) < count * WIDTH:
            self._rows = np.empty(count * WIDTH, np.uint64)  # of which no more is touched than is used
        self._scan_all(values, kinds)
        present, bounds = np.empty(count, np.int64), np.empty(count + 1, np.int64)
        places, times, columns = (
            np.empty(count, np.int64),
            np.empty(count, np.int64),
            np.empty((WIDTH, count), np.uint64),
        )
        found = self._gather(
            kinds, self._rows, self._begins, self._keys, self._counts, present, bounds, places, times, columns
        )
        groups, refused = self._groups(present[:found], bounds, values, places, times, columns.view(np.float64))
        left = np.flatnonzero(kinds < 0).tolist()
        self._grow()
        return groups, sorted([*left, *refused]) if refused else left

    def _groups(
        self, present: Integers, bounds: Integers, values: Sequence[bytes | None], places: Integers, times: Integers,
        columns: Doubles,
    ) -> tuple[ColumnGroups, list[int]]:  # fmt: skip
        """The groups whose kinds are as the schema has them, and the places of the others' values."""
        new = np.flatnonzero(present >= len(self._kinds)).tolist()
        self._kinds.extend(repeat(None, int(self._used[0]) - len(self._kinds)))
        for at in new:
            self._note(int(present[at]), values[places[bounds[at]]] or b"")
        is_refused = self._refused[present]
        refused = [places[bounds[at] : bounds[at + 1]].tolist() for at in np.flatnonzero(is_refused)]
        good = np.flatnonzero(~is_refused)
        present = present[good]
        groups = ColumnGroups(
            self._kinds, present, self._keys, self._begins[present], bounds[good], bounds[good + 1], places, times,
            columns,
        )  # fmt: skip
        return groups, [*chain(*refused)]

    def _scan_all(self, values: Sequence[bytes | None], kinds: Integers) -> None:
        if isinstance(values, PackedValues):
            self._scan_text(values.text, values.starts, values.ends, 0, kinds, 0)
            return
        end_of_rows = 0
        for first in range(0, len(values), _TOGETHER):
            some = [value or b"" for value in values[first : first + _TOGETHER]]
            text = np.frombuffer(b"\n".join((*some, PADDING)), np.uint8)
            ends = np.cumsum(np.fromiter(map(len, some), np.int64, len(some)) + 1) - 1
            starts = np.append(0, ends[:-1] + 1)
            end_of_rows = self._scan_text(text, starts, ends, first, kinds, end_of_rows)

    def _scan_text(
        self, text: Bytes, starts: Integers, ends: Integers, first: int, kinds: Integers, end_of_rows: int
    ) -> int:
        end: int = self._scan(
            text, starts, ends, first, kinds, self._row, self._row.view(np.float64), self._rows, end_of_rows,
            self._slots, self._hashes, self._begins, self._keys, self._used, self._key, *self._templates, *self._notes,
        )  # fmt: skip
        return end

    def _note(self, number: int, value: bytes) -> None:
        """Make a kind known by its first message."""
        self._kinds[number] = kind = self._checked(number, value)
        self._refused[number] = kind is None

    def _checked(self, number: int, value: bytes) -> Kind | None:
        """The kind of this number; None if this message of it is not as the schema has it."""
        key = self._keys[self._begins[number] : self._begins[number + 1]].tobytes()
        model, version, *extras = key[2:].decode().split("\0")[:-1]
        ratios = [name for at, name in enumerate(RATIOS) if key[0] >> at & 1]
        try:
            message = self._parse(value)
        except ValueError:
            return None
        if not isinstance(message, Metrics | CompactMetrics) or list(message.extras) != extras:
            return None
        same = [name for name in RATIOS if getattr(message, name) is not None] == ratios
        if not same or message.model_name != model or message.model_version != version:
            return None
        metrics = (*ratios, *[f"extras.{name}" for name in extras])
        return Kind(model, version, self._metrics.setdefault(metrics, metrics), model.encode())

    def _grow(self) -> None:
        """Make room before there is none."""
        size, used = len(self._hashes), int(self._used[0])
        if size == _MOST_KINDS or (used < size // 2 and self._begins[used] < len(self._keys) // 2):
            return
        former = self._hashes, self._begins, self._keys, self._refused
        self._slots, self._hashes, self._begins, self._keys, self._counts, self._refused = _room_for(size * 4)
        for old, new in zip(former, (self._hashes, self._begins, self._keys, self._refused), strict=True):
            new[: len(old)] = old
        self._place_again(self._slots, self._hashes, self._used)


class LateColumnDecoder:
    """A column decoder once there was so much of a backlog that loading it is worth its while; without numba never.

    Loading it takes a second or two of one core, compiling for the first time some twenty. That may not be the price of
    a few messages, nor stop whoever decodes: it is done beside it, in a thread that ends by itself. It slows it down
    all the same, so that who keeps up, and needs no decoder, is left alone.
    """

    def __init__(self, parse: Callable[[bytes], Any], worth_it: int = _WORTH_IT) -> None:
        """`parse` as in `ColumnDecoder`; `worth_it` is how many values that came in a backlog."""
        self._parse, self._worth_it = parse, worth_it
        self._seen = 0
        self._loading: Thread | None = None
        self._decoder: ColumnDecoder | None = None

    def decode(self, values: Sequence[bytes | None]) -> tuple[ColumnGroups, list[int]] | None:
        """As `ColumnDecoder.decode`; None where the values are to be decoded one by one."""
        if self._decoder is not None:
            return self._decoder.decode(values) if len(values) >= _FEW else None
        if len(values) >= _BACKLOG:
            self._seen += len(values)
        if self._seen >= self._worth_it:
            self._begin()
        return None

    def hasten(self, seconds: float) -> None:
        """Begin to load it, for it is known that much will come, and wait for that, but no longer than this."""
        self._begin()
        if self._loading is not None:
            self._loading.join(seconds)

    def _begin(self) -> None:
        if COMPILED and self._loading is None and self._decoder is None:
            self._loading = Thread(target=self.load, name="column-decoder")
            self._loading.start()

    def load(self) -> None:
        """Have it from now on, and the kernels that come with it."""
        load_others()
        self._decoder = ColumnDecoder(self._parse)
        gc.freeze()  # numba stays: to look through all it is made of takes the collector some 75 ms each time


def _room_for(kinds: int) -> tuple[Any, Any, Any, Any, Any, Any]:
    """Slots, hashes, beginnings of keys, keys, counts, and which are not as the schema has them."""
    return (
        np.full(4 * kinds, -1, np.int64),
        np.zeros(kinds, np.uint64),
        np.zeros(kinds + 1, np.int64),
        np.zeros(_BYTES_EACH * kinds + MARGIN, np.uint8),
        np.zeros(kinds, np.int64),
        np.ones(kinds, np.bool_),
    )
