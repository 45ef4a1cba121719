"""What is sent reaches its address, again where it pays, and the address stays a secret."""

from __future__ import annotations

import pytest
from yarl import URL

from agents.notify.targets import AddressMissing, Sender, SendingFailed, address_of
from tests.notify.making import rule
from tests.notify.receiving import receiver


@pytest.mark.parametrize(
    ("answers", "attempts"), [((200,), 1), ((503, 429, 204), 3), ((500,), 4), ((404,), 1), ((302,), 1), ((0, 200), 2)]
)
async def test_it_is_tried_again_where_time_may_mend_it(answers: tuple[int, ...], attempts: int) -> None:
    async with receiver(*answers) as received:
        sender = Sender(URL(received.url), (0, 0, 0), timeout=0.3)
        if answers[-1] < 300:
            await sender.send({"text": "hello"}, "id")
        else:
            with pytest.raises(SendingFailed, match=rf"127\.0\.0\.1 answered {answers[-1]} \({attempts} attempt"):
                await sender.send({"text": "hello"}, "id")
    assert received.bodies == [{"text": "hello"}] * attempts
    assert set(received.headers) == {"id"}


@pytest.mark.parametrize("address", ["http://127.0.0.1:{port}/secret", "http://me:secret@127.0.0.1:{port}/"])
async def test_an_address_where_nobody_listens_is_not_told(address: str, unused_tcp_port: int) -> None:
    with pytest.raises(SendingFailed, match=r"^127\.0\.0\.1 cannot be reached \(Client\w+\) \(2 attempts\)$"):
        await Sender(URL(address.format(port=unused_tcp_port)), (0,)).send({}, "id")


async def test_an_address_that_does_not_answer_is_not_told() -> None:
    async with receiver(0) as received:
        with pytest.raises(SendingFailed, match=r"^127\.0\.0\.1 did not answer in time \(1 attempt\)$"):
            await Sender(URL(received.url), (), timeout=0.1).send({}, "id")


def test_an_address_may_be_in_the_environment() -> None:
    by = rule(name="page", url=None, url_variable="HOOK")
    assert address_of(by, {"HOOK": "https://hooks/secret"}) == URL("https://hooks/secret")
    with pytest.raises(AddressMissing, match=r"^notify rule page: the environment variable HOOK is not set$"):
        address_of(by, {})
    for wrong in ("secret", "ftp://secret", "http://[secret"):
        with pytest.raises(AddressMissing) as refused:
            address_of(by, {"HOOK": wrong})
        assert "secret" not in str(refused.value)


def test_alertmanager_may_be_given_without_its_path() -> None:
    urls = ("http://am:9093", "http://am:9093/", "http://am:9093/api/v2/alerts")
    for url in urls:
        assert str(address_of(rule(to="alertmanager", url=url))) == "http://am:9093/api/v2/alerts"
    assert str(address_of(rule(to="alertmanager", url="http://am/prefix"))) == "http://am/prefix/api/v2/alerts"
