"""Artifacts of model versions, in a folder: written atomically, named by their content, verified when loaded.

An artifact's address is a URL and its SHA-256 travels beside it, so that a reader who has both needs to trust
neither the folder nor the network between. The bytes are never interpreted here.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from urllib.parse import quote, unquote, urlsplit


class ArtifactError(ValueError):
    """An artifact that cannot be written or read, or is not the one that was registered. The text is one line."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """Where an artifact is (a URL) and its SHA-256 (64 hexadecimal digits)."""

    url: str
    sha256: str


class ArtifactStore:
    """A folder of artifacts: a path here, or the URL of one anywhere that fsspec reaches (`s3://bucket/models`).

    Several processes may write at once: a file appears whole or not at all.
    """

    def __init__(self, root: Path | str) -> None:
        """Touches nothing yet. Raises `ArtifactError` for the URL of a file on another machine."""
        self._remote = is_remote(str(root))
        self._root = str(root).rstrip("/") if self._remote else str(_path_of(str(root)).absolute())

    @property
    def url(self) -> str:
        """The folder's own URL; the first `save` makes it."""
        return self._root if self._remote else Path(self._root).as_uri()

    def save(self, model_name: str, data: bytes) -> Artifact:
        """Store an artifact of a model; the same bytes again give the same address. Raises `ArtifactError`."""
        digest = hashlib.sha256(data).hexdigest()
        place = f"{_folder_of(model_name)}/{digest}"
        target = f"{self._root}/{place}"
        try:
            if self._remote:
                _fsspec_part(target).save(target, data)
                return Artifact(target, digest)
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            write_atomically(Path(target), data)
        except ArtifactError:
            raise
        except Exception as problem:  # each file system of fsspec raises errors of its own
            reason = f"cannot write the artifact of {model_name!r} to {target}: {_why(problem)}"
            raise ArtifactError(reason) from problem
        return Artifact(Path(target).as_uri(), digest)


def load_artifact(location: str, sha256: str) -> bytes:
    """The bytes at a URL or a path, if they are those with this SHA-256. Raises `ArtifactError` if not."""
    where = location if is_remote(location) else str(_path_of(location))
    try:
        data = _fsspec_part(where).load(where) if is_remote(where) else Path(where).read_bytes()
    except ArtifactError:
        raise
    except Exception as problem:
        raise ArtifactError(f"cannot read the artifact {where}: {_why(problem)}") from problem
    digest = hashlib.sha256(data).hexdigest()
    if digest != sha256:
        raise ArtifactError(f"the artifact {where} has sha256 {digest}, registered is {sha256}: it is not used")
    return data


def is_remote(location: str) -> bool:
    """Whether a location is a URL of something else than a file."""
    return "://" in location and urlsplit(location).scheme != "file"


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


def _fsspec_part(location: str) -> ModuleType:
    try:
        from agents.registry import remote
    except ImportError:
        raise ArtifactError(
            f"{location[:200]}: URLs other than file:// need fsspec; install visutility-streams[remote]"
        ) from None
    return remote


def _path_of(location: str) -> Path:
    if "://" not in location:
        return Path(location)
    parts = urlsplit(location)
    if parts.netloc not in ("", "localhost"):
        raise ArtifactError(f"artifact {location[:200]!r}: expected a file:// URL of this machine")
    return Path(unquote(parts.path))


def _why(problem: BaseException) -> str:
    text = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
    return " ".join(str(text).split())[:500]
