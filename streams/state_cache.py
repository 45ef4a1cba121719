"""States that are decoded already: what a step returned is what the next one begins with.

What is here is in the table too, as bytes: a state is encoded after every step, whether it stays here or not. So it may
be dropped at any time, and must be when changes of the table are: see `StateCache.close`.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final, Generic, TypeVar
from weakref import WeakSet

from streams.parts import Parts

S = TypeVar("S")

#: Bytes, as encoded, of the states that all partitions of a process keep here together. As objects they take some
#: three times as much.
CACHE_BYTES: Final = 16 * 2**20

#: Keys that are remembered for having had a step, once or twice as many. A state comes here when its key has another
#: step: to keep states that are not asked for again in a while costs more than to decode them anew.
REMEMBERED: Final = 8_192

#: The caches of this process that share them.
_SHARING: Final[WeakSet[StateCache[Any]]] = WeakSet()


class StateCache(Generic[S]):
    """States of one partition with their parts, those used last; each partition of a process has an equal share."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[S, Parts, int]] = OrderedDict()
        self._bytes = self._limit = 0
        self._recent, self._former = set[str](), set[str]()
        _SHARING.add(self)
        _share_out()

    def take(self, key: str) -> tuple[S, Parts] | None:
        """A key's state, which is here no more: a step may fail after it has changed it. None if it was not here."""
        found = self._kept.pop(key, None)
        if found is None:
            return None
        self._bytes -= found[2]
        return found[0], found[1]

    def keep(self, key: str, state: S, parts: Parts, size: int) -> None:
        """Keep the state of a key that had a step, unless it is the first in a while; `size` is its encoded bytes."""
        if size > self._limit:
            return
        if not self._returns(key):
            return
        self._kept[key] = state, parts, size
        self._bytes += size
        while self._bytes > self._limit:
            _, (_, _, dropped) = self._kept.popitem(last=False)
            self._bytes -= dropped

    def _returns(self, key: str) -> bool:
        """Whether the key had another step not long ago; remembers this one."""
        if key in self._recent:
            return True
        if len(self._recent) >= REMEMBERED:
            self._former, self._recent = self._recent, set()
        self._recent.add(key)
        return key in self._former

    def close(self) -> None:
        """Drop all, for good: others have its share."""
        _SHARING.discard(self)
        self._kept.clear()
        self._bytes = self._limit = 0
        _share_out()


def _share_out() -> None:
    for cache in _SHARING:
        cache._limit = CACHE_BYTES // len(_SHARING)
