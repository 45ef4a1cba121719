"""Files that are compressed as their names say: `.gz`, `.zst`, or not at all. Several members in a row are one file."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol

from agents.backtest.sources.items import SourceError

_CHUNK = 2**18


class Damaged(Exception):
    """What comes next is not of the format, or is cut short. The text says which."""


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def _gzip() -> _Decompressor:
    return zlib.decompressobj(wbits=31)


def _zstd() -> Callable[[], _Decompressor]:
    try:
        import zstandard
    except ImportError:
        raise SourceError(
            "reading .zst needs the extra 'backtest': pip install 'visutility-streams[backtest]'"
        ) from None
    return zstandard.ZstdDecompressor().decompressobj


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
        self._read = 0
        self._ahead, self._left = b"", memoryview(b"")
        #: Where the last member that is all there ends in the file.
        self.complete = 0

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
        self._read += 0 if self._ahead else len(data)
        self._ahead = b""
        if not data:
            if self._member is not None:
                raise Damaged("it is cut short")
            return False
        member = self._member = self._member or self._make()
        try:
            self._left = memoryview(member.decompress(data))
        except Exception as problem:  # noqa: BLE001 - zlib.error and zstandard's own, which may not be installed
            raise Damaged(f"not what its name says: {problem}") from None
        if member.eof:
            self._ahead, self._member = member.unused_data, None
            self.complete = self._read - len(self._ahead)
        return True

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
