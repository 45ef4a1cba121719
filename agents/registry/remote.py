"""Artifacts at URLs, through fsspec: s3, gcs, abfs, sftp, … each with the package that fsspec names for it."""

from __future__ import annotations

import secrets
from contextlib import suppress

from fsspec.core import url_to_fs


def save(url: str, data: bytes) -> None:
    """Write a file so that it appears whole or not at all. Raises what the file system raises.

    It is written beside its place and moved there: a rename where the file system has one, and on object stores a copy,
    which appears only when it is complete.
    """
    files, path = url_to_fs(url)
    temporary = f"{path}.{secrets.token_hex(8)}.part"
    files.makedirs(path.rpartition("/")[0], exist_ok=True)
    try:
        files.pipe_file(temporary, data)
        files.mv(temporary, path)
    except BaseException:
        with suppress(Exception):
            files.rm_file(temporary)
        raise


def load(url: str) -> bytes:
    """The bytes at a URL. Raises what the file system raises."""
    files, path = url_to_fs(url)
    return bytes(files.cat_file(path))
