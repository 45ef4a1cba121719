"""States of many models (`agents.monitor.state.MonitorState`), each taking in a few messages as it is written."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from agents.monitor.encoded.layout import (
    COUNTED,
    LANE,
    NAME_AT,
    NAME_END,
    OWNER,
    PART_OWNER,
    SEALED,
    UNREAD,
    WANTED,
    WATCHED,
    WATCHED_AT,
    WATCHED_END,
    WRITTEN,
    Whole,
)
from agents.monitor.encoded.msgpack import (
    EMPTY,
    FALSE,
    NIL,
    after_count,
    after_map_header,
    after_text,
    after_value,
    count_at,
    is_value,
    length_at,
    put_count,
)
from agents.monitor.encoded.series import read_series, step_series
from agents.monitor.state import FORMAT, MonitorState, Version
from schemas.columns.kinds import past_text
from schemas.columns.numbers import Doubles, Words
from schemas.columns.scan import is_text
from schemas.columns.words import Bytes, copy
from schemas.kernel import bare, unlocked

_FORMAT: Final = FORMAT[0]
_STATE: Final = 0x90 + len(MonitorState.__struct_fields__)
_ONE_VERSION: Final = 0x91
_VERSION: Final = 0x90 + len(Version.__struct_fields__)
_METRICS = np.frombuffer(b"metrics", np.uint8)


@unlocked
def step_states(
    text: Bytes, ends: Whole, texts: Bytes, texts_at: Whole, firsts: Whole, lasts: Whole, times: Whole, clocks: Whole,
    names: Bytes, watched: Bytes, lanes: Any, limits: Doubles, values: Doubles, read: Bytes, spans: Any, sealed: Bytes,
    parts: Any, wanted: Any, out: Bytes, out_ends: Whole, places: Whole, words: Words, doubles: Doubles, sums: Doubles,
    rows: Any,
) -> int:  # fmt: skip
    """Write each state with its messages taken in; nothing for one that is to have a step of its own, or other panes.

    Returns how many parts there are: `sealed` gets them, each after its name, and `parts` whose and where they are.
    `wanted` gets the panes without which some cannot be done, as many as `places` says then; who has read them gives
    them in `read`, and in `spans`, for each state and lane, where they begin and end (`step_series`).

    States are in `text` one after the other up to their `ends`. Of each the messages are of the kind that `texts_at`
    has in `texts` (`ColumnGroups`), and columns of `values`, a row for each lane, and of `times`, from one of `firsts`
    to before one of `lasts`; `clocks` has the tick clock at the last. What is asked of each lane is a row of `lanes`
    and of `limits`, with texts in `names` and `watched`. `out_ends`: where each that is written ends in `out`, which is
    where the former ends for one that is not. The rest is for the kernel to work with.
    """
    begin = written = count = wants = 0
    for number in range(len(ends)):
        places[SEALED], places[WANTED] = count, wants
        at = _step(
            text, begin, ends[number], texts, past_text(texts, texts_at[number] + 2), firsts[number], lasts[number],
            times, clocks[number], names, watched, lanes, limits, values, read, spans[number], sealed, parts, wanted,
            out, written, places, words, doubles, sums, rows,
        )  # fmt: skip
        begin = ends[number]
        if at == UNREAD:
            wanted[wants : places[WANTED], OWNER] = number
            wants = places[WANTED]
        if at >= 0:
            parts[count : places[SEALED], PART_OWNER] = number
            count, written = places[SEALED], at
        out_ends[number] = written
    places[WANTED] = wants
    return count


@bare
def _step(
    text: Bytes, begin: int, end: int, texts: Bytes, version: int, first: int, last: int, times: Whole, clock: int,
    names: Bytes, watched: Bytes, lanes: Any, limits: Doubles, values: Doubles, read: Bytes, spans: Any, sealed: Bytes,
    parts: Any, wanted: Any, out: Bytes, written: int, places: Whole, words: Words, doubles: Doubles, sums: Doubles,
    rows: Any,
) -> int:  # fmt: skip
    """Write one state; past it, or −1, or `UNREAD`."""
    name = _name_at(text, begin, end, texts, version)
    series = after_text(text, name, end)
    at = after_map_header(text, series, end)
    if at < 0:
        return -1
    places[WRITTEN], wants, done, taken = begin, places[WANTED], 0, 0
    for _ in range(length_at(text, series)):
        metric, at = at, after_text(text, at, end)
        lane = _lane_of(text, metric, at, names, lanes, done)
        at = read_series(text, at, end, places) if lane >= 0 else after_value(text, at, end)
        if at < 0:
            return -1
        if lane < 0:
            continue
        is_asked = is_value(text, places[WATCHED], end, watched, lanes[lane, WATCHED_AT], lanes[lane, WATCHED_END])
        if not is_asked or taken >> lane & 1:
            return -1  # a metric twice: of so much more to be written there may be no room
        taken |= 1 << lane
        asked = places[WANTED]
        past = step_series(
            text, places, lanes[lane], limits[lane], values[lane, first:last], times[first:last], read, spans[lane],
            sealed, parts, wanted, out, written, words, doubles, sums, rows,
        )  # fmt: skip
        if past == UNREAD:
            wanted[asked : places[WANTED], LANE] = lane
        elif past < 0:
            return -1
        else:
            written = past
        done += 1
    if done != len(lanes):
        return -1
    if places[WANTED] > wants:
        return UNREAD
    return _write_rest(text, at, end, name, times[first:last], clock, out, written, places)


@bare
def _name_at(text: Bytes, begin: int, end: int, texts: Bytes, version: int) -> int:
    """Where the name of a state's only version is; −1 where it has none or more, or not the one that is in `texts`."""
    if end - begin < 2 or text[begin] != _FORMAT or text[begin + 1] != _STATE:
        return -1
    at = after_text(text, begin + 2, end)
    if at < 0 or end - at < 2 or text[at] != _ONE_VERSION or text[at + 1] != _VERSION:
        return -1
    return at + 2 if is_value(text, at + 2, end, texts, version, past_text(texts, version) - 1) else -1


