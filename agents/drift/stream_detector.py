"""What detectors that keep their own state have in common: checked values, kernels, verdicts, states as bytes."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from copy import copy
from functools import lru_cache, partial
from itertools import islice, repeat
from math import isfinite
from typing import Any, ClassVar, Final, Self

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from agents.drift import kernel
from agents.drift.detector import Verdict
from agents.drift.kernel import Kernel, memory

#: So many values are given to a kernel at once: what it finds must fit into memory.
_BLOCK: Final = 16_384

_VERSION: Final = 2
#: By 0, 1 and −1.
_DIRECTIONS: Final = np.array(["none", "up", "down"], dtype=object)

_NO_CELLS: Final = 0


class StreamDetector:
    """The base of detectors with a kernel.

    The kernel gets (values, constants, numbers, cells, found, every) and returns how many verdicts it wrote to `found`.
    `numbers` and `cells` are all that a detector remembers. Both begin as zeros, and the kernel sets them to zeros when
    it fires: so a detector that fired is as good as new.
    """

    name: ClassVar[str]

    #: Whether values must lie in [0, 1]: errors (1 is an error), or shares of errors.
    bounded: ClassVar[bool] = False

    #: Whether they must be errors, of which it looks for more: of a share of successes it would report the rise.
    errors_only: ClassVar[bool] = False

    _kernel: ClassVar[Kernel[..., Any]]

    def _begin(
        self, parameters: dict[str, Any], constants: Sequence[float], numbers: int, cells: int = _NO_CELLS
    ) -> None:
        self._parameters = {name: parameters[name] for name in inspect.signature(type(self)).parameters}
        self._compiled = kernel.COMPILED
        self._constants = memory(constants, self._compiled)
        self._numbers = memory(np.zeros(numbers + 1), self._compiled)
        self._cells = memory(np.zeros(cells), self._compiled)
        self._single, self._row = memory(np.zeros(1), self._compiled), np.empty((1, 5))
        self._scan = self._kernel.compiled if self._compiled else self._kernel.function
        self._run(np.empty(0))  # compiles, or loads what was compiled before

    @property
    def parameters(self) -> dict[str, Any]:
        """The keyword arguments that make a detector like this one."""
        return dict(self._parameters)

    def update(self, value: float) -> Verdict:
        """Take in one value. Raises ValueError, taking nothing, if it is not finite or out of range."""
        number = float(value)
        if not (0 <= number <= 1 if self.bounded else isfinite(number)):
            self._checked([number])  # which says what is wrong
        self._single[0] = number
        self._scan(self._single, self._constants, self._numbers, self._cells, self._row, kernel.EVERY)
        _, level, direction, statistic, threshold = self._row[0].tolist()
        (p_value,) = islice(self._p_values([statistic]), 1)
        return Verdict(level == 2, level == 1, _DIRECTIONS[int(direction)], statistic, threshold, p_value)

    def update_many(self, values: ArrayLike, *, with_ends: bool = False) -> list[tuple[int, Verdict]]:
        """Take in many; (index, verdict) of those that fire, or begin (or end) a warning. ValueError: none is taken."""
        array = self._checked(values)
        results: list[tuple[int, Verdict]] = []
        for start in range(0, len(array), _BLOCK):
            found = self._run(array[start : start + _BLOCK], kernel.ENDS if with_ends else kernel.NOTABLE)
            indices = (found[:, 0].astype(np.int64) + start).tolist()
            results += zip(indices, self._verdicts(found), strict=True)
        return results

    def reset(self) -> None:
        """Forget every value."""
        kernel.clear(self._numbers)
        kernel.clear(self._cells)

    def state(self) -> bytes:
        """Parameters and memory."""
        numbers = _trimmed(self._numbers).astype("<f8").tobytes()
        return bytes([_VERSION]) + msgspec.msgpack.encode(
            [self.name, list(self._parameters.values()), numbers, *_packed(_trimmed(self._cells))]
        )

    @classmethod
    def from_state(cls, data: bytes) -> Self:
        """The detector that wrote `data`; raises ValueError for anything else."""
        if not data or data[0] != _VERSION:
            raise ValueError(
                f"{cls.name}: expected a state of format {_VERSION}, got {data[:1]!r} in {len(data)} bytes"
            )
        try:
            name, parameters, numbers, count, cells = msgspec.msgpack.decode(
                data[1:], type=tuple[str, list[Any], bytes, int, bytes]
            )
            if name != cls.name:
                raise ValueError(f"it is a state of {name}")
            kind: Any = cls
            detector: Self = _made(kind, kernel.COMPILED, *parameters)._as_new()
            detector._fill(detector._numbers, np.frombuffer(numbers, dtype="<f8"))
            detector._fill(detector._cells, _unpacked(count, cells))
        except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as problem:
            raise ValueError(f"{cls.name}: expected a state of its own: {problem}") from problem
        return detector

    def _p_values(self, statistics: list[float]) -> Iterable[float | None]:
        """The significance of each statistic; None where the test has none."""
        del statistics
        return repeat(None)

    def _checked(self, values: ArrayLike) -> NDArray[np.float64]:
        array = np.ascontiguousarray(values, dtype=np.float64)
        if array.ndim != 1:
            raise ValueError(f"values: expected one dimension, got {array.ndim}")
        bad = ~((array >= 0) & (array <= 1)) if self.bounded else ~np.isfinite(array)
        if bad.any():
            at = int(np.argmax(bad))
            expected = "finite numbers from 0 to 1" if self.bounded else "finite numbers"
            raise ValueError(f"values: {self.name} expects {expected}, got {array[at]} at index {at}")
        return array

    def _run(self, values: NDArray[np.float64], every: int = kernel.NOTABLE) -> NDArray[np.float64]:
        found = np.empty((len(values), 5))
        given = values if self._compiled else values.tolist()
        return found[: self._scan(given, self._constants, self._numbers, self._cells, found, every)]

    def _verdicts(self, found: NDArray[np.float64]) -> list[Verdict]:
        level, statistics = found[:, 1], found[:, 3].tolist()
        columns = (
            (level == 2).tolist(),
            (level == 1).tolist(),
            _DIRECTIONS[found[:, 2].astype(np.intp)].tolist(),
            statistics,
            found[:, 4].tolist(),
            self._p_values(statistics),
        )
        return list(map(partial(tuple.__new__, Verdict), zip(*columns, strict=False)))

    def _as_new(self) -> Self:
        """Another one that is as this one was when it was made; what neither ever changes, they share."""
        other = copy(self)
        other._numbers = memory(np.zeros(len(self._numbers)), self._compiled)
        other._cells = memory(np.zeros(len(self._cells)), self._compiled)
        other._single, other._row = memory(np.zeros(1), self._compiled), np.empty((1, 5))
        return other

    @staticmethod
    def _fill(target: kernel.Memory, numbers: NDArray[np.float64]) -> None:
        if len(numbers) > len(target):
            raise ValueError(f"{len(numbers)} numbers where {len(target)} are kept")
        if isinstance(target, np.ndarray):
            target[: len(numbers)] = numbers
        else:
            target[: len(numbers)] = numbers.tolist()


@lru_cache(maxsize=1_000, typed=True)
def _made(kind: Any, compiled: bool, *parameters: Any) -> Any:
    """A detector of these parameters, in their order. Kept, for the checks of parameters take longer than a value."""
    del compiled  # one that is compiled is not one that is not
    return kind(**dict(zip(inspect.signature(kind).parameters, parameters, strict=False)))


def _trimmed(numbers: kernel.Memory) -> NDArray[np.float64]:
    """Without the zeros at the end. A −0.0 counts as a zero: no kernel tells them apart."""
    array = np.asarray(numbers, dtype=np.float64)
    used = np.flatnonzero(array)
    return array[: used[-1] + 1] if len(used) else array[:0]


def _packed(cells: NDArray[np.float64]) -> tuple[int, bytes]:
    """(how many, their bits) if all are 0 or 1, as in a window of errors; else (0, as doubles)."""
    if len(cells) and np.isin(cells, (0.0, 1.0)).all():
        return len(cells), np.packbits(cells.astype(bool)).tobytes()
    return 0, cells.astype("<f8").tobytes()


def _unpacked(count: int, data: bytes) -> NDArray[np.float64]:
    if count == 0:
        return np.frombuffer(data, dtype="<f8")
    if len(data) != -(-count // 8):
        raise ValueError(f"{count} bits in {len(data)} bytes")
    return np.unpackbits(np.frombuffer(data, dtype=np.uint8), count=count).astype(np.float64)
