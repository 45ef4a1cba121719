"""Windows by kernels and by numpy: the same bytes, whichever takes in which values."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.kernel import COMPILED
from streams import measuring
from streams.panes import PANE
from streams.parts import MemoryTable, Parts
from streams.windows import CountWindow

pytestmark = pytest.mark.skipif(not COMPILED, reason="kernels need numba")

SIZES = st.sampled_from([2, 3, 5, PANE - 1, PANE, PANE + 1, 2 * PANE, 2 * PANE + 2, 200, 1000])
KINDS = {
    "ratios": lambda rng: rng.gauss(0.9, 0.01),
    "levels": lambda rng: rng.choice([0.1, 0.7]),
    "far": lambda rng: 1e9 + rng.gauss(0, 1e-3),
    "tiny": lambda rng: rng.choice([1e-300, -3e-200, 0.0, -0.0]),
    "huge": lambda rng: rng.choice([1e300, -1.7e308, 0.0, 1.0]),
}


def told(size: int, kind: str, seed: int, by_kernels: float) -> tuple[list[bytes], list[object], MemoryTable]:
    """Statistics, heads and summaries on the way, and what is kept, if this part of the pushes goes by kernels."""
    rng, ways, table = random.Random(seed), random.Random(seed), MemoryTable()
    window, statistics, seen = CountWindow(size, parts := Parts(table)), list[bytes](), list[object]()
    for _ in range(rng.randrange(1, 8)):
        values = [KINDS[kind](rng) for _ in range(rng.choice([1, 3, PANE, size, 2 * size + 1, 5 * size]))]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(measuring.load, "done", ways.random() < by_kernels)
            if rng.random() < 0.3:
                window.extend(values)
            else:
                pushed = window.push_many(values)
                statistics += [array.tobytes() for array in (pushed.count, pushed.mean, pushed.std)]
                seen += [pushed.summary(at) for at in (-1, 0, len(values) - 1) if at >= 0 or pushed.before.pushed]
        parts.write()
        seen += [repr(window.head), window.summary()]
    return statistics, seen, table


@settings(max_examples=150, deadline=None)
@given(SIZES, st.sampled_from(sorted(KINDS)), st.integers(0, 10_000))
def test_kernels_and_numpy_give_the_same_bytes(size: int, kind: str, seed: int) -> None:
    measuring.load()
    by_numpy = told(size, kind, seed, by_kernels=0.0)
    assert told(size, kind, seed, by_kernels=1.0) == by_numpy
    assert told(size, kind, seed, by_kernels=0.5) == by_numpy


def test_windows_alone_never_load_numba() -> None:
    program = (
        "import sys, streams.windows as w; w.CountWindow(3).push_many([1.0] * 20); assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("count", [30, 300])
def test_a_pane_that_is_cut_short_is_no_reason_to_read_beyond_it(count: int) -> None:
    measuring.load()
    table = MemoryTable()
    window = CountWindow(200, parts := Parts(table))
    window.push_many([0.5] * 500)
    parts.write()
    for key in [key for key in table if len(key) == len(next(iter(table)))]:
        table[key] = table[key][:16]
    with pytest.raises(ValueError, match="missing"):
        window.push_many([0.5] * count)
