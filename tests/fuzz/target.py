"""What is fuzzed: something that draws an input and checks what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Target(NamedTuple):
    """`draw` makes an input, `check` hands it over: True if it was accepted, False if it was properly refused.

    Whatever else `check` raises is a finding. `share`: how many inputs it gets beside the others' shares.
    """

    name: str
    draw: Callable[[], Any]
    check: Callable[[Any], bool]
    share: int = 1


def refused_with(expected: type[Exception] | tuple[type[Exception], ...], call: Callable[[], object]) -> bool:
    """Whether a call refused what it was given; the text is one line of bounded length."""
    try:
        call()
    except expected as refused:
        text = str(refused)
        assert len(text) < 2_000, f"a reason of {len(text)} characters"
        return True
    return False
