"""Alerts leave Kafka: at least once, what cannot be sent as dead letters that can be retried."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from agents.cli import kafka
from agents.notify.agent import Notifier
from agents.orders import retried
from agents.settings import Settings
from agents.worker import engine_settings
from schemas.dead_letter import DeadLetter
from schemas.message import Message
from streams.brokers.broker import Broker
from streams.topic_log import ToSend, publish
from streams.topics import create_topics, wanted_topics
from tests.dashboard.making import drift
from tests.notify.making import alert, mute
from tests.notify.receiving import receiver


class Kafka:
    """One topic prefix with the topics of all messages."""

    def __init__(self, servers: str, prefix: str) -> None:
        self.common: dict[str, Any] = {"bootstrap_servers": servers, "topic_prefix": prefix, "partitions": 2}
        self.settings = Settings(**self.common)
        self.engine = engine_settings(self.settings)

    async def make_topics(self) -> None:
        await create_topics(self.engine.bootstrap_servers, wanted_topics(self.engine, [], ["notify"]))

    async def write(self, topic: str, message: Message) -> None:
        record = kafka.message_record(self.settings, topic, message)
        await publish(self.engine.bootstrap_servers, [record])

    @asynccontextmanager
    async def notifier(self, *rules: dict[str, Any], timeout: float = 10.0) -> AsyncIterator[None]:
        settings = Settings(**self.common, notify=[{"to": "slack", "group_wait": "0s"} | each for each in rules])
        notifier = Notifier(settings, self.engine, back_off=(0.0,), timeout=timeout)
        await notifier.start()
        try:
            await asyncio.wait_for(notifier.joined.wait(), 60)
            yield
        finally:
            await notifier.stop()

    async def letters(self, count: int) -> list[DeadLetter]:
        async with asyncio.timeout(60):
            while True:
                found = [each async for each in kafka.read_all(self.settings, "dead-letter")]
                if len(found) >= count:
                    return [DeadLetter.model_validate_json(each.value) for each in found]
                await asyncio.sleep(0.1)


async def test_alerts_are_sent_set_aside_and_retried(
    real_broker: Broker, topic_prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    own = Kafka(real_broker.bootstrap_servers, topic_prefix)
    await own.make_topics()
    async with receiver(503) as broken, receiver() as other:
        rules = [{"name": "broken", "url": broken.url}, {"name": "other", "url": other.url}]
        async with own.notifier(*rules, {"name": "dry", "url": other.url, "dry_run": True}):
            with caplog.at_level("INFO"):
                await own.write("drift", drift(model="fraud-eu"))
                ((sent),) = await other.got(1)
                assert sent["text"].startswith(":red_circle: *fraud-eu* drift: accuracy 0.6 is worse")
                (letter,) = await own.letters(1)
            assert letter.reason == "notify rule broken: 127.0.0.1 answered 503 (2 attempts)"
            assert "would be sent to slack (rule dry): :red_circle: *fraud-eu* drift" in caplog.text
            logged = [
                each.getMessage() for each in caplog.records if each.name != "aiohttp.access"
            ]  # the receiver's own
            assert "secret" not in "\n".join(logged) + letter.to_json().decode()

            broken.answers[:] = [200]
            key, value, headers = retried(letter) or pytest.fail("it was not kept whole")
            await publish(own.engine.bootstrap_servers, [ToSend(letter.topic, key, value, headers)])
            assert (await broken.got(3))[2] == sent
            await own.write("alerts", alert())  # the next one: nothing was sent twice before it
            assert "silence" in (await broken.got(4))[3]["text"]
            assert "silence" in (await other.got(2))[1]["text"]


async def test_what_was_not_sent_is_sent_by_the_next_worker_and_what_was_is_not(
    real_broker: Broker, topic_prefix: str
) -> None:
    own = Kafka(real_broker.bootstrap_servers, topic_prefix)
    await own.make_topics()
    async with receiver(200, 0) as slow, receiver() as quick:
        async with own.notifier({"url": slow.url}, timeout=600):
            await own.write("alerts", alert("records_lost"))
            await slow.got(1)
            await asyncio.sleep(1.0)  # its offset is committed
            await own.write("alerts", alert("silence"))
            await slow.got(2)
            await asyncio.sleep(1.0)  # what is committed now leaves it out
        async with own.notifier({"url": quick.url}):
            await quick.got(1)
            await own.write("alerts", alert("tick_failed"))
            texts = [body["text"].split("* ")[1].split(":")[0] for body in await quick.got(2)]
        assert texts == ["silence", "tick_failed"]


async def test_cooldowns_and_mutes_hold_after_a_restart_and_a_mute_that_is_taken_back_ends(
    real_broker: Broker, topic_prefix: str
) -> None:
    own = Kafka(real_broker.bootstrap_servers, topic_prefix)
    await own.make_topics()
    topic = own.engine.topic("alert-handling")
    async with receiver() as told:
        async with own.notifier({"name": "a", "url": told.url}):
            await own.write("alerts", alert(model="cooling"))
            await told.got(1)
            muted = ToSend(topic, b"m", mute(time.time() + 3_600, "muted").to_json())
            await publish(own.engine.bootstrap_servers, [muted])
            await asyncio.sleep(1.0)  # what was told is saved
        async with own.notifier({"name": "a", "url": told.url}):
            for model in ("cooling", "muted", "other"):
                await own.write("alerts", alert(model=model))
            assert "*other*" in (await told.got(2))[1]["text"]
            await asyncio.sleep(1.0)
            await publish(own.engine.bootstrap_servers, [ToSend(topic, b"m", None)])
            assert "*muted*" in (await told.got(3))[2]["text"]
