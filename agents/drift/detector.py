"""What a drift detector is to the monitor and to users: values in, verdicts out."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol, Self, runtime_checkable

from numpy.typing import ArrayLike

from streams.windows import Floats, Pushed

Direction = Literal["up", "down", "none"]
Watched = Literal["both", "up", "down"]


class Verdict(NamedTuple):
    """What a detector says after one value.

    `statistic` is what it compared with `threshold` (both 0 where it compared nothing); `p_value` its significance,
    where the test has one; `direction` which way the values went ("none" where nothing was found). `drift` and
    `warning` are never both true.
    """

    drift: bool
    warning: bool
    direction: Direction
    statistic: float
    threshold: float
    p_value: float | None = None


class Detector(Protocol):
    """One detector over one series of finite numbers. Values of any split into calls give the same verdicts.

    One that fires begins anew with the next value, except the z-score, whose window slides on.
    """

    @property
    def name(self) -> str:
        """The name in settings and in `DriftDetected.detector`."""
        ...

    def update(self, value: float) -> Verdict:
        """Take in one value. Raises ValueError, taking nothing, if it is not finite or out of the detector's range."""
        ...

    def update_many(self, values: ArrayLike, *, with_ends: bool = False) -> list[tuple[int, Verdict]]:
        """Take in many, oldest first: (index, verdict) of those that fire, and of those at which a warning begins.

        A warning begins where `update` would warn and did not at the value before; some detectors warn for days. With
        ends: also of the first value after a warning, if it does not fire.
        Raises ValueError, taking none, if one is not finite or out of the detector's range.
        """
        ...

    def state(self) -> bytes:
        """Everything it knows, parameters too, in compact versioned bytes."""
        ...

    @classmethod
    def from_state(cls, data: bytes) -> Self:
        """The detector that wrote `data` with `state`, going on where that one was; ValueError for other data."""
        ...


@runtime_checkable
class WindowDetector(Detector, Protocol):
    """A detector that looks at nothing but the newest values, so that all rules of one series can share one window."""

    def judge(self, values: Floats, statistics: Pushed) -> list[tuple[int, Verdict]]:
        """What `update_many` says of values that are already in a window, whose `statistics` these are."""
        ...

    def is_calm(self, value: float, count: int, mean: float, std: float) -> bool:
        """Whether `judge` says nothing of one value, given the statistics of the window that it is the newest of."""
        ...
