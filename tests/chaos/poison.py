"""Records that pass decoding and make the monitor's step raise: in the workers, and in the backtest that judges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from agents.monitor.stage import MonitorStage
from agents.monitor.state import Model
from streams.records import Output
from streams.run import EventRun
from streams.stage import Event, Input

#: The accuracy that no step survives.
POISON = 0.123


@contextmanager
def fragile_monitor() -> Iterator[None]:
    """This process's monitor raises on poison."""
    step = MonitorStage.step

    def fragile_step(stage: MonitorStage, state: Model, inputs: Sequence[Input]) -> tuple[Model, list[Output]]:
        events = (each.message for each in inputs if isinstance(each, Event))
        messages = inputs.messages if isinstance(inputs, EventRun) else events
        if any(getattr(message, "accuracy", None) == POISON for message in messages):
            raise ArithmeticError("poison")
        return step(stage, state, inputs)

    setattr(MonitorStage, "step", fragile_step)  # noqa: B010 - to a type checker a method is no variable
    try:
        yield
    finally:
        setattr(MonitorStage, "step", step)  # noqa: B010
