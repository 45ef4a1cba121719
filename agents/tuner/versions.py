"""How new model versions are named."""

from __future__ import annotations

import re

MAX_STEM = 100  # a version has at most 128 characters, its number up to 19 of them
_NUMBERED = re.compile(r"(?P<stem>v?|.*-r)(?P<number>[0-9]{1,18})", re.DOTALL)
_SEPARATORS = re.compile(r"[/@]")


def split_version(version: str) -> tuple[str, int]:
    """The line a version belongs to and its number in it.

    `3` and `v3` are number 3 of the lines `` and `v`; `1.4-r2` is number 2 of `1.4-r`; any other version is number 0 of
    a line of its own, so that `1.4` is followed by `1.4-r1` and no meaning is read into its dots.
    """
    # Keys of the models topic are NAME/VERSION and NAME@ALIAS, so a version may hold neither sign.
    text = _SEPARATORS.sub("-", version)
    found = _NUMBERED.fullmatch(text)
    if found is not None and len(found["stem"]) <= MAX_STEM:
        return found["stem"], int(found["number"])
    return (f"{text[: MAX_STEM - 2]}-r", 0) if text else ("", 0)


def next_version(parent: str, highest: int) -> str:
    """The version after `parent`, where `highest` is the highest number already taken in its line (0 if none is).

    >>> next_version("1", 1), next_version("v1", 4), next_version("1.4", 0), next_version("", 0)
    ('2', 'v5', '1.4-r1', '1')
    """
    stem, number = split_version(parent)
    return f"{stem}{max(number, highest) + 1}"
