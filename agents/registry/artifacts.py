"""Artifacts of model versions, in a folder: written atomically, named by their content, verified when loaded.

An artifact's address is a `file://` URL and its SHA-256 travels beside it, so that a reader who has both needs to trust
neither the folder nor the network between. The bytes are never interpreted here.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit


class ArtifactError(ValueError):
    """An artifact that cannot be written or read, or is not the one that was registered. The text is one line."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """Where an artifact is (`file://` URL) and its SHA-256 (64 hexadecimal digits)."""

    url: str
    sha256: str


class ArtifactStore:
    """A folder of artifacts. Several processes may write at once: a file appears whole or not at all."""

    def __init__(self, root: Path | str) -> None:
        self._root = Path(root).absolute()

    @property
    def root(self) -> Path:
        """The folder, created by the first `save`."""
        return self._root

    def save(self, model_name: str, data: bytes) -> Artifact:
        """Store an artifact of a model; the same bytes again give the same address. Raises `ArtifactError`."""
        digest = hashlib.sha256(data).hexdigest()
        target = self._root / _folder_of(model_name) / digest
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(target, data)
        except OSError as problem:
            reason = problem.strerror or problem
            raise ArtifactError(f"cannot write the artifact of {model_name!r} to {target}: {reason}") from problem
        return Artifact(target.as_uri(), digest)


def load_artifact(location: str, sha256: str) -> bytes:
    """The bytes at a `file://` URL or a path, if they are those with this SHA-256. Raises `ArtifactError` if not."""
    path = _path_of(location)
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise ArtifactError(f"cannot read the artifact {path}: {problem.strerror or problem}") from problem
    digest = hashlib.sha256(data).hexdigest()
    if digest != sha256:
        raise ArtifactError(f"the artifact {path} has sha256 {digest}, registered is {sha256}: it is not used")
    return data


def write_atomically(target: Path, data: bytes) -> None:
    """Write a file so that readers see the old content or the new, never a part, even after a power cut."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:60]}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _folder_of(model_name: str) -> str:
    # Names may be as long as 249 characters, hold slashes or be "..": a part to read and a hash to tell them apart.
    return f"{quote(model_name, safe='')[:80]}-{hashlib.sha256(model_name.encode()).hexdigest()[:12]}"


def _path_of(location: str) -> Path:
    if "://" not in location:
        return Path(location)
    parts = urlsplit(location)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        raise ArtifactError(f"artifact {location[:200]!r}: expected a file:// URL or a path")
    return Path(unquote(parts.path))
