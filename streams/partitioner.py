"""Where a key lives: the partitioner of Kafka's Java clients, so that a model's records meet in one partition."""

from __future__ import annotations

from functools import lru_cache

from aiokafka.partitioner import murmur2


@lru_cache(maxsize=262_144)
def partition_of(key: str, partitions: int) -> int:
    """The partition of `key` among `partitions`, as Java's default partitioner places it."""
    hashed: int = murmur2(key.encode())
    return (hashed & 0x7FFFFFFF) % partitions
