"""Steps of many models at once, over their states as they are written: what the engine asks of a stage for that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from agents.drift.z_score import ZScore
from agents.monitor.encoded.blocks import LARGEST_BLOCK, ROWS
from agents.monitor.encoded.layout import (
    ASKED,
    FOLLOWING_NAME_BYTES,
    LIMITS,
    MOST,
    MOST_PARTS,
    OWNER,
    PART,
    PART_ENDS,
    PLACES,
    SEAL_BYTES,
    SEALS,
    SUMS,
    WANTED,
    WANTS,
    Whole,
)
from agents.monitor.encoded.msgpack import joined
from agents.monitor.encoded.panes import NewestParts, Panes
from agents.monitor.encoded.states import step_states
from agents.monitor.plan import Lanes, Plan, Plans
from schemas.columns.columns import ColumnGroups, Integers, Kind, Kinds, PerKind
from schemas.columns.words import Bytes
from schemas.kernel import with_others
from streams.panes import PANE, panes_of
from streams.stage import ReadParts, ReadStates, Stepped
from streams.windows import Floats

#: What a state grows by at most, beside panes, values, times and names: longer numbers and headers, by lane and in all.
_LANE_GROWS: Final = 24
_STATE_GROWS: Final = 48

#: Messages of one model, at most, of which the kernel takes `MOST` at a time; more are as quick in a step of their own.
LONGEST: Final = 16 * MOST

#: Models that are stepped at a time: what is read and written of them stays in the processor's own cache.
_TOGETHER: Final = 256

#: Sets of metrics that are known; models that send others have steps of their own.
_MOST_KNOWN: Final = 10_000

#: Bits that the number of a group's kind has, at most.
_NUMBER_BITS: Final = 32

_NOTHING: Final = np.zeros(0, np.int64)

_DIRECTIONS: Final = {"up": 1, "down": -1, "both": 0}


class EncodedSteps:
    """Implements `streams.stage.EncodedSteps` for the monitor, by a kernel: of use once that is loaded."""

    def __init__(self, plans: Plans) -> None:
        self._plans = plans
        self._every: list[_Asked | None] = [None]
        self._numbers: dict[int, tuple[int, Lanes]] = {}
        self._asked = PerKind(self._number_of, np.int64)

    def step(
        self,
        groups: ColumnGroups,
        places: Integers,
        clocks: Integers,
        read: ReadStates,
        read_parts: ReadParts,
    ) -> Iterator[Stepped]:
        """As the protocol says, where a group has `LONGEST` messages at most and nothing is to be said of them."""
        counts = (groups.ends - groups.firsts)[places]
        asked = np.where(counts <= LONGEST, self._asked.of(groups)[places], 0)
        kinds = 2 * asked + (counts > MOST)  # long ones together, for they are stepped more than once
        # States of models that follow each other were written one after the other, and so they are found in memory.
        order = np.argsort((kinds << _NUMBER_BITS) + groups.numbers[places])
        for alike in np.split(order, np.flatnonzero(np.diff(kinds[order])) + 1):
            if not len(alike) or (one := self._every[asked[alike[0]]]) is None:
                continue
            take = _taken if counts[alike[0]] <= MOST else _all_taken
            for first in range(0, len(alike), _TOGETHER):
                some = alike[first : first + _TOGETHER]
                which = places[some].tolist()
                yield take(one, groups.only(places[some]), clocks[some], which, read(which), read_parts)

    def _number_of(self, kind: Kind) -> int:
        """Where what is asked of messages of this kind is in `_every`; 0 where the kernel is not to see them."""
        lanes = self._plans.lanes_of(kind.model_name, kind.metrics)
        if id(lanes) not in self._numbers:
            if lanes is None or len(self._numbers) == _MOST_KNOWN:
                return 0
            asked = _Asked.of(lanes)
            self._numbers[id(lanes)] = len(self._every) if asked else 0, lanes  # kept, so that no other has its id
            self._every += [asked] if asked else []
        return self._numbers[id(lanes)][0]


@dataclass(frozen=True, eq=False)
class _Asked:
    """What the settings ask of messages that have the same metrics, as the kernel takes it."""

    names: Bytes
    watched: Bytes
    numbers: NDArray[np.int64]
    limits: Floats
    #: Values of the longest block whose end the kernel takes, and bytes of the parts of one state, at most.
    longest_block: int
    part_bytes: int

    @classmethod
    def of(cls, lanes: Lanes) -> Self | None:
        """None where a detector is not one that the kernel knows."""
        every = sorted((*lanes.measured, *lanes.kept), key=lambda lane: lane.number)
        if any(type(lane.plan.detector) not in (ZScore, type(None)) for lane in every):
            return None
        names, name_ends = _with_ends([lane.metric.encode() for lane in every])
        watched, watched_ends = _with_ends([lane.plan.watched.encode() for lane in every])
        numbers, limits = np.zeros((len(every), ASKED), np.int64), np.zeros((len(every), LIMITS))
        for at, lane in enumerate(every):
            texts = [*_span(name_ends, at), *_span(watched_ends, at)]
            numbers[at], limits[at] = [*_numbers(lane.plan), *texts], _limits(lane.plan)
        blocks = [min(lane.plan.size, LARGEST_BLOCK) for lane in every]
        parts = [SEALS * SEAL_BYTES + FOLLOWING_NAME_BYTES + 2 * 8 * panes_of(size) for size in blocks]
        return cls(names, watched, numbers, limits, max(blocks, default=0), sum(parts))


def _numbers(plan: Plan) -> list[int]:
    """In the order of `series`' constants."""
    detector = plan.detector if isinstance(plan.detector, ZScore) else None
    return [
        plan.size,
        plan.is_measured,
        plan.min_samples,
        detector is not None,
        detector.min_samples if detector else 0,
        _DIRECTIONS[detector.direction] if detector else 0,
        plan.minimum is not None,
        plan.of_mean,
    ]