@bare
def _write_rest(
    text: Bytes, at: int, end: int, name: int, times: Whole, clock: int, out: Bytes, written: int, places: Whole
) -> int:
    """Write what follows the series: what the version at `name` has beside them, then the state's other fields."""
    for _ in range(3):  # whether it came after a drift, segments, when it was seen
        at = after_value(text, at, end)
    seen = after_count(text, _after_counts(text, at, end, places), end)  # before: how many outputs were numbered
    ticked = after_count(text, seen, end)
    last = after_count(text, ticked, end)
    after_last = after_text(text, last, end)
    at = after_value(text, after_last, end)
    if at < 0 or at >= end or text[at] != FALSE:
        return -1  # it was silent
    if text[last] != EMPTY and not is_text(text, last, after_last, text, name, after_text(text, name, end)):
        return -1  # another version was seen last
    for _ in range(4):  # that, whether metrics were too many, and of series the number retired and begun
        at = after_value(text, at, end)
    if at < 0 or at >= end or text[at] != NIL:
        return -1  # something waits for its partner
    for _ in range(3):
        at = after_value(text, at, end)
    if at != end:
        return -1
    counted, time = places[COUNTED], count_at(text, seen)
    for each in times:
        time = max(time, each)
    written = copy(text, places[WRITTEN], counted, out, written)
    written = put_count(out, written, count_at(text, counted) + len(times))
    written = copy(text, after_count(text, counted, end), seen, out, written)
    written = put_count(out, put_count(out, written, time), clock)
    written = copy(text, name, after_text(text, name, end), out, written)
    return copy(text, after_last, end, out, written)


@bare
def _after_counts(text: Bytes, at: int, end: int, places: Whole) -> int:
    """Past the numbers of records by type; notes where that of `metrics` is. −1 where there is none."""
    types, at = at, after_map_header(text, at, end)
    places[COUNTED] = -1
    for _ in range(length_at(text, types) if at >= 0 else 0):
        name, number = at, after_text(text, at, end)
        at = after_count(text, number, end)
        if at < 0:
            return -1
        if is_value(text, name, end, _METRICS, 0, len(_METRICS)):
            if places[COUNTED] >= 0:
                return -1  # twice
            places[COUNTED] = number
    return at if places[COUNTED] >= 0 else -1


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
