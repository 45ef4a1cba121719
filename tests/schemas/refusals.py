"""What a parser said of a value."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.message import InvalidMessage, Message
from schemas.parse import Parser

LONGEST_REASON = 700


def reason_of(parse: Parser, value: bytes | None, headers: Sequence[tuple[str, bytes | None]] = ()) -> str | None:
    """The reason of the refusal, None if a message came out; everything else the parser raises goes through."""
    try:
        message = parse(value, headers)
    except InvalidMessage as refused:
        return str(refused)
    assert isinstance(message, Message)
    return None


def assert_proper(reason: str | None) -> None:
    """A reason is one line of bounded length that says what was expected and what came."""
    if reason is not None:
        assert reason.splitlines() == [reason]
        assert ": expected " in reason
        assert ", got " in reason
        assert len(reason) < LONGEST_REASON
