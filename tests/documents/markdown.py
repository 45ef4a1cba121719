"""Texts of the code as Markdown."""

from __future__ import annotations


def paragraphs(text: str) -> str:
    """A docstring with each paragraph on a line."""
    return "\n\n".join(" ".join(part.split()) for part in text.strip().split("\n\n"))


def cell(text: str) -> str:
    """A text as a table's cell."""
    return " ".join(text.split()).replace("|", "\\|")
