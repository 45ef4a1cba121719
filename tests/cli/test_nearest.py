"""A wrong name is answered with the nearest right one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agents.nearest import did_you_mean
from agents.settings import Settings
from tests.cli.running import visutility


@pytest.mark.parametrize(
    ("wrong", "told"),
    [("diigts", " (did you mean 'digits'?)"), ("DIGITS", " (did you mean 'digits'?)"), ("fraud", ""), ("", "")],
)
def test_only_what_is_near_is_named(wrong: str, told: str) -> None:
    assert did_you_mean(wrong, ["digits", "churn"]) == told


@pytest.mark.any_broker
def test_topics_stages_models_and_runs(settings: Settings, folder: Path) -> None:
    (folder / "model.bin").write_bytes(b"a model")
    (folder / "one.jsonl").write_text(
        json.dumps({"type": "heartbeat", "model_name": "m", "timestamp": 1_750_000_000}) + "\n"
    )
    assert visutility("models", "register", "digits", "1", "model.bin").status == 0
    assert visutility("record", "metrics", "--to", "recording.jsonl").status == 0
    broker = settings.bootstrap_servers
    for command, reason in {
        "models show diigts": "no model 'diigts' is registered (did you mean 'digits'?); models: digits",
        "lineage diigts 1": "no model 'diigts' is registered (did you mean 'digits'?); models: digits",
        "record metircs --to x.jsonl": f"no topic metircs at {broker} (did you mean 'metrics'?)",
        "replay one.jsonl --speed max --topic driftt":
            f"no topic {settings.topic_prefix}driftt at {broker} (did you mean 'drift'?)",
        "replay recording.jsonl --topic metrcs": "recording.jsonl has no topic 'metrcs' to replay "
            f"(did you mean 'metrics'?): there are {settings.topic_prefix}metrics",
        "dlq list --stage monitr": "--stage: no stage 'monitr' (did you mean 'monitor'?)",
    }.items():  # fmt: skip
        ran = visutility(*command.split())
        assert (ran.status, ran.err) == (2, f"visutility: {reason}\n"), command
