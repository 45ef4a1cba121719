"""Steps of many models at once, over their states as they are written: what the engine asks of a stage for that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Self, cast

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

from agents.drift.z_score import ZScore
from agents.monitor.encoded.msgpack import MARGIN
from agents.monitor.encoded.series import ASKED, LIMITS, MOST, PLACES, SUMS, Whole
from agents.monitor.encoded.states import step_states
from agents.monitor.plan import Lanes, Plan, Plans
from schemas.columns.columns import ColumnGroups, Integers, Kind
from schemas.columns.words import Bytes
from schemas.kernel import with_others
from streams.windows import Floats

#: What a state grows by at most, beside values and names: longer numbers and headers, of each lane and of the whole.
_LANE_GROWS: Final = 24
_STATE_GROWS: Final = 48

#: So many kinds of messages are known, or none.
_MOST_KNOWN: Final = 10_000

_DIRECTIONS: Final = {"up": 1, "down": -1, "both": 0}


class EncodedSteps:
    """Implements `streams.stage.EncodedSteps` for the monitor, by a kernel: of use once that is loaded."""

    def __init__(self, plans: Plans) -> None:
        self._plans = plans
        self._known: dict[int, tuple[Lanes, _Asked | None]] = {}

    def step(
        self,
        groups: ColumnGroups,
        numbers: Sequence[int],
        clocks: Integers,
        read: Callable[[Sequence[int]], Sequence[bytes | None]],
    ) -> list[tuple[int, bytes]]:
        """As the protocol says, where a group has few messages and nothing is to be said of them."""
        alike = dict[_Asked, list[int]]()
        few = (groups.ends - groups.firsts <= MOST).tolist()
        for place, number in enumerate(numbers):
            if few[number] and (asked := self._asked(groups.kinds[number])) is not None:
                alike.setdefault(asked, []).append(place)
        done = list[tuple[int, bytes]]()
        for asked, places in alike.items():
            states = read([numbers[place] for place in places])
            known = [place for place, state in zip(places, states, strict=True) if state]
            some = [numbers[place] for place in known]
            written = _stepped(asked, groups.only(some), clocks[known], [state for state in states if state])
            done += [(number, state) for number, state in zip(some, written, strict=True) if state]
        return done

    def _asked(self, kind: Kind) -> _Asked | None:
        if (lanes := self._plans.lanes_of(kind.model_name, kind.metrics)) is None:
            return None
        if (known := self._known.get(id(lanes))) is None or known[0] is not lanes:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[id(lanes)] = lanes, _Asked.of(lanes)
        return known[1]


@dataclass(frozen=True, eq=False)
class _Asked:
    """What the settings ask of messages that have the same metrics, as the kernel takes it."""

    names: Bytes
    watched: Bytes
    numbers: NDArray[np.int64]
    limits: Floats

    @classmethod
    def of(cls, lanes: Lanes) -> Self | None:
        """None where a detector is not one that the kernel knows."""
        every = sorted((*lanes.measured, *lanes.kept), key=lambda lane: lane.number)
        if any(type(lane.plan.detector) not in (ZScore, type(None)) for lane in every):
            return None
        names, name_ends = _joined([lane.metric.encode() for lane in every])
        watched, watched_ends = _joined([lane.plan.watched.encode() for lane in every])
        numbers, limits = np.zeros((len(every), ASKED), np.int64), np.zeros((len(every), LIMITS))
        for at, lane in enumerate(every):
            texts = [*_span(name_ends, at), *_span(watched_ends, at)]
            numbers[at], limits[at] = [*_numbers(lane.plan), *texts], _limits(lane.plan)
        return cls(names, watched, numbers, limits)


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


def _joined(texts: Sequence[bytes]) -> tuple[Bytes, Whole]:
    """Texts one after the other, with the margin that kernels need, and where each ends."""
    ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)))
    return np.frombuffer(b"".join([*texts, bytes(MARGIN)]), np.uint8), ends


def _stepped(asked: _Asked, groups: ColumnGroups, clocks: Integers, states: Sequence[bytes]) -> list[bytes]:
    """The states after the messages of one group each; of one that is to have a step of its own, nothing."""
    text, ends = _joined(states)
    versions, version_ends = _joined([kind.model_version.encode() for kind in groups.kinds])
    lanes, counts = len(asked.numbers), groups.ends - groups.firsts
    firsts = np.cumsum(counts) - counts
    columns = np.repeat(groups.firsts - firsts, counts) + np.arange(counts.sum())
    times = np.maximum.reduceat(groups.times[columns], firsts) if len(firsts) else firsts
    values = groups.values[:lanes].take(columns, axis=1)
    grows = lanes * (8 * len(columns) + _LANE_GROWS * len(states)) + _STATE_GROWS * len(states)
    out, out_ends = np.empty(len(text) + len(versions) + grows, np.uint8), np.empty(len(states), np.int64)
    words = np.zeros(1, np.uint64)
    step_states.compiled(
        text, ends, firsts, firsts + counts, times, clocks, versions, version_ends, asked.names, asked.watched,
        asked.numbers, asked.limits, values, out, out_ends, np.zeros(PLACES, np.int64), words, words.view(np.float64),
        np.zeros(SUMS),
    )  # fmt: skip
    written = memoryview(cast(Buffer, out))
    return [bytes(written[begin:end]) for begin, end in pairwise([0, *out_ends.tolist()])]


@with_others
def load() -> None:
    """Have the kernel from now on. Needs numba."""
    none = np.zeros(0, np.int64)
    if asked := _Asked.of(Lanes((), ())):
        _stepped(asked, ColumnGroups([], none, none, none, none, np.zeros((0, 0))), none, [])
