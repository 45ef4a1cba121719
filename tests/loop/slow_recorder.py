"""`visutility record` that reads a few records at a time, writes after each time and rests, to be killed anywhere."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from aiokafka import AIOKafkaConsumer

from agents.cli.main import main
from agents.recording import recorder

_getmany = AIOKafkaConsumer.getmany


async def _few(consumer: AIOKafkaConsumer, *places: Any, **options: Any) -> Any:
    await asyncio.sleep(0.02)
    return await _getmany(consumer, *places, **(options | {"max_records": 60}))


AIOKafkaConsumer.getmany = _few
recorder._SAVE_EVERY = 0.0

if __name__ == "__main__":
    sys.exit(main(["record", *sys.argv[1:]]))
