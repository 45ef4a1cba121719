"""Quix Streams: a stateful function with a changelog."""

from __future__ import annotations

import tempfile
from typing import Any

from quixstreams import Application  # type: ignore[import-not-found]

from benchmarks.peers.job import ALARMS, BOOTSTRAP, EMPTY, GROUP, THRESHOLD, TOPIC, Clock, z_score

clock = Clock()


def watch(message: dict[str, Any], state: Any) -> dict[str, Any]:
    """The job."""
    window = state.get("window", list(EMPTY))
    z = z_score(window, message["accuracy"])
    state.set("window", window)
    clock.count()
    return {"model_name": message["model_name"], "z": z}


app = Application(
    broker_address=BOOTSTRAP,
    consumer_group=GROUP,
    auto_offset_reset="earliest",
    state_dir=tempfile.mkdtemp(),
    loglevel="ERROR",
)
scores = app.dataframe(app.topic(TOPIC, value_deserializer="json")).apply(watch, stateful=True)
scores.filter(lambda score: abs(score["z"]) > THRESHOLD).to_topic(app.topic(ALARMS, value_serializer="json"))
app.run()
