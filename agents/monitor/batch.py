"""One step of the monitor over one model's inputs, in three passes:

1. in order: count, put each value with its series, and note what else happened at which position (`intake`);
2. series by series, vectorised: statistics, what the detector finds, minima, phases, with positions (`judging`);
3. in order of position: say it (`telling`). So outputs and state are the same however the inputs were split into steps.
"""

from __future__ import annotations

from collections.abc import Sequence

from agents.monitor.findings import Findings
from agents.monitor.intake import Intake
from agents.monitor.judging import Judging
from agents.monitor.plan import Plans
from agents.monitor.run_intake import RunIntake
from agents.monitor.state import Model
from agents.monitor.step import Step
from agents.monitor.telling import Telling
from streams.records import Output
from streams.run import EventRun
from streams.stage import Input


class Batch:
    """The inputs of one step, or those up to a retirement; `run` changes the state it was given.

    `retired` is then the index of the operator's order, which ends the batch: what comes after it is of a new model.
    """

    def __init__(self, model: Model, inputs: Sequence[Input], plans: Plans, timeout_ms: int) -> None:
        self._step, self._findings = Step(model, inputs, plans), Findings()
        self._intake = Intake(self._step, self._findings, timeout_ms)
        self._telling = Telling(self._step)

    @property
    def retired(self) -> int | None:
        """The index of the order that ended the batch; None if there was none."""
        return self._intake.retired

    def run(self) -> list[Output]:
        """All three passes; the outputs are in the order of their causes."""
        self._take(self._step.inputs)
        Judging(self._step, self._findings, self._intake.versions).judge_all()
        self._findings.tell(self._telling)
        self._step.finish()
        return self._telling.outputs

    def _take(self, inputs: Sequence[Input]) -> None:
        if isinstance(inputs, EventRun):
            RunIntake(self._step, self._findings, self._intake).take(inputs)
            return
        for index, item in enumerate(inputs):
            self._intake.take(index, item)
            if self.retired is not None:
                break
