"""What series begin with where a monitor rule says so, that a new deployment need not start blind: recorded values."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import suppress

import numpy as np

from agents.backtest.sources import SourceError, TimePassed, open_source
from agents.monitor.plan import Baselines, Plans
from agents.monitor.readings import readings
from agents.monitor.stage import MonitorStage
from agents.settings import Settings, SettingsError
from schemas.message import InvalidMessage, Message


def load_baselines(settings: Settings) -> Baselines:
    """The newest values of each model, version and metric in the recordings that monitor rules name as `baseline`.

    What is no message is passed over; predictions and labels that came apart are not joined. Raises SettingsError for a
    file that cannot be read.
    """
    files = dict.fromkeys(rule.baseline.file for rule in settings.monitor if rule.baseline is not None)
    plans, found = Plans(settings), dict[tuple[str, str, str], deque[float]]()
    for file in files:
        for message in _messages(file, settings):
            name, version = message.model_name, message.model_version
            said = readings(message, plans.wants_average(name), plans.of_outcomes(name), plans.of_scores(name))
            for metric, values in said:
                rule = settings.monitor_rule(name, metric)
                if rule is not None and rule.baseline is not None and rule.baseline.file == file:
                    kept = found.setdefault((name, version, metric), deque(maxlen=rule.baseline.values))
                    kept.extend(values)
    return {key: np.array(values, dtype=np.float64) for key, values in found.items()}


def _messages(file: str, settings: Settings) -> Iterator[Message]:
    decode = MonitorStage(settings).decode
    try:
        for item in open_source(file):
            if not isinstance(item, TimePassed):
                with suppress(InvalidMessage):
                    message = decode(item.value, item.headers)
                    yield message if isinstance(message, Message) else message.full()
    except SourceError as problem:
        raise SettingsError(f"baseline of a monitor rule: {problem}") from None
