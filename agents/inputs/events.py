"""What is published for one logged event. Pure."""

from __future__ import annotations

from schemas.inference_logs import predictions_in
from schemas.message import InvalidMessage
from streams.dead_letters import set_aside
from streams.records import Output, Record

#: The consumer group, the stage that dead letters name, and how transactional ids begin.
STAGE = "inputs"


def outputs_of(record: Record, layout: str) -> list[Output]:
    """The predictions of a logged event, keyed by their model; none for requests; one dead letter for anything else.

    `layout` is a key of `schemas.inference_logs.IDS`.
    """
    try:
        predictions = predictions_in(layout, record.value, record.headers, record.timestamp)
    except InvalidMessage as problem:
        return [set_aside(record, str(problem), STAGE)]
    return [Output("metrics", each.model_name, each) for each in predictions]
