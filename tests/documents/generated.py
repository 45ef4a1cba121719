"""The files of docs/ that are made from the code, and which of them are not as the code has them."""

from __future__ import annotations

from pathlib import Path

from tests.documents.diagrams import DIAGRAMS
from tests.documents.fences import ROOT
from tests.documents.page_of_commands import commands_page
from tests.documents.page_of_messages import messages_page
from tests.documents.page_of_metrics import metrics_page
from tests.documents.page_of_settings import settings_page

NOTE = "<!-- Made from the code by `python -m tests.documents`; changes belong there. -->\n\n"


def wanted() -> dict[Path, str]:
    """The text of each."""
    pages = {"commands": commands_page(), "messages": messages_page(), "metrics": metrics_page()}
    docs = ROOT / "docs"
    drawn = {docs / "diagrams" / f"{name}.svg": diagram.svg() for name, diagram in DIAGRAMS.items()}
    whole = {docs / f"{name}.md": NOTE + text for name, text in pages.items()}
    return {**whole, docs / "settings.md": settings_page(), **drawn}


def stale() -> list[Path]:
    """Those that `python -m tests.documents` would write."""
    return [path for path, text in wanted().items() if not path.is_file() or path.read_text() != text]
