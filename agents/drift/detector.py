"""What a drift detector is to the monitor and to users: values in, verdicts out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, Self

from numpy.typing import ArrayLike

from streams.windows import Floats, Pushed

Direction = Literal["up", "down", "none"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a detector says after one value.

    `statistic` is what it compared with `threshold`; `p_value` its significance, where the test has one; `direction`
    which way the values went ("none" where the detector has no direction, or nothing was found).
    """

    drift: bool
    warning: bool
    direction: Direction
    statistic: float
    threshold: float
    p_value: float | None = None


class Detector(Protocol):
    """One detector over one series of finite numbers. Values of any split into calls give the same verdicts."""

    @property
    def name(self) -> str:
        """The name in settings and in `DriftDetected.detector`."""
        ...

    def update(self, value: float) -> Verdict:
        """Take in one value. Raises ValueError if it is not finite."""
        ...

    def update_many(self, values: ArrayLike) -> list[tuple[int, Verdict]]:
        """Take in many, oldest first: (index, verdict) of those at which it warns or fires."""
        ...

    def judge(self, values: Floats, statistics: Pushed) -> list[tuple[int, Verdict]]:
        """What `update_many` says of values that are already in a window, whose `statistics` these are.

        So that all rules of one series share one window.
        """
        ...

    def is_calm(self, value: float, count: int, mean: float, std: float) -> bool:
        """Whether `judge` says nothing of one value, given the statistics of the window that it is the newest of."""
        ...

    def state(self) -> bytes:
        """Everything it knows, parameters too, in compact versioned bytes."""
        ...

    @classmethod
    def from_state(cls, data: bytes) -> Self:
        """The detector that wrote `data` with `state`, going on where that one was."""
        ...
