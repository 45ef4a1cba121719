"""One bound on memory for all partitions of a process, and no second log, on a new disk and on a kept one."""

from __future__ import annotations

from pathlib import Path

import pytest
from rocksdict import Rdict, WriteBatch

from streams.rocksdb import CACHE_BYTES, WRITE_BUFFER_BYTES, open_database


def write(database: Rdict, size: int) -> None:
    batch = WriteBatch(raw_mode=True)
    for number in range(size // 1_000):
        batch.put(b"%d" % number, b"%1000d" % number)
    database.write(batch)


def number(database: Rdict, name: str) -> int:
    """One of RocksDB's own figures."""
    return database.property_int_value(f"rocksdb.{name}") or 0


@pytest.mark.parametrize("kept", [False, True], ids=["new", "kept"])
def test_partitions_share_one_cache_and_what_is_unwritten_counts_in_it(tmp_path: Path, kept: bool) -> None:
    folders = [tmp_path / "0", tmp_path / "1"]
    for folder in folders if kept else ():
        first = open_database(folder)
        write(first, 1_000)
        first.close()
    one, other = map(open_database, folders)
    assert [number(db, "block-cache-capacity") for db in (one, other)] == [CACHE_BYTES] * 2
    before = number(other, "block-cache-usage")
    write(one, 4_000_000)
    assert number(other, "block-cache-usage") > before + 3_000_000
    (*_, written) = sorted(folders[0].glob("OPTIONS-*"))
    assert f"write_buffer_size={WRITE_BUFFER_BYTES}" in written.read_text()
    assert sum(log.stat().st_size for log in folders[0].glob("*.log")) == 0
    one.close()
    other.close()
