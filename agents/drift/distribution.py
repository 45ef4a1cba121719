"""What detectors of a changed distribution have in common: a reference, a window that slides past it, a level.

The newest `size` values are held against the reference each time that `stride` new ones have come, so that the cost of
a value does not grow with the window. Every test is at the level alpha · stride / 10,000. Whatever the tests of
overlapping windows have to do with each other, the *expected* number of false alarms is the sum of their levels:
`alpha` in 10,000 values. That is the whole correction for testing again and again, and it supposes no independence.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import copy
from functools import lru_cache
from math import isfinite
from typing import Any, ClassVar, Final, Self

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from agents.drift.detector import Verdict
from agents.drift.parameters import fraction, positive, whole
from agents.drift.reference_file import read_reference

Floats = NDArray[np.float64]

#: Values over which `alpha` false alarms are expected.
SPAN: Final = 10_000

#: Values that a reference and a window may have at most: both are kept with each series.
LARGEST: Final = 10_000

_VERSION: Final = 1
_QUIET: Final = Verdict(False, False, "none", 0.0, 0.0)


class Reference(ABC):
    """What windows are held against. It says how a window's values are kept, too: as much of them as a test needs."""

    #: The numpy type of a value in a window.
    kept: ClassVar[str]

    @abstractmethod
    def encode(self, values: Floats) -> NDArray[Any]:
        """Values as a window keeps them."""

    @abstractmethod
    def statistic(self, window: NDArray[Any]) -> float:
        """How far the window is from the reference: 0 where they are alike."""

    @abstractmethod
    def critical(self, window: NDArray[Any], statistic: float, level: float) -> float:
        """What the statistic exceeds with at most this probability if nothing has changed."""

    @abstractmethod
    def p_value(self, window: NDArray[Any], statistic: float) -> float:
        """The probability of such a statistic, or a larger one, if nothing has changed."""

    @abstractmethod
    def packed(self) -> list[bytes]:
        """What it takes to make it again."""

    @classmethod
    @abstractmethod
    def unpacked(cls, parts: Sequence[bytes]) -> Self:
        """The reference that these parts are of; raises ValueError for others."""


