"""A budget of requests per hour over all models: one outage must not retrain ten thousand.

A step knows one key only. So where a budget is set, a model's key does not release its request: it sends it as a
`RetrainCandidate` through `retrain-internal` to the one key that stands for all models, and that key releases it or
refuses it. Which of many candidates come first depends on the order of arrival across partitions: a budget is outside
the promise that a replay gives the same requests.
"""

from __future__ import annotations

from typing import Final, Literal

from schemas.message import OutputMessage
from schemas.retrain import RetrainRequest

#: The key that stands for all models. A model of this name does no harm: its own state is beside the budget's.
ALL_MODELS: Final = "*"

_HOUR: Final = 3_600_000_000


class RetrainCandidate(OutputMessage):
    """A request that waits for the budget. `model_name` is that of the budget's key; the request has its model's."""

    type: Literal["retrain_candidate"] = "retrain_candidate"
    request: RetrainRequest


def candidate_of(request: RetrainRequest) -> RetrainCandidate:
    """The request, addressed to the budget."""
    return RetrainCandidate(
        event_id=request.event_id, model_name=ALL_MODELS, timestamp=request.timestamp, request=request
    )


def spend(releases: list[int], budget: int, time: int) -> bool:
    """Whether a request at `time` (event time, microseconds) may go; `releases`, the last ones, then has it too.

    It may not if each of the last `budget` releases lies within an hour of it: so one wrong clock far in the future
    takes one place in the list, and blocks nothing.
    """
    del releases[:-budget]
    if sum(abs(time - release) < _HOUR for release in releases) >= budget:
        return False
    releases.append(time)
    del releases[:-budget]
    return True
