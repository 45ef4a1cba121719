"""What glibc's allocator keeps and gives back. Nothing happens where the C library is another one."""

from __future__ import annotations

import ctypes
from typing import Any, Final

#: Bytes of free memory at the end of the heap that stay, and of allocations that come from the heap; options of
#: mallopt(3).
_KEPT_BYTES: Final = 64 * 2**20
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3


def keep_memory() -> None:
    """A fetch and what comes of it take the same few megabytes again and again: they need not go back between."""
    if (mallopt := _of_glibc("mallopt")) is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)


def hand_back() -> None:
    """Give all free memory back to the system: after something that needed much and will not be done again soon."""
    if (malloc_trim := _of_glibc("malloc_trim")) is not None:
        malloc_trim(0)


def _of_glibc(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None)
