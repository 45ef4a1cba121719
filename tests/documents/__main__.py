"""`python -m tests.documents`: write what the documents have from the code: reference pages and diagrams."""

from __future__ import annotations

import sys

from tests.documents.generated import stale, wanted


def main() -> None:
    """Write what is not as it should be, and name it."""
    files = wanted()
    for path in stale():
        path.parent.mkdir(exist_ok=True)
        path.write_text(files[path], encoding="utf-8")
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