def _limits(plan: Plan) -> list[float]:
    return [plan.detector.threshold if isinstance(plan.detector, ZScore) else 0.0, plan.minimum or 0.0]


def _span(ends: Whole, at: int) -> list[int]:
    return [int(ends[at - 1]) if at else 0, int(ends[at])]


def _with_ends(texts: Sequence[bytes]) -> tuple[Bytes, Whole]:
    """Texts one after the other, and where each ends."""
    ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)))
    return joined(texts), ends


class _Done(NamedTuple):
    """The states after the messages of one group each, and their parts that were written: of which group, name, value.

    Of a group that is to have a step of its own, an empty state; so it is of one that wants panes which were not given.
    """

    states: list[bytes]
    parts: list[tuple[int, bytes, bytes]]
    wanted: Whole


def _taken(
    asked: _Asked,
    groups: ColumnGroups,
    clocks: Integers,
    places: list[int],
    states: Sequence[bytes | None],
    read: ReadParts,
) -> Stepped:
    """All messages of groups, which are at these places and have at most `MOST`, taken in."""
    done = _with_panes(asked, groups, clocks, places, [state or b"" for state in states], read)
    parts = [(places[number], name, value) for number, name, value in done.parts]
    if all(done.states):
        return Stepped(places, done.states, parts)
    taken = [number for number, state in enumerate(done.states) if state]
    return Stepped([places[number] for number in taken], [done.states[number] for number in taken], parts)