class DistributionDetector(ABC):
    """The base of detectors that hold the newest values against a reference.

    - `reference`: the first so many values are the reference; or those of `reference_file` (.csv, .jsonl or .npy, the
      first two with `column` and also .gz), of which so many, evenly spaced, are taken.
    - The newest `size` values are tested each time that `stride` new ones have come, by default a fifth of `size`.
    - `alpha`: so many false alarms are expected in 10,000 values. The threshold follows from it and from the sizes, by
      the distribution of the statistic where nothing has changed; or `threshold` is given.

    A change of distribution is neither up nor down: `direction` is "none". `p_value` comes with a drift, and is that of
    the one test. A drift begins anew: with the next values as the reference, or with the file's. Never warns.
    """

    name: ClassVar[str]

    #: It looks at the distribution, of which nothing is better or worse.
    of_distribution: ClassVar[bool] = True

    _reference_type: ClassVar[type[Reference]]

    _window: NDArray[Any]

    def __init__(
        self,
        *,
        reference: int = 1_000,
        size: int = 500,
        stride: int | None = None,
        alpha: float = 0.05,
        threshold: float | None = None,
        reference_file: str | None = None,
        column: str | None = None,
    ) -> None:
        self._begin(locals())

    def _begin(self, given: dict[str, Any]) -> None:
        """Take the arguments of `__init__`, which are all in `given`."""
        self._parameters = {name: given[name] for name in inspect.signature(type(self)).parameters}
        self._to_learn = whole("reference", given["reference"], 2, LARGEST)
        self._size = whole("size", given["size"], 2, LARGEST)
        stride = max(1, self._size // 5) if given["stride"] is None else given["stride"]
        self._stride = whole("stride", stride, 1, self._size)
        self._level = fraction("alpha", given["alpha"]) * self._stride / SPAN
        self._threshold = None if given["threshold"] is None else positive("threshold", given["threshold"])
        if given["column"] is not None and given["reference_file"] is None:
            raise ValueError("column: expected reference_file beside it, which it is a column of")
        if self._threshold is None:
            self._check_sizes()
        self._fresh, self._filled = np.empty(max(self._to_learn, self._size)), 0
        self._reference: Reference | None = None
        self._forget_window()
        if given["reference_file"] is not None:
            values = read_reference(given["reference_file"], given["column"], self._to_learn)
            self._set_reference(self._learn(np.sort(values)))

    def _check_sizes(self) -> None:  # noqa: B027 # some tell something of any sizes
        """Raise ValueError where samples of these sizes cannot tell anything at this level."""

    @abstractmethod
    def _learn(self, values: Floats) -> Reference:
        """The reference made of these values, which are sorted."""

    @property
    def parameters(self) -> dict[str, Any]:
        """The keyword arguments that make a detector like this one."""
        return dict(self._parameters)

    @property
    def recovers_after(self) -> int:
        """So many values without a drift, after one, speak for its end: those up to the next test, at the least."""
        learnt = 0 if self._is_from_file else self._to_learn
        return learnt + self._size

    def update(self, value: float) -> Verdict:
        """Take in one value. Raises ValueError, taking nothing, if it is not finite."""
        number = float(value)
        if not isfinite(number):
            self._checked([number])  # which says what is wrong
        self._fresh[self._filled] = number
        self._filled += 1
        return _QUIET if self._filled < self._awaited else self._advance()

    def update_many(self, values: ArrayLike, *, with_ends: bool = False) -> list[tuple[int, Verdict]]:
        """Take in many; (index, verdict) of those that fire. Raises ValueError, taking none, if one is not finite."""
        del with_ends  # it never warns
        array = self._checked(values)
        found, start = [], 0
        while start < len(array):
            end = min(len(array), start + self._awaited - self._filled)
            self._fresh[self._filled : self._filled + end - start] = array[start:end]
            self._filled += end - start
            start = end
            if self._filled == self._awaited and (verdict := self._advance()).drift:
                found.append((end - 1, verdict))
        return found

    def reset(self) -> None:
        """Forget every value; a reference from a file stays."""
        self._filled = 0
        if not self._is_from_file:
            self._reference = None
        self._forget_window()

    def state(self) -> bytes:
        """Parameters, reference and window."""
        fresh, parts, window = self._fresh[: self._filled], list[bytes](), b""
        if self._reference is not None:
            parts = self._reference.packed()
            window = np.concatenate((self._window, self._reference.encode(fresh))).tobytes()
            fresh = fresh[:0]
        content = [self.name, list(self._parameters.values()), fresh.astype("<f8").tobytes(), parts, window]
        return bytes([_VERSION]) + msgspec.msgpack.encode(content)

    @classmethod
    def from_state(cls, data: bytes) -> Self:
        """The detector that wrote `data`; raises ValueError for anything else. Reads no file."""
        if not data or data[0] != _VERSION:
            raise ValueError(
                f"{cls.name}: expected a state of format {_VERSION}, got {data[:1]!r} in {len(data)} bytes"
            )
        try:
            name, parameters, fresh, parts, window = msgspec.msgpack.decode(
                data[1:], type=tuple[str, list[Any], bytes, list[bytes], bytes]
            )
            if name != cls.name:
                raise ValueError(f"it is a state of {name}")
            detector: Self = copy(_made(cls, *parameters))
            detector._fill(np.frombuffer(fresh, dtype="<f8"), parts, window)
        except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as problem:
            raise ValueError(f"{cls.name}: expected a state of its own: {problem}") from problem
        return detector

    def _fill(self, fresh: Floats, parts: list[bytes], window: bytes) -> None:
        self._fresh = np.empty(len(self._fresh))
        if parts:
            self._set_reference(self._reference_type.unpacked(parts))
            self._window = np.frombuffer(window, dtype=self._reference_type.kept)
            self._awaited = self._size - len(self._window)
        if len(fresh) >= self._awaited or self._awaited <= 0:
            raise ValueError(f"{len(fresh)} values where {self._awaited} are awaited")
        self._fresh[: len(fresh)], self._filled = fresh, len(fresh)

    @property
    def _is_from_file(self) -> bool:
        return self._parameters["reference_file"] is not None

    def _set_reference(self, reference: Reference) -> None:
        self._reference = reference
        self._forget_window()

    def _forget_window(self) -> None:
        self._window = np.empty(0, dtype=self._reference_type.kept)
        self._awaited = self._to_learn if self._reference is None else self._size

    def _advance(self) -> Verdict:
        """What was awaited is there: the reference, or a window to be tested."""
        fresh, self._filled = self._fresh[: self._filled], 0
        reference = self._reference
        if reference is None:
            self._set_reference(self._learn(np.sort(fresh)))
            return _QUIET
        window = np.concatenate((self._window, reference.encode(fresh)))
        statistic = reference.statistic(window)
        threshold = self._threshold
        if threshold is None:
            threshold = reference.critical(window, statistic, self._level)
        if statistic <= threshold:
            self._window, self._awaited = window[self._stride :], self._stride
            return Verdict(False, False, "none", statistic, threshold)
        self.reset()
        return Verdict(True, False, "none", statistic, threshold, reference.p_value(window, statistic))

    def _checked(self, values: ArrayLike) -> Floats:
        array = np.ascontiguousarray(values, dtype=np.float64)
        if array.ndim != 1:
            raise ValueError(f"values: expected one dimension, got {array.ndim}")
        bad = ~np.isfinite(array)
        if bad.any():
            at = int(np.argmax(bad))
            raise ValueError(f"values: {self.name} expects finite numbers, got {array[at]} at index {at}")
        return array


@lru_cache(maxsize=1_000, typed=True)
def _made(kind: type[DistributionDetector], *parameters: Any) -> Any:
    """A detector of these parameters, in their order, that has seen nothing, not even its file."""
    given = dict(zip(inspect.signature(kind).parameters, parameters, strict=True))
    detector = kind(**given | {"reference_file": None, "column": None})
    detector._parameters = given
    return detector
