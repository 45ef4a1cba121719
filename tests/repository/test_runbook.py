"""docs/runbook.md has a section for everything that may call somebody, and links lead to sections that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agents.notify.kinds import ALERT_KINDS, OTHER_KINDS

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
RULES = (ROOT / "deploy" / "prometheus" / "alerts.yml").read_text()
PROMETHEUS = re.findall(r"- alert: (\w+)", RULES)
SECTIONS = dict(re.findall(r"^### (\w+)\n\n(.*?)(?=^##)", f"{RUNBOOK}\n##", re.MULTILINE | re.DOTALL))


def anchors(document: Path) -> set[str]:
    """Of headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("kind", [*ALERT_KINDS, *OTHER_KINDS, *PROMETHEUS])
def test_every_kind_has_a_section_that_says_what_it_means_and_what_to_do(kind: str) -> None:
    assert "**Meaning:**" in SECTIONS[kind]
    assert "**Do:**" in SECTIONS[kind]
    severity = ALERT_KINDS.get(kind) or OTHER_KINDS.get(kind, ("", ""))[1]
    assert SECTIONS[kind].lower().startswith(severity)


def test_the_table_of_kinds_has_each_with_its_topic_and_severity() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (\w+ \| `\w+`)", RUNBOOK, re.MULTILINE))
    assert rows == {kind: f"{severity} | `{topic}`" for kind, (topic, severity) in OTHER_KINDS.items()}


def test_every_prometheus_rule_links_to_its_section() -> None:
    linked = re.findall(r'runbook_url: "docs/runbook\.md#(\w+)"', RULES)
    assert len(PROMETHEUS) > 10
    assert linked == [name.lower() for name in PROMETHEUS]


def test_links_lead_to_sections_that_are_there() -> None:
    links = re.findall(r"\]\(([\w./]*)#([\w-]+)\)", RUNBOOK)
    assert links
    for document, anchor in links:
        assert anchor in anchors(ROOT / "docs" / (document or "runbook.md")), (document, anchor)