def _all_taken(
    asked: _Asked,
    groups: ColumnGroups,
    clocks: Integers,
    places: list[int],
    states: Sequence[bytes | None],
    read: ReadParts,
) -> Stepped:
    """The same of groups that may have more, up to `LONGEST`: `MOST` of each at a time."""
    after, parts = dict(zip(places, states, strict=True)), NewestParts(read)
    lengths = (groups.ends - groups.firsts).tolist()
    for begin in range(0, LONGEST, MOST):
        left = [number for number, place in enumerate(places) if lengths[number] > begin and after[place]]
        if not left:
            break
        now, where = groups.only(np.array(left)).between(begin, begin + MOST), [places[number] for number in left]
        done = _taken(asked, now, clocks[left], where, [after[place] for place in where], parts.read)
        after.update(dict.fromkeys(where) | dict(zip(done.places, done.states, strict=True)))
        parts.update({(place, name): value for place, name, value in done.parts})
    taken = {place: state for place, state in after.items() if state}
    written = [(place, name, value) for (place, name), value in parts.items() if place in taken]
    return Stepped([*taken], [*taken.values()], written)


def _with_panes(
    asked: _Asked,
    groups: ColumnGroups,
    clocks: Integers,
    places: Sequence[int],
    states: Sequence[bytes],
    read: ReadParts,
) -> _Done:
    """At most `MOST` of each; what wants panes has another go when they are read."""
    lanes = len(asked.numbers)
    done = _stepped(asked, groups, clocks, states, Panes.none(len(states), lanes))
    if len(done.wanted):
        again = np.unique(done.wanted[:, OWNER])
        numbers, panes = again.tolist(), Panes.read(done.wanted, places, lanes, read)
        more = _stepped(asked, groups.only(again), clocks[again], [states[number] for number in numbers], panes)
        for number, state in zip(numbers, more.states, strict=True):
            done.states[number] = state
        done.parts.extend([(numbers[at], name, value) for at, name, value in more.parts])
    return done


def _stepped(asked: _Asked, groups: ColumnGroups, clocks: Integers, states: Sequence[bytes], read: Panes) -> _Done:
    text, ends = _with_ends(states)
    lanes, count, words = len(asked.numbers), len(states), np.zeros(1, np.uint64)
    # At most a state grows by this, and by the name of a version that it has in it already.
    grows = lanes * (8 * PANE + 2 * 8 * MOST + _LANE_GROWS) + _STATE_GROWS
    out, out_ends = np.empty(2 * len(text) + grows * count, np.uint8), np.empty(count, np.int64)
    sealed, parts = np.empty(asked.part_bytes * count, np.uint8), np.empty((MOST_PARTS * lanes * count, PART), np.int64)
    wanted, at = np.empty((2 * lanes * count, WANTS), np.int64), np.zeros(PLACES, np.int64)
    made = step_states.compiled(
        text, ends, groups.texts, groups.texts_at, groups.firsts, groups.ends, groups.times, clocks, asked.names,
        asked.watched, asked.numbers, asked.limits, groups.values, read.text, read.spans, sealed, parts, wanted, out,
        out_ends, at, words, words.view(np.float64), np.zeros(SUMS), np.empty((ROWS, asked.longest_block + 1)),
    )  # fmt: skip
    written = out[: out_ends[-1] if count else 0].tobytes()
    after = [written[begin:end] for begin, end in pairwise([0, *out_ends.tolist()])]
    return _Done(after, _parts_in(sealed, parts[:made].tolist()), wanted[: at[WANTED]])


def _parts_in(sealed: Bytes, rows: list[list[int]]) -> list[tuple[int, bytes, bytes]]:
    """Whose each part is, its name, and the part."""
    text = sealed[: rows[-1][PART_ENDS] if rows else 0].tobytes()
    begins = [0, *[row[PART_ENDS] for row in rows]]
    return [
        (owner, text[begin:name_ends], text[name_ends:end])
        for begin, (owner, name_ends, end) in zip(begins, rows, strict=False)
    ]


@with_others
def load() -> None:
    """Have the kernel from now on. Needs numba."""
    none, text = _NOTHING, np.zeros(0, np.uint8)
    if asked := _Asked.of(Lanes((), ())):
        groups = ColumnGroups(Kinds(), none, text, none, none, none, none, none, np.zeros((0, 0)))
        _stepped(asked, groups, none, [], Panes.none(0, 0))
