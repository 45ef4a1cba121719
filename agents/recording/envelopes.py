"""What stands around the values of a recording's lines, read by a kernel where a recorder wrote it.

A usual line is, to the byte, as the recorder writes a record without headers whose value is a JSON object:

    {"topic":"visutility.metrics","partition":0,"offset":7,"timestamp":1750000000000,"key":"fraud","value":{…}}

The kernel does not say that the object is JSON, but that, if it is, the line says nothing more than this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from schemas.columns.columns import Integers
from schemas.columns.scan import one_of, scan_text
from schemas.columns.words import MARGIN, Bytes, same_bytes
from schemas.kernel import bare, inlined

#: What is told of each line: the number of its topic, −1 of a line that is not usual; its partition and timestamp; and
#: where its value begins.
TOPIC, PARTITION, TIMESTAMP, VALUE = range(4)
FACTS: Final = 4


def _written(text: bytes) -> Bytes:
    return np.frombuffer(text + bytes(MARGIN), np.uint8)


_TOPIC, _PARTITION, _OFFSET = _written(b'{"topic":"'), _written(b'","partition":'), _written(b',"offset":')
_TIMESTAMP, _KEY, _VALUE = _written(b',"timestamp":'), _written(b',"key":"'), _written(b',"value":{')

#: A count of more digits may be none of 64 bits.
_MOST_DIGITS: Final = 18


@inlined
def past(text: Bytes, at: int, expected: Bytes) -> int:
    """The place after what is expected at `at`; −1 if something else is there, or `at` is −1."""
    length = len(expected) - MARGIN
    return at + length if at >= 0 and same_bytes(text, at, expected, 0, length) else -1


@inlined
def scan_count(text: Bytes, at: int, facts: Any, what: int, line: int) -> int:
    """Read a number without a sign into `facts`; past its end, or −1."""
    if at < 0:
        return -1
    begin, count = at, np.int64(0)
    while text[at] >= 48 and text[at] <= 57 and at - begin < _MOST_DIGITS:
        count = count * 10 + np.int64(text[at]) - 48
        at += 1
    facts[what, line] = count
    return -1 if at == begin or (at > begin + 1 and text[begin] == 48) else at


@inlined
def end_of_object(text: Bytes, at: int, end: int) -> int:
    """Past the bracket that closes the one at `at`, if that is before `end`, else `end`. Of what is JSON."""
    depth = 0
    while at < end:
        byte = text[at]
        if byte == 34:
            at += 1
            while at < end and text[at] != 34:
                at += 2 if text[at] == 92 else 1
        elif byte == 123 or byte == 91:
            depth += 1
        elif byte == 125 or byte == 93:
            depth -= 1
            if depth == 0:
                return at + 1
        at += 1
    return end


@bare
def scan_envelopes(text: Bytes, starts: Integers, ends: Integers, names: Bytes, begins: Any, facts: Any) -> None:
    """Tell in `facts` (`FACTS` by line) of the lines from each of `starts` to before its end, a line break.

    `names`: those of the topics one after the other; `begins`: where each begins, and the last ends.
    """
    topic = 0
    for line in range(len(starts)):
        last = ends[line] - 1
        at = past(text, starts[line], _TOPIC)
        end_of_topic = scan_text(text, at) if at >= 0 else -1
        found = one_of(text, at, end_of_topic, names, begins, topic) if end_of_topic >= 0 else -1
        at = past(text, end_of_topic, _PARTITION)
        at = past(text, scan_count(text, at, facts, PARTITION, line), _OFFSET)
        at = past(text, scan_count(text, at, facts, VALUE, line), _TIMESTAMP)
        at = scan_count(text, at, facts, TIMESTAMP, line)
        key = past(text, at, _KEY)
        if key >= 0:
            key = scan_text(text, key)
            at = key + 1 if key >= 0 else -1
        at = past(text, at, _VALUE) - 1
        facts[VALUE, line] = at
        facts[TOPIC, line] = -1
        if found >= 0 and at >= 0 and text[last] == 125 and end_of_object(text, at, last + 1) == last:
            facts[TOPIC, line] = found
            topic = found


@bare
def copy_lines(text: Bytes, starts: Integers, ends: Integers, lines: Integers, into: Any) -> None:
    """Put some lines of a text one after the other."""
    at = 0
    for line in lines:
        for place in range(starts[line], ends[line]):
            into[at] = text[place]
            at += 1


def envelopes_of(text: Bytes, starts: Integers, ends: Integers, topics: Sequence[str]) -> Integers:
    """The facts of the lines of a padded text, by fact and line; a topic's number is its place in `topics`."""
    names = [topic.encode() for topic in topics]
    facts = np.empty((FACTS, len(starts)), np.int64)
    begins = np.cumsum([0, *map(len, names)])
    if names:
        scan_envelopes.compiled(text, starts, ends, np.frombuffer(b"".join(names), np.uint8), begins, facts)
    else:
        facts[TOPIC] = -1
    return facts


def lines_copied(text: Bytes, starts: Integers, ends: Integers, lines: Integers) -> Bytes:
    """Some lines of a text, one after the other."""
    into = np.empty(int((ends[lines] - starts[lines]).sum()), np.uint8)
    copy_lines.compiled(text, starts, ends, lines, into)
    return into
