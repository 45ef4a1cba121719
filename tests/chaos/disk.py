"""A small disk that can be filled up: a tmpfs, which only root may mount."""

from __future__ import annotations

import errno
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Bytes. A restored worker takes some 40 MB.
DISK_SIZE = 256 * 2**20


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """An empty disk of its own at `folder`, gone afterwards. Raises CalledProcessError where that is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_SIZE}", "tmpfs", folder], check=True, capture_output=True
    )
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True, capture_output=True)


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Not a byte is left on the disk."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (2**16, 2**8, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError as problem:
                if problem.errno != errno.ENOSPC:
                    raise
    try:
        yield
    finally:
        ballast.unlink()


def can_mount() -> bool:
    """Whether this process may mount a disk."""
    if os.geteuid() != 0:
        return False
    try:
        with tempfile.TemporaryDirectory() as folder, small_disk(Path(folder) / "disk"):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False
