"""`python -m tests.golden`: what has changed in the golden histories. With --renew it becomes what is expected."""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from collections.abc import Iterator

from tests.golden.histories import expected_file, names, outputs


def difference(name: str, former: bytes, now: bytes) -> Iterator[str]:
    """What has changed, a field a line, with the lines around it."""
    before, after = (_readable(content) for content in (former, now))
    yield from difflib.unified_diff(before, after, f"{name} (expected)", f"{name} (now)", n=2, lineterm="")


def _readable(content: bytes) -> list[str]:
    return [part for line in content.splitlines() for part in json.dumps(json.loads(line), indent=1).splitlines()]


def main() -> int:
    """Status 0: nothing has changed, or it was renewed; 1: it has changed."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
    parser.add_argument("--renew", action="store_true", help="write what comes out now as what is expected")
    renew = parser.parse_args().renew
    changed = 0
    for name in names():
        file, now = expected_file(name), outputs(name)
        former = file.read_bytes() if file.exists() else b""
        if now == former:
            continue
        changed += 1
        print("\n".join(difference(name, former, now)))  # noqa: T201 - it is a command
        if renew:
            file.write_bytes(now)
    print(f"{changed} of {len(names())} histories {'renewed' if renew else 'differ'}")  # noqa: T201 - the same
    return 0 if renew or not changed else 1


if __name__ == "__main__":
    sys.exit(main())
