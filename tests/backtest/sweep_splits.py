"""How a sweep does whichever series are held back: `python -m tests.backtest.sweep_splits [DETECTOR …]`.

One split says little of a method, and what is tuned on it says nothing. Over the recorded predictions, for each two of
the five labelled series held back, and for the later halves: how often the chosen parameters beat the defaults there.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import get_args

from agents.backtest import Rules, read_labels
from agents.backtest.sources import open_source, parse_mapping
from agents.backtest.sweep import Split, default_space
from agents.backtest.sweep.choice import chosen
from agents.backtest.sweep.search import Judge, Part, search
from agents.backtest.sweep.series import Labelled
from agents.backtest.sweep.sweep import Verdict, _series, compared
from agents.drift import DETECTORS
from agents.settings import MonitorRule, Settings
from tests.drift.streams import PREDICTIONS

RULE = MonitorRule(metric="error", detector={"name": "recommended"})  # type: ignore[arg-type]
TRIALS = 30


@dataclass(frozen=True, slots=True)
class HeldBack(Split):
    """These series, by number, are held back."""

    numbers: tuple[int, ...] = ()

    def parts(self, series: Sequence[Labelled]) -> list[dict[Part, tuple[int, int]]]:
        """For each series the events of either part."""
        parts: list[dict[Part, tuple[int, int]]] = []
        for number, count in enumerate(len(each.timeline) for each in series):
            at = 0 if number in self.numbers else count
            parts.append({"fitting": (0, at), "held_back": (at, count)})
        return parts


def verdict_of(judge: Judge, detector: str) -> Verdict:
    """What a sweep of one detector comes to on the part held back."""
    defaults, *drawn = search(judge, RULE, detector, default_space(detector), TRIALS, 0, lambda _: None)
    best = chosen(defaults, drawn)
    return compared(*(judge.score(each.rule, "held_back") for each in (best, defaults)))


def told(counts: Counter[Verdict]) -> str:
    """The counts in the order from good to bad."""
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in get_args(Verdict))


def main() -> None:
    """Print how often each detector is better, the same, neither or worse."""
    mapping = parse_mapping(["y_true=y_true,y_pred=y_pred"], [], "{file}", batch_rows=1)
    labels = read_labels(PREDICTIONS.parent / "manifest.json")
    series, _ = _series(open_source(str(PREDICTIONS), mapping), labels, Settings(monitor=[RULE]), RULE)
    splits = [Split("time"), *(HeldBack(numbers=held) for held in combinations(range(len(series)), 2))]
    judges = [Judge(series, Rules(max_delay=1_000), split) for split in splits]
    total: Counter[Verdict] = Counter()
    for detector in sys.argv[1:] or DETECTORS:
        counts = Counter(verdict_of(judge, detector) for judge in judges)
        total += counts
        sys.stdout.write(f"{detector:15} {told(counts)}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{'all':15} {told(total)}\n")


if __name__ == "__main__":
    main()
