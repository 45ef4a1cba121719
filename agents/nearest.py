"""The right name nearest to a wrong one, for errors that name it."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """What goes behind a wrong name: a space and "(did you mean 'digits'?)", or nothing where none is near.

    Case does not count.
    """
    names = {name.lower(): name for name in known}
    near = get_close_matches(wrong.lower(), names, n=1)
    return f" (did you mean {names[near[0]]!r}?)" if near else ""
