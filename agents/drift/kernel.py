"""Inner loops of detectors, and their memory (docs/adr/0007).

Both ways give the same bits: a kernel uses nothing but +, −, ×, ÷, comparisons, `math.sqrt` and `math.log`, in one
order, without fast-math. Compiling takes a second or two the first time and is cached on disk; it happens when a
detector is made, never at a value.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from schemas.kernel import COMPILED, Kernel

__all__ = ["COMPILED", "ENDS", "EVERY", "NOTABLE", "Kernel", "Memory", "clear", "memory", "note"]

#: A detector's memory as its kernel sees it: an array for machine code, a list for the interpreter (quicker there).
Memory = NDArray[np.float64] | list[float]


def memory(numbers: Sequence[float] | NDArray[np.float64], compiled: bool) -> Memory:
    """A copy of `numbers` for a kernel to work in."""
    array = np.array(numbers, dtype=np.float64)
    return array if compiled else [float(number) for number in array]


#: What a kernel is to write down besides drifts and beginnings of warnings: nothing, every value, ends of warnings.
NOTABLE, EVERY, ENDS = 0, 1, 2


@Kernel
def clear(numbers: Memory) -> None:
    """Set all to 0: every detector begins with zeros."""
    for index in range(len(numbers)):
        numbers[index] = 0.0


@Kernel
def note(
    found: NDArray[np.float64],
    count: int,
    index: int,
    every: int,
    s: Memory,
    level: int,
    direction: int,
    statistic: float,
    threshold: float,
) -> int:
    """Write down the verdict on value `index` if it fires (level 2), if a warning begins (1), or as `every` asks.

    The last of the detector's numbers says whether it warned at the value before. Returns the new `count`.
    """
    begins = level == 1 and s[-1] == 0.0
    ends = every == ENDS and level == 0 and s[-1] == 1.0
    s[-1] = 1.0 if level == 1 else 0.0
    if not (every == EVERY or begins or ends or level == 2):
        return count
    found[count, 0] = index
    found[count, 1] = level
    found[count, 2] = direction if level > 0 else 0
    found[count, 3] = statistic
    found[count, 4] = threshold
    return count + 1
