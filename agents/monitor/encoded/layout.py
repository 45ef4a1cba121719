"""Where what is in the arrays that kernels share: columns, rows and places by their names."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from streams.panes import PANE

Whole = NDArray[np.int64]

#: Values of one series at a time, at most, so that no more than one pane gets full, and one block of longer windows.
MOST: Final = PANE - 1

#: What is asked of a series: whole numbers (truths as 0 and 1; a direction as 1, −1, or 0 for both), and others. Beside
#: them where its metric's name, and what is watched in short, begin and end among those of all.
SIZE, IS_MEASURED, MIN_SAMPLES, HAS_DETECTOR, DETECTOR_SAMPLES, DIRECTION, HAS_MINIMUM, OF_MEAN = range(8)
NAME_AT, NAME_END, WATCHED_AT, WATCHED_END = range(8, 12)
THRESHOLD, MINIMUM = range(2)
ASKED, LIMITS = 12, 2

#: Where a series' parts are that matter: fields of its window's head, and its own.
HEAD_SIZE, HEAD_PUSHED, HEAD_LEVEL, HEAD_OPEN, HEAD_TRAILING, HEAD_AFTER = range(6)
SERIES_NUMBER, WATCHED, PHASE, TIMES, SERIES_END = range(6, 11)

#: Up to where a state has been written anew, where its number of messages is, how many parts have been written, and how
#: many are to be read.
WRITTEN, COUNTED, SEALED, WANTED = range(11, 15)
PLACES: Final = 15

#: Of a pane that is to be read: the numbers of its state among those given, of its lane, of its series and of its slot,
#: and its place in its block; of several that begin a block how many, else 0. `UNREAD` is the answer where one is.
OWNER, LANE, SERIES, SLOT, PLACE, SEVERAL = range(6)
WANTS: Final = 6
UNREAD: Final = -2

#: Of what was read for a series: where the pane that is to leave begins and ends, and what its block begins with.
PANE_BEGIN, PANE_END, BLOCK_BEGIN, BLOCK_END = range(4)
SPAN: Final = 4

#: Of a part that is written: the number of its state, and where its name and the part itself end among all of them.
PART_OWNER, NAME_ENDS, PART_ENDS = range(3)
PART: Final = 3

#: Sums that are worked with: those of the block, then of the former one what follows a pane, and what follows a value;
#: and the level of the last value's block.
TOTAL, SQUARES, AFTER_TOTAL, AFTER_SQUARES, LAST_LEVEL, REST, REST_SQUARES = 0, 1, 2, 3, 4, 5, 5 + MOST
SUMS: Final = 5 + 2 * MOST

#: Bytes of a value, and of a pane that is full.
VALUE_BYTES: Final = 8
PANE_BYTES: Final = PANE * VALUE_BYTES

#: Of a sealed pane with its name among its model's parts; of sums that follow panes without those, which are 16 a pane.
SEAL_BYTES: Final = 8 + PANE_BYTES
FOLLOWING_NAME_BYTES: Final = 5
#: Panes of a series that may be sealed at a time, and parts that may be written.
SEALS, MOST_PARTS = 2, 3
