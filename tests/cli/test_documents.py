"""The registry's document names what is on its topic; its command lines are run by tests/documents."""

from __future__ import annotations

from pathlib import Path

from schemas.topics import TOPICS

DOCS = Path(__file__).parents[2] / "docs"


def test_every_alias_and_message_of_the_topics_is_named() -> None:
    text = (DOCS / "registry.md").read_text()
    assert all(f"`{each}`" in text for each in ("model_version", "model_alias"))
    assert {message.model_fields["type"].default for message in TOPICS["models"].classes} == {
        "model_version", "model_alias",
    }  # fmt: skip
