"""Inner loops as plain Python functions that numba compiles where it is installed (docs/adr/0007)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from hashlib import sha256
from importlib.util import find_spec
from types import FunctionType
from typing import Final, Generic, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

P = ParamSpec("P")
R = TypeVar("R")

#: Whether kernels are compiled; the extra `fast` brings numba.
COMPILED: Final = find_spec("numba") is not None


class Kernel(Generic[P, R]):
    """A function of numbers and of sequences of numbers; it may call other kernels of its module's globals."""

    def __init__(
        self, function: Callable[P, R], *, inline: bool = False, nogil: bool = False, makes_arrays: bool = True
    ) -> None:
        """`inline`: put it into the code of its callers, which is quicker for what is short, or called in one place.

        `nogil`: other threads of Python run meanwhile. For what takes milliseconds: whoever lets go of Python's lock
        may have to wait that long for it. Without `makes_arrays` numba counts no references to arrays, which costs
        more than all else in loops that look at single bytes; the compiler puts them into their callers, for each
        array that is handed on is seven words.
        """
        self.function: Callable[P, R] = function
        if not isinstance(function, FunctionType):
            raise TypeError(f"expected a plain function, got {function!r}")
        self._options = {
            "inline": "always" if inline else "never",
            "forceinline": not makes_arrays,
            "nogil": nogil,
            "_nrt": makes_arrays,
        }
        self.__doc__ = function.__doc__

    def __call__(self, *arguments: P.args, **named: P.kwargs) -> R:
        """Run it in the interpreter."""
        return self.function(*arguments, **named)

    @cached_property
    def digest(self) -> str:
        """Of the code, and of what it finds among its module's globals: other kernels, arrays and numbers."""
        code, scope = self.function.__code__, self.function.__globals__
        parts = [code.co_code, repr((code.co_consts, self._options)).encode()]
        for name in code.co_names:
            found = scope.get(name)
            if isinstance(found, Kernel):
                parts.append(found.digest.encode())
            elif isinstance(found, np.ndarray):
                parts.append(found.tobytes())
            else:
                parts.append(repr((name, found if isinstance(found, int | float) else None)).encode())
        return sha256(b"\0".join(parts)).hexdigest()[:16]

    @cached_property
    def compiled(self) -> Callable[P, R]:
        """The same as machine code, made at the first call with each combination of types. Needs numba."""
        # Imported here, for numba takes half a second, and most workers need none of it.
        from numba import njit

        function = self.function
        scope = function.__globals__ | {
            name: kernel.compiled
            for name in function.__code__.co_names
            if isinstance(kernel := function.__globals__.get(name), Kernel)
        }
        bound = FunctionType(function.__code__, scope, function.__name__)
        # numba keeps what it compiled under this name and the date of this one file, whatever the code calls elsewhere.
        bound.__qualname__ = f"{function.__qualname__}_{self.digest}"
        try:
            made: Callable[P, R] = njit(cache=True, **self._options)(bound)
        except RuntimeError:  # nowhere to keep a cache: a read-only installation without a home
            made = njit(**self._options)(bound)
        return made


def inlined(function: Callable[P, R]) -> Kernel[P, R]:
    """A kernel that is put into the code of its callers."""
    return Kernel(function, inline=True)


def bare(function: Callable[P, R]) -> Kernel[P, R]:
    """A kernel that makes no arrays, which the compiler puts into its callers."""
    return Kernel(function, makes_arrays=False)


def unlocked(function: Callable[P, R]) -> Kernel[P, R]:
    """A kernel that makes no arrays and lets other threads of Python run meanwhile."""
    return Kernel(function, nogil=True, makes_arrays=False)


def plain(values: Floats) -> Floats:
    """An array as kernels are compiled for, where that matters: for others (read-only ones) they would be anew."""
    return values if values.flags.carray else values.copy()


class LoadedWithOthers:
    """Loads kernels that are no reason to load numba, but of use once it is there; `done` tells whether they are."""

    def __init__(self, load: Callable[[], None]) -> None:
        self._load = load
        self.done = False
        _OTHERS.append(self)

    def __call__(self) -> None:
        self._load()
        self.done = True


_OTHERS: Final = list[LoadedWithOthers]()

#: Makes of a function that compiles kernels, or loads what was compiled, one that is called by `load_others`, too.
with_others = LoadedWithOthers


def load_others() -> None:
    """Load the kernels of all modules imported so far that have them loaded only with others."""
    for load in _OTHERS:
        load()
