"""The mistake in the story: a colleague has the model trained again on images from before its camera degraded.

Its trials look better than any: clean images are easy to read. On what the camera sees now the version that wins them
is far worse than the champion, so it is registered and not promoted.
"""

from __future__ import annotations

from datetime import datetime

from agents.demo.digits import BEFORE, IMAGES_LABEL
from agents.demo.plan import DEGRADED, Plan
from schemas.cloudevents import headers_of
from schemas.ids import action_id
from schemas.message import Message
from schemas.retrain import RetrainRequest
from streams.topic_log import ToSend, publish

COLLEAGUE = "colleague"


def mistaken_request(version: str, time: datetime) -> RetrainRequest:
    """What the colleague asks for, at a time and while a version is in service."""
    return RetrainRequest(
        event_id=action_id("retrain", DEGRADED, version, COLLEAGUE, time.isoformat()),
        model_name=DEGRADED,
        model_version=version,
        timestamp=time,
        labels={IMAGES_LABEL: BEFORE},
        rule="by-hand",
        metric="by-hand",
        reason=f"manual: asked for by {COLLEAGUE}: learn from the images of before the camera degraded",
        cause_ids=[],
        actor=COLLEAGUE,
    )


def is_of_mistake(message: Message) -> bool:
    """Whether a message is that request or what it led to: all of it carries the request's labels."""
    return message.labels.get(IMAGES_LABEL) == BEFORE


async def ask_by_mistake(plan: Plan, request: RetrainRequest) -> None:
    """Publish the request as a person's command does."""
    key, topic = request.model_name.encode(), plan.topic("retrain")
    await publish(plan.connection, [ToSend(topic, key, request.to_json(), headers_of(request))])
