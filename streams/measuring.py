"""Mean and standard deviation of a window after each of many values: by kernels once they are there, else by numpy.

Both add strictly one number after the other, so that both give the same digits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from schemas.kernel import bare, inlined, plain, with_others
from streams.panes import WELL_CONDITIONED, Floats
from streams.window_sums import lower_medians, mean_and_std, running_sums, running_sums_of_rows

_EMPTY: Final = np.empty(0)


@dataclass(slots=True)
class Column:
    """New values of a window, with what is needed of those before them.

    `values[first:]` are the new ones, at least one, the first at `place` in its block of `size`. Where a block begins
    among them, all of the block before must be there: `place` is `size` if that one begins at once. `level`, `total`
    and `squares` are of the block so far; `is_full`: the window holds values of the block before that one.
    `leaving` are these from `place` + 1 on, as far as they leave now, and `after` the sums over what follows them.
    """

    values: Floats
    first: int
    place: int
    size: int
    is_full: bool
    level: float
    total: float
    squares: float
    leaving: Floats
    after: tuple[float, float]

    @property
    def begins(self) -> int:
        """Where among `values` the first new block begins, and after each `size` values another, if so many came."""
        return self.first + self.size - self.place

    def levels(self) -> Floats:
        """Of the blocks that begin: the lower median of the block before."""
        begins, size = self.begins, self.size
        count = max(len(self.values) - begins + size - 1, 0) // size
        before = self.values[begins - size : begins + (count - 1) * size] if count else _EMPTY
        return lower_medians(before.reshape(-1, size)) if count else _EMPTY


@dataclass(slots=True)
class Sums:
    """What is kept of the last block, and where that began among the values, `back`.

    Two rows: sums over the newest 0 to `size` values of the block before it, and of squares.
    """

    level: float
    total: float
    squares: float
    back: Floats | None


@dataclass(slots=True)
class Measured:
    """After each value mean and standard deviation, NaN where digits are lost; and the sums after the last."""

    mean: Floats
    std: Floats
    sums: Sums


def measured(column: Column) -> Measured:
    """The statistics of a window after each new value."""
    return _by_kernel(column) if load.done else _by_numpy(column)


@with_others
def load() -> None:
    """Have the kernels from now on. Needs numba."""
    _by_kernel(Column(np.arange(4.0), 2, 2, 2, True, 0.0, 0.0, 0.0, _EMPTY, (0.0, 0.0)))
    add_up.compiled(_EMPTY, _EMPTY, 0.0, np.empty((2, 1)))


@inlined
def sum_backwards(
    values: Floats, end: int, count: int, level: float, back: Floats, total: float, squares: float
) -> None:
    """Running sums over so many values before `end`, the newest first, after those so far."""
    back[0, 0], back[1, 0] = total, squares
    for number in range(count):
        deviation = values[end - 1 - number] - level
        total += deviation
        squares += deviation * deviation
        back[0, number + 1], back[1, number + 1] = total, squares


@bare
def measure(
    values: Floats, first: int, place: int, size: int, is_full: bool, leaving: Floats,
    levels: Floats, sums: Floats, back: Floats, mean: Floats, std: Floats,
) -> None:  # fmt: skip
    """What `Measured` has, of a `Column`. `levels` begin with that of the block so far.

    `sums` has its total and squares and the two of `after`; it gets those of the last block.
    """
    level, total, squares, block = levels[0], sums[0], sums[1], 0
    staying = len(leaving)
    sum_backwards(leaving, staying, staying, level, back, sums[2], sums[3])
    for at in range(first, len(values)):
        if place == size:
            block += 1
            level, total, squares, place, is_full = levels[block], 0.0, 0.0, 0, True
            sum_backwards(values, at, size, level, back, 0.0, 0.0)
            staying = size - 1
        deviation = values[at] - level
        total += deviation
        squares += deviation * deviation
        place += 1
        inside, inside_squares, count = total, squares, place
        if is_full:
            inside, inside_squares, count = total + back[0, staying], squares + back[1, staying], size
            staying -= 1
        shift = inside / count
        mean[at - first] = level + shift
        deviations = inside_squares - inside * shift
        good = deviations >= WELL_CONDITIONED * inside * shift
        if not (good and math.isfinite(deviations) and math.isfinite(level + shift)):
            std[at - first] = np.nan
        else:
            std[at - first] = math.sqrt(deviations / max(count - 1, 1)) if deviations > 0.0 else 0.0
    sums[0], sums[1] = total, squares


@bare
def add_up(former: Floats, values: Floats, level: float, back: Floats) -> tuple[float, float]:
    """The sums over the values; `back` gets those of the block before them."""
    sum_backwards(former, len(former), len(former), level, back, 0.0, 0.0)
    total, squares = 0.0, 0.0
    for at in range(len(values)):
        deviation = values[at] - level
        total += deviation
        squares += deviation * deviation
    return total, squares


def _by_kernel(column: Column) -> Measured:
    _check(column)
    levels = np.concatenate(([column.level], column.levels()))
    has_begun = len(levels) > 1
    sums = np.array((column.total, column.squares, *column.after))
    back = np.empty((2, (column.size if has_begun else len(column.leaving)) + 1))
    mean, std = np.empty((2, len(column.values) - column.first))
    measure.compiled(
        plain(column.values), column.first, column.place, column.size, column.is_full, plain(column.leaving),
        levels, sums, back, mean, std,
    )  # fmt: skip
    total, squares, _, _ = sums.tolist()
    return Measured(mean, std, Sums(float(levels[-1]), total, squares, back if has_begun else None))


def _check(column: Column) -> None:
    """Raise ValueError where a kernel would read beyond its arrays, as after a pane that is cut short."""
    stays = min(len(column.values) - column.first, column.size - column.place)
    begins = len(column.values) > column.begins
    if (begins and column.first < column.place) or (column.is_full and len(column.leaving) < stays - 1):
        raise ValueError(f"window of {column.size}: values are missing from its panes")


def _by_numpy(column: Column) -> Measured:
    begins, size = column.begins, column.size
    here, rest = _of_block(column, column.values[column.first : begins]), column.values[begins:]
    if not len(rest):
        return here
    levels = column.levels()
    before = column.values[begins - size : begins + (len(levels) - 1) * size].reshape(-1, size)
    rows = np.concatenate((rest, np.zeros(-len(rest) % size))).reshape(-1, size)  # the zeros are not looked at
    back, back_squares = running_sums_of_rows(before[:, ::-1], levels)
    total, squares = running_sums_of_rows(rows, levels)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        sums = total[:, 1:] + back[:, -2::-1]
        sums_of_squares = squares[:, 1:] + back_squares[:, -2::-1]
    means, stds = mean_and_std(sums, sums_of_squares, np.array(size), levels[:, np.newaxis])
    place = len(rest) - (len(rows) - 1) * size
    kept = np.stack((back[-1], back_squares[-1]))
    return Measured(
        np.concatenate((here.mean, means.ravel()[: len(rest)])),
        np.concatenate((here.std, stds.ravel()[: len(rest)])),
        Sums(float(levels[-1]), float(total[-1, place]), float(squares[-1, place]), kept),
    )


def _of_block(column: Column, new: Floats) -> Measured:
    """Of values that belong to the block so far."""
    level = column.level
    total, squares = running_sums(new, level, column.total, column.squares)
    inside, inside_squares, count = total[1:], squares[1:], np.arange(column.place + 1, column.place + len(new) + 1)
    if column.is_full and len(new):
        more, more_squares = running_sums(column.leaving[::-1], level, *column.after)
        many = slice(len(column.leaving) - len(new) + 1, len(column.leaving) + 1)
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            inside, inside_squares = inside + more[many][::-1], inside_squares + more_squares[many][::-1]
        count = np.full(len(new), column.size)
    mean, std = mean_and_std(inside, inside_squares, count, level)
    return Measured(mean, std, Sums(level, float(total[-1]), float(squares[-1]), None))


def sums_on(values: Floats, level: float, total: float, squares: float) -> Sums:
    """Sums of deviations, and of their squares, after those so far."""
    totals, squared = running_sums(values, level, total, squares)
    return Sums(level, float(totals[-1]), float(squared[-1]), None)


def last_sums(former: Floats, values: Floats, level: float) -> Sums:
    """The sums of a block's first values, after a former block."""
    if not load.done:
        sums = sums_on(values, level, 0.0, 0.0)
        sums.back = np.stack(running_sums(former[::-1], level, 0.0, 0.0))
        return sums
    back = np.empty((2, len(former) + 1))
    total, squares = add_up.compiled(plain(former), plain(values), level, back)
    return Sums(level, total, squares, back)
