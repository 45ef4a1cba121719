"""Files that are compressed as their names say: `.gz`, `.zst`, or not at all. Several members in a row are one file."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from agents.recording.items import SourceError

_CHUNK = 2**18


class Damaged(Exception):
    """What comes next is not of the format, or is cut short. The text says which."""


class CutShort(Damaged):
    """The file ends before its last member does."""


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def _gzip() -> _Decompressor:
    return zlib.decompressobj(wbits=31)


def _zstd() -> Callable[[], _Decompressor]:
    made: Callable[[], _Decompressor] = _zstandard().ZstdDecompressor().decompressobj
    return made


def _zstandard() -> Any:
    try:
        import zstandard
    except ImportError:
        raise SourceError(".zst files need the extra 'backtest': pip install 'visutility-streams[backtest]'") from None
    return zstandard


def compressor_for(path: Path) -> Callable[[bytes], bytes]:
    """What makes one member of a file of this name; the bytes themselves where the name says so."""
    if path.name.endswith(".gz"):
        return lambda data: gzip.compress(data, compresslevel=5, mtime=0)
    if path.name.endswith(".zst"):
        compress: Callable[[bytes], bytes] = _zstandard().ZstdCompressor().compress
        return compress
    return bytes


def whole_members(path: Path) -> Iterator[tuple[int, bytes]]:
    """Each member's content, with where in the file it ends; of an uncompressed file each line with its end.

    A last one that is cut short is left out. Raises `Damaged` for anything else that is wrong.
    """
    if not path.name.endswith((".gz", ".zst")):
        yield from _whole_lines(path)
        return
    make = _gzip if path.name.endswith(".gz") else _zstd()
    data, end = b"", 0
    with path.open("rb") as file:
        member, parts = make(), list[bytes]()
        while data := data or file.read(_CHUNK):
            parts.append(_decompressed(member, data))
            data, end = member.unused_data, end + len(data) - len(member.unused_data)
            if member.eof:
                yield end, b"".join(parts)
                member, parts = make(), []


def _whole_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    end = 0
    with path.open("rb") as file:
        for line in file:
            end += len(line)
            if line.endswith(b"\n"):
                yield end, line


def _decompressed(member: _Decompressor, data: bytes) -> bytes:
    try:
        return member.decompress(data)
    except Exception as problem:  # noqa: BLE001 - zlib.error and zstandard's own, which may not be installed
        raise Damaged(f"not what its name says: {problem}") from None


def open_bytes(path: Path) -> BinaryIO:
    """The content of a file, decompressed as it is read, which raises `Damaged` where it is not what the name says."""
    if path.name.endswith(".gz"):
        return io.BufferedReader(Members(path, _gzip), _CHUNK)
    if path.name.endswith(".zst"):
        return io.BufferedReader(Members(path, _zstd()), _CHUNK)
    return path.open("rb", buffering=_CHUNK)


class Members(io.RawIOBase):
    """Reads the members of a compressed file, one after the other."""

    def __init__(self, path: Path, make: Callable[[], _Decompressor]) -> None:
        self._make = make
        self._file = path.open("rb", buffering=0)
        self._member: _Decompressor | None = None
        self._ahead, self._left = b"", memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._left and self._advance():
            pass
        taken = min(len(buffer), len(self._left))
        buffer[:taken] = self._left[:taken]
        self._left = self._left[taken:]
        return taken

    def _advance(self) -> bool:
        """Decompress some more; False at the end."""
        data = self._ahead or self._file.read(_CHUNK)
        self._ahead = b""
        if not data:
            if self._member is not None:
                raise CutShort("it is cut short")
            return False
        member = self._member = self._member or self._make()
        self._left = memoryview(_decompressed(member, data))
        if member.eof:
            self._ahead, self._member = member.unused_data, None
        return True

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
