"""Requests reach a web address or a command, again where it pays, and never stop the caller."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from agents.retrain.delivery import Command, DeliveryFailed, RequestDelivery, Webhook
from agents.settings import Settings
from schemas.retrain import RetrainRequest
from tests.retrain.findings import Policy, drift


class Receiver:
    """A web server that answers with the given statuses in turn, the last one for ever, and keeps what it got."""

    def __init__(self) -> None:
        self.answers = [200]
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.json())
        self.keys.append(request.headers["Idempotency-Key"])
        return web.Response(status=self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])


@pytest.fixture
async def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
async def url(receiver: Receiver) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_post("/retrain", receiver.handle)
    async with TestServer(application) as server:
        yield str(server.make_url("/retrain"))


def request() -> RetrainRequest:
    policy = Policy()
    policy.feed(drift())
    return policy.requests[0]


def delivery(back_off: tuple[float, ...] = (0, 0, 0), timeout: float = 10, **target: Any) -> RequestDelivery:
    return RequestDelivery(Settings(retrain=[{"deliver": target}]), back_off, timeout)


async def test_a_webhook_gets_the_request_as_it_is_on_the_topic(receiver: Receiver, url: str) -> None:
    assert await delivery(webhook=url).deliver(request())
    assert receiver.bodies == [json.loads(request().to_json())]
    assert receiver.keys == [request().event_id]


async def test_a_webhook_that_is_busy_is_asked_again(receiver: Receiver, url: str) -> None:
    receiver.answers = [503, 429, 204]
    assert await delivery(webhook=url).deliver(request())
    assert len(receiver.bodies) == 3


async def test_a_webhook_that_stays_down_is_given_up_and_logged(
    receiver: Receiver, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answers = [500]
    assert not await delivery(webhook=f"{url}?key=SECRET").deliver(request())
    assert len(receiver.bodies) == 4
    said = [record.getMessage() for record in caplog.records if record.name.startswith("agents.")]  # not the receiver
    assert any("retrain request not delivered" in line for line in said)
    assert not any("SECRET" in line for line in said)
    assert "answered 500" in caplog.text


async def test_an_answer_that_time_does_not_mend_is_not_tried_again(receiver: Receiver, url: str) -> None:
    receiver.answers = [404]
    assert not await delivery(webhook=url).deliver(request())
    assert len(receiver.bodies) == 1


async def test_a_redirect_takes_nothing(receiver: Receiver, url: str) -> None:
    receiver.answers = [302]
    with pytest.raises(DeliveryFailed, match="answered 302"):
        await Webhook(url).send(request())


async def test_an_address_where_nobody_listens_fails_and_may_be_tried_again(unused_tcp_port: int) -> None:
    with pytest.raises(DeliveryFailed) as failed:
        await Webhook(f"http://127.0.0.1:{unused_tcp_port}/").send(request())
    assert failed.value.again


async def test_a_command_gets_the_request_on_its_standard_input(tmp_path: Path) -> None:
    target = tmp_path / "request.json"
    script = f"import sys, pathlib; pathlib.Path({str(target)!r}).write_bytes(sys.stdin.buffer.read())"
    assert await delivery(command=[sys.executable, "-c", script]).deliver(request())
    assert json.loads(target.read_text()) == json.loads(request().to_json())


async def test_a_command_that_fails_is_tried_again_and_its_last_line_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = tmp_path / "runs"
    script = f"import sys; open({str(log)!r}, 'a').write('x'); sys.exit('queue is full')"
    assert not await delivery(command=[sys.executable, "-c", script]).deliver(request())
    assert log.read_text() == "xxxx"
    assert "ended with 1: queue is full" in caplog.text


async def test_a_command_that_does_not_read_its_input_has_still_taken_the_request() -> None:
    assert await delivery(command=["true"]).deliver(request())


async def test_a_command_that_hangs_is_ended() -> None:
    with pytest.raises(DeliveryFailed, match=r"did not end within 0\.2 s"):
        await Command([sys.executable, "-c", "import time; time.sleep(600)"], timeout=0.2).send(request())


async def test_a_command_that_does_not_exist_is_not_tried_again() -> None:
    with pytest.raises(DeliveryFailed) as failed:
        await Command(["/no/such/command"]).send(request())
    assert not failed.value.again


async def test_a_rule_without_a_target_delivers_nowhere_and_that_is_fine() -> None:
    nowhere = RequestDelivery(Settings())
    assert not nowhere.needed
    assert nowhere.target("fraud") is None
    assert await nowhere.deliver(request())
