"""States of many models (`agents.monitor.state.MonitorState`), each taking in a few messages as it is written."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from agents.monitor.encoded.msgpack import (
    EMPTY,
    FALSE,
    NIL,
    after_count,
    after_map_header,
    after_text,
    after_value,
    copy,
    count_at,
    length_at,
    put_count,
    put_text_header,
)
from agents.monitor.encoded.series import (
    NAME_AT,
    NAME_END,
    WATCHED,
    WATCHED_AT,
    WATCHED_END,
    Whole,
    is_value,
    read_series,
    step_series,
)
from agents.monitor.state import FORMAT, MonitorState, Version
from schemas.columns.numbers import Doubles, Words
from schemas.columns.words import Bytes
from schemas.kernel import bare, unlocked

_FORMAT: Final = FORMAT[0]
_STATE: Final = 0x90 + len(MonitorState.__struct_fields__)
_ONE_VERSION: Final = 0x91
_VERSION: Final = 0x90 + len(Version.__struct_fields__)
_METRICS = np.frombuffer(b"metrics", np.uint8)


@unlocked
def step_states(
    text: Bytes, ends: Whole, firsts: Whole, lasts: Whole, times: Whole, clocks: Whole, versions: Bytes,
    version_ends: Whole, names: Bytes, watched: Bytes, lanes: Any, limits: Doubles, values: Doubles, out: Bytes,
    out_ends: Whole, places: Whole, words: Words, doubles: Doubles, sums: Doubles,
) -> None:  # fmt: skip
    """Write each state with its messages taken in; nothing for one that is to have a step of its own.

    States are in `text` one after the other up to their `ends`. Of each the messages are columns of `values`, a row for
    each lane, from one of `firsts` to before one of `lasts`, `times` has the latest of theirs, `clocks` the tick clock
    then, `versions` up to `version_ends` their version. What is asked of each lane is a row of `lanes` and of `limits`,
    with texts in `names` and `watched`. `out_ends`: where each that is written ends in `out`, which is where the former
    ends for one that is not. The rest is for the kernel to work with.
    """
    begin = end_of_name = written = 0
    for number in range(len(ends)):
        at = _step(
            text, begin, ends[number], firsts[number], lasts[number], times[number], clocks[number], versions,
            end_of_name, version_ends[number], names, watched, lanes, limits, values, out, written, places, words,
            doubles, sums,
        )  # fmt: skip
        begin, end_of_name = ends[number], version_ends[number]
        written = max(at, written)
        out_ends[number] = written


@bare
def _step(
    text: Bytes, at: int, end: int, first: int, last: int, time: int, clock: int, versions: Bytes, name: int,
    end_of_name: int, names: Bytes, watched: Bytes, lanes: Any, limits: Doubles, values: Doubles, out: Bytes,
    written: int, places: Whole, words: Words, doubles: Doubles, sums: Doubles,
) -> int:  # fmt: skip
    """Write one state; past it, or −1."""
    if end - at < 2 or text[at] != _FORMAT or text[at + 1] != _STATE:
        return -1
    begin, at = at, after_text(text, at + 2, end)
    if at < 0 or end - at < 2 or text[at] != _ONE_VERSION or text[at + 1] != _VERSION:
        return -1
    begin_of_name, at = at + 2, after_text(text, at + 2, end)
    if at < 0 or not is_value(text, begin_of_name, end, versions, name, end_of_name):
        return -1
    begin_of_series, at = at, after_map_header(text, at, end)
    if at < 0:
        return -1
    written = copy(text, begin, at, out, written)
    done = taken = 0
    for _ in range(length_at(text, begin_of_series)):
        begin, at = at, after_text(text, at, end)
        lane = _lane_of(text, begin, at, names, lanes, done)
        begin_of_one, at = at, read_series(text, at, end, places) if lane >= 0 else after_value(text, at, end)
        if at < 0:
            return -1
        if lane < 0:
            written = copy(text, begin, at, out, written)
            continue
        if taken >> lane & 1:
            return -1  # a metric twice: of so much more to be written there may be no room
        taken |= 1 << lane
        if not is_value(text, places[WATCHED], end, watched, lanes[lane, WATCHED_AT], lanes[lane, WATCHED_END]):
            return -1
        written = copy(text, begin, begin_of_one, out, written)
        written = step_series(
            text, places, lanes[lane], limits[lane], values[lane, first:last], out, written, words, doubles, sums
        )
        if written < 0:
            return -1
        done += 1
    if done != len(lanes):
        return -1
    return _write_rest(text, at, end, last - first, time, clock, versions, name, end_of_name, out, written)


@bare
def _write_rest(
    text: Bytes, at: int, end: int, count: int, time: int, clock: int, versions: Bytes, name: int, end_of_name: int,
    out: Bytes, written: int,
) -> int:  # fmt: skip
    """Write what follows the series: what the version has beside them, then the other fields of the state."""
    begin = at
    for _ in range(3):  # whether it came after a drift, segments, when it was seen
        at = after_value(text, at, end)
    counts, at = at, after_map_header(text, at, end)
    if at < 0:
        return -1
    written, found = copy(text, begin, at, out, written), False
    for _ in range(length_at(text, counts)):
        begin, value = at, after_text(text, at, end)
        at = after_count(text, value, end)
        if at < 0:
            return -1
        if is_value(text, begin, end, _METRICS, 0, len(_METRICS)):
            if found:
                return -1  # twice
            written = put_count(out, copy(text, begin, value, out, written), count_at(text, value) + count)
            found = True
        else:
            written = copy(text, begin, at, out, written)
    begin, seen = at, after_count(text, at, end)  # how many outputs had numbers of their own
    ticked = after_count(text, seen, end)
    last = after_count(text, ticked, end)
    at = after_text(text, last, end)
    if at < 0 or not found or not (text[last] == EMPTY or is_value(text, last, end, versions, name, end_of_name)):
        return -1
    written = copy(text, begin, seen, out, written)
    written = put_count(out, written, max(count_at(text, seen), time))
    written = put_count(out, written, clock)
    written = put_text_header(out, written, end_of_name - name)
    written = copy(versions, name, end_of_name, out, written)
    begin, at = at, after_value(text, at, end)
    if at < 0 or at >= end or text[at] != FALSE:
        return -1  # it was silent
    for _ in range(4):  # that, whether metrics were too many, and of series the number retired and begun
        at = after_value(text, at, end)
    if at < 0 or at >= end or text[at] != NIL:
        return -1  # something waits for its partner
    for _ in range(3):
        at = after_value(text, at, end)
    return copy(text, begin, end, out, written) if at == end else -1


@bare
def _lane_of(text: Bytes, begin: int, end: int, names: Bytes, lanes: Any, expected: int) -> int:
    """The lane of a metric by its name as it is written, where `expected` is looked at first; −1 if it has none."""
    if end < 0:
        return -1
    for turn in range(-1, len(lanes)):
        lane = expected if turn < 0 else turn
        if lane < len(lanes) and is_value(text, begin, end, names, lanes[lane, NAME_AT], lanes[lane, NAME_END]):
            return lane
    return -1
