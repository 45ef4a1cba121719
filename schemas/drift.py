"""Messages on `drift`: what the monitor found, and what other monitors found and it passes on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.fields import Count, Finite, Identifier, Instant, NonNegative, OptionalIdentifier, Ratio, Source
from schemas.message import Message, OutputMessage, Part


class WindowSummary(Part):
    """The window at the moment of the finding: its configured size, how many values it held, and their statistics.

    `std` is the sample standard deviation (n - 1), 0 for one value. `begin` and `end` are the event times of its first
    and its newest value; the begin may be that of a value before the first, by less than an eighth of the window. They
    are left out where they are not known. `band`, of an estimate alone: where the true figure of
    these values is to be expected, three standard errors below and above the mean.
    """

    size: Count
    count: Count
    mean: Finite
    std: NonNegative
    min: Finite | None = None
    max: Finite | None = None
    begin: Instant | None = None
    end: Instant | None = None
    band: Annotated[tuple[Finite, Finite] | None, Field(exclude_if=lambda band: band is None)] = None


class Cause(Part):
    """The record that led to a finding, where it was first written; of a bare file its name, 0 and the line."""

    event_id: Identifier
    topic: Source
    partition: Count
    offset: Count


class DriftDetected(OutputMessage):
    """A detector fired on a metric.

    `statistic` is what the detector compared with `threshold` (for `z_score` z itself), `p_value` its significance
    where it has one, `value` the newest value. `direction` is for the better or for the worse as the rule sees the
    metric. `segment` is empty where the rule watches the whole.
    """

    type: Literal["drift_detected"] = "drift_detected"
    metric: Identifier
    segment: OptionalIdentifier = ""
    rule: Identifier
    detector: Identifier
    statistic: Finite
    threshold: Finite
    p_value: Ratio | None = None
    direction: Literal["worse", "better"]
    severity: Literal["warning", "drift"]
    value: Finite
    window: WindowSummary
    cause: Cause


class ThresholdBreached(OutputMessage):
    """A metric's value (or its window's mean) fell below the `threshold` of a retrain rule."""

    type: Literal["threshold_breached"] = "threshold_breached"
    metric: Identifier
    segment: OptionalIdentifier = ""
    rule: Identifier
    value: Finite
    threshold: Finite
    window: WindowSummary | None = None
    cause: Cause


class ExternalDrift(Message):
    """Another monitor's test, with its `p_value` in [0, 1]. On `drift` it is passed on with its `cause`."""

    type: Literal["external_drift"] = "external_drift"
    p_value: Ratio
    cause: Cause | None = None


DriftMessage = Annotated[DriftDetected | ThresholdBreached | ExternalDrift, Field(discriminator="type")]
