"""What any program on aiokafka stands on: `getmany` alone (`drain`), or with an msgspec decode (`decode`)."""

from __future__ import annotations

import asyncio
import sys

import msgspec
from aiokafka import AIOKafkaConsumer

from benchmarks.peers.job import BOOTSTRAP, TOPIC, Clock


class Metrics(msgspec.Struct):
    """What the job needs of a record."""

    model_name: str
    accuracy: float


async def main(decodes: bool) -> None:
    """Read until enough is read."""
    clock, decode = Clock(), msgspec.json.Decoder(Metrics).decode
    consumer = AIOKafkaConsumer(TOPIC, bootstrap_servers=BOOTSTRAP, auto_offset_reset="earliest", group_id=None)
    await consumer.start()
    while True:
        for records in (await consumer.getmany(timeout_ms=500, max_records=5000)).values():
            if decodes:
                for record in records:
                    decode(record.value)
            clock.count(len(records))


asyncio.run(main(sys.argv[1] == "decode"))
