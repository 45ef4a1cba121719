"""What docs/ has from the code is as the code has it, and the site needs no network."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents.fences import ROOT
from tests.documents.generated import stale

#: What a browser would fetch: scripts, styles, images, fonts, frames; a link that a reader follows is none of these.
FETCHED = re.compile(
    r"""<(?:script|img|iframe|source)[^>]*\ssrc=["']?([^"' >]+)"""
    r"""|<link[^>]*rel=["']?(?:stylesheet|preload|icon|preconnect)[^>]*href=["']?([^"' >]+)"""
    r"""|url\(["']?([^"')]+)|@import ["']([^"']+)"""
)


def test_reference_pages_and_diagrams_are_what_the_code_says() -> None:
    assert not stale(), "python -m tests.documents writes them anew"


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_links_outside_of_the_site_lead_to_files(document: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / document).read_text())
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it: any warning fails."""
    pytest.importorskip("mkdocs", reason="mkdocs is not installed")
    folder = tmp_path_factory.mktemp("site")
    # Not --quiet: what is not told is not counted as a warning either.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert built.returncode == 0, built.stderr + built.stdout
    return folder


def test_every_document_is_a_page(site: Path) -> None:
    documents = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    assert documents <= {path.relative_to(site) for path in site.rglob("*.html")}


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    files = [path for path in site.rglob("*") if path.suffix in (".html", ".css")]
    found = {(path.name, next(filter(None, match))) for path in files for match in FETCHED.findall(path.read_text())}
    assert len(found) > len(files) / 2
    assert {each for each in found if re.match(r"(https?:)?//", each[1])} == set()
