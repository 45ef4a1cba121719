"""Work beside the stages goes on whatever fails, until it is stopped."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.errors import GroupAuthorizationFailedError

from streams.persistent import Persistent


async def test_what_fails_is_begun_again_and_said_until_it_is_stopped(caplog: pytest.LogCaptureFixture) -> None:
    begun, third = 0, asyncio.Event()

    async def read() -> None:
        nonlocal begun
        begun += 1
        if begun == 3:
            third.set()
            await asyncio.Event().wait()
        raise OSError("the broker is away")

    persistent = Persistent(read, "nothing is read", delay=0)
    persistent.start()
    await asyncio.wait_for(third.wait(), 10)
    await persistent.stop()
    assert [record.getMessage() for record in caplog.records] == [
        "nothing is read (OSError: the broker is away), again in 0 s"
    ] * 2
    await asyncio.sleep(0)
    assert begun == 3


async def test_one_that_was_never_started_may_be_stopped() -> None:
    await Persistent(lambda: asyncio.sleep(0), "nothing").stop()


async def test_what_an_acl_denies_is_tried_again_seldom(caplog: pytest.LogCaptureFixture) -> None:
    said = asyncio.Event()

    async def read() -> None:
        said.set()
        raise GroupAuthorizationFailedError("p.notify")

    persistent = Persistent(read, "alerts are not sent", delay=0)
    persistent.start()
    await asyncio.wait_for(said.wait(), 10)
    await persistent.stop()
    assert [record.getMessage().endswith("again in 30 s") for record in caplog.records] == [True]
