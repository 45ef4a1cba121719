"""Labels that come late: predictions and labels of one model, joined by `prediction_id`, whichever comes first.

What has no partner yet waits beside the state (`streams.expiring`), for a horizon of the model's own time: its greatest
event time, and the ticks since its last record. A pair that is joined leaves a mark, so that a second label or
prediction of the same id is told as a duplicate; the mark goes when the horizon of what came first is over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from agents.monitor.outcomes import Outcomes, Scalar
from schemas.metrics import Label, Prediction
from streams.expiring import Expiring, ExpiringHead
from streams.parts import Parts

#: How many entries one record may remove; as it adds one at most, what is due goes sooner than anything comes.
MOST_PER_RECORD: Final = 16

#: How many one tick may remove; if more are due, the next tick goes on.
MOST_PER_TICK: Final = 1_000

JOINED: Final = "joined"

#: Panes of windows lie under the number of their series, four bytes that never begin like this.
_PREFIX: Final = b"\xffj"

#: Moves a count in the model's status: its name, and by how much.
Count = Callable[[str, int], None]


class Waiting(msgspec.Struct, array_like=True):
    """What the state keeps of the join. `capped`: told that too many wait. `resume`: the tick to go on expiring at."""

    queue: ExpiringHead = msgspec.field(default_factory=ExpiringHead)
    capped: bool = False
    resume: int = 0


class _Prediction(msgspec.Struct, array_like=True, tag=0):
    version: str
    y_pred: Scalar
    score: float | None
    labels: dict[str, str] = msgspec.field(default_factory=dict)


class _Label(msgspec.Struct, array_like=True, tag=1):
    y_true: Scalar
    labels: dict[str, str] = msgspec.field(default_factory=dict)


class _Joined(msgspec.Struct, array_like=True, tag=2):
    pass


_Half = _Prediction | _Label
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Half | _Joined).decode


class Joined(NamedTuple):
    """A prediction and its label: of the version that predicted, with what either said of segments."""

    version: str
    outcomes: Outcomes
    labels: dict[str, str]


class Join:
    """The predictions and labels of one model. Times are in microseconds and never go back; it changes `state`."""

    def __init__(self, state: Waiting, parts: Parts, horizon: int, limit: int) -> None:
        self._state, self._horizon, self._limit = state, horizon, limit
        self._entries = entries_of(state, parts)

    def take(self, message: Prediction | Label, labels: dict[str, str], now: int, count: Count) -> Joined | None:
        """Take in one half at the model's time `now`; the pair if its other half is there. `labels`: those to keep."""
        half: _Half = (
            _Prediction(message.model_version, message.y_pred, message.score, labels)
            if isinstance(message, Prediction)
            else _Label(message.y_true, labels)
        )
        entered, found = self._find(message.prediction_id, now, count)
        if found is None:
            self._enter(message.prediction_id, half, now, count)
            return None
        if isinstance(found, _Joined) or type(found) is type(half):
            count(f"duplicate_{_kind(half)}", 1)
            return None
        self._entries.replace(message.prediction_id, entered, _encode(_Joined()))
        count(f"unmatched_{_kind(found)}", -1)
        count(JOINED, 1)
        prediction, label = (half, found) if isinstance(half, _Prediction) else (found, half)
        assert isinstance(prediction, _Prediction), "one of each"
        assert isinstance(label, _Label), "one of each"
        columns = Outcomes([label.y_true], [prediction.y_pred], [prediction.score])
        return Joined(prediction.version, columns, label.labels | prediction.labels)

    def _find(self, name: str, now: int, count: Count) -> tuple[int, _Half | _Joined | None]:
        """What waits under this id, and since when; what waits too long is no longer there."""
        if (entry := self._entries.get(name)) is None:
            return now, None
        entered, data = entry
        found = _decode(data)
        if now - entered <= self._horizon:
            return entered, found
        self._give_up(found, count)
        return now, None

    def _enter(self, name: str, half: _Half, now: int, count: Count) -> None:
        for _ in range(MOST_PER_RECORD):
            if not self.is_full:
                break
            self._take_oldest(count)
        self._entries.enter(name, _encode(half), now)
        count(f"unmatched_{_kind(half)}", 1)

    @property
    def is_full(self) -> bool:
        """Whether the next that enters drives out the oldest."""
        return len(self._state.queue) >= self._limit

    def expire(self, now: int, most: int, count: Count) -> bool:
        """Give up what has waited for longer than the horizon, but no more than `most`; whether others are left."""
        for _ in range(most):
            if not self._is_due(now):
                return False
            self._take_oldest(count)
        return self._is_due(now)

    def _is_due(self, now: int) -> bool:
        queue = self._state.queue
        return len(queue) > 0 and now - queue.oldest > self._horizon

    def _take_oldest(self, count: Count) -> None:
        if (data := self._entries.take_oldest()) is not None:
            self._give_up(_decode(data), count)

    def _give_up(self, found: _Half | _Joined, count: Count) -> None:
        if not isinstance(found, _Joined):
            count(f"unmatched_{_kind(found)}", -1)
            count(f"expired_{_kind(found)}", 1)


def entries_of(state: Waiting, parts: Parts) -> Expiring:
    """What waits, and the marks of what was joined."""
    return Expiring(state.queue, parts.within(_PREFIX))


def due_at(state: Waiting | None, horizon: int) -> int | None:
    """The model's time from which something is to be given up; None where nothing waits."""
    return None if state is None or not len(state.queue) else state.queue.oldest + horizon + 1


def _kind(half: _Half) -> str:
    return "predictions" if isinstance(half, _Prediction) else "labels"
