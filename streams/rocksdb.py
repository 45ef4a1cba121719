"""RocksDB as this engine opens it: one bound on memory for all partitions of a process, and no second log."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    Rdict,
    WriteBufferManager,
    WriteOptions,
)

#: Bytes for blocks that were read and for writes that are not on disk yet, of all partitions in a process together.
CACHE_BYTES, WRITE_BYTES = 128 * 2**20, 128 * 2**20

#: Bytes of one partition's writes that go to disk at a time. The larger, the less is written again by compaction.
WRITE_BUFFER_BYTES: Final = 64 * 2**20

_MAX_OPEN_FILES: Final = 512

#: RocksDB's name for the only column family that we have.
_COLUMNS: Final = "default"


def open_database(path: Path) -> Rdict:
    """The database in a folder, made if there is none."""
    options = _options()
    # The column family's too: of a database that exists, those would be read from the disk, where a shared cache is
    # none, so that each partition of a kept disk would have 8 MiB of its own.
    database = Rdict(str(path), options=options, column_families={_COLUMNS: options})
    # The changelog is the log to recover from; what a crash takes from memory, its position goes with.
    writes = WriteOptions()
    setattr(writes, "disable_wal", True)  # noqa: B010 - the stubs take the attribute for a method
    database.set_write_options(writes)
    return database


@cache
def _shared() -> tuple[Cache, WriteBufferManager]:
    blocks = Cache(CACHE_BYTES)
    return blocks, WriteBufferManager.new_write_buffer_manager_with_cache(WRITE_BYTES, False, blocks)


def _options() -> Options:
    blocks, writes = _shared()
    table = BlockBasedOptions()
    table.set_block_cache(blocks)
    table.set_bloom_filter(10, block_based=False)
    table.set_cache_index_and_filter_blocks(True)  # or they would grow with the number of models
    table.set_pin_l0_filter_and_index_blocks_in_cache(True)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_max_open_files(_MAX_OPEN_FILES)
    options.set_write_buffer_size(WRITE_BUFFER_BYTES)
    options.set_write_buffer_manager(writes)
    options.set_compression_type(DBCompressionType.none())  # measured values hardly compress
    options.set_block_based_table_factory(table)
    return options
