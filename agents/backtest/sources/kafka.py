"""`kafka://` as a source: topics read from Kafka while they are iterated. The only module here that knows Kafka."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from aiokafka.errors import KafkaError

from agents.backtest.sources.recording import recorded_of
from agents.backtest.sources.source import Source
from agents.recording.bounds import parse_bound, prefix_of
from agents.recording.format import Header
from agents.recording.items import Item, SourceError
from agents.recording.reader import TopicsReader, Wanted, described
from streams.diagnosis import told
from streams.security import Connection, Security
from streams.topic_log import TopicMissing

T = TypeVar("T")

_FORM = "expected kafka://HOST:PORT[,HOST:PORT…]/TOPIC[,TOPIC…][?from=…&to=…]"


def kafka_source(url: str, security: Security | None = None) -> Source:
    """The records of topics, `from` (included) and `to` (excluded) a time or an offset; by default all there is now.

    They come in the order in which the stage that reads them processed them, if its internal topic is there, with its
    ticks; `cuts=no` leaves that to the timestamps. Raises SourceError, also for brokers that do not answer.
    """
    wanted = parse_url(url, security)
    header = _run(described(wanted), wanted)
    return Source(url, lambda: _items(wanted, header), recorded_of(header), grows=True)


def parse_url(url: str, security: Security | None = None) -> Wanted:
    """What a URL names, to be reached by `security`, else in plain text. Raises SourceError."""
    parts = urlsplit(url)
    topics = tuple(unquote(topic) for topic in parts.path.strip("/").split(",") if topic)
    if not parts.netloc or not topics:
        raise SourceError(f"{url}: {_FORM}")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(options.keys() - {"from", "to", "cuts"}):
        raise SourceError(f"{url}: no option {unknown[0]!r}: there are from, to and cuts")
    since, until = (parse_bound(f"{url}: {name}", options.get(name)) for name in ("from", "to"))
    brokers = Connection(parts.netloc, security or Security())
    return Wanted(brokers, topics, prefix_of(topics), since, until, cuts=options.get("cuts") != "no")


def _items(wanted: Wanted, header: Header) -> Iterator[Item]:
    """Read with an event loop that runs while the next items are waited for."""
    with asyncio.Runner() as runner:
        reader = _run(_opened(wanted, header), wanted, runner)
        lists = aiter(reader)
        try:
            while (items := _run(_next(lists), wanted, runner)) is not None:
                yield from items
        finally:
            runner.run(reader.__aexit__())


async def _opened(wanted: Wanted, header: Header) -> TopicsReader:
    return await TopicsReader(wanted, header).__aenter__()


async def _next(lists: AsyncIterator[list[Item]]) -> list[Item] | None:
    return await anext(lists, None)


def _run(work: Coroutine[Any, Any, T], wanted: Wanted, runner: asyncio.Runner | None = None) -> T:
    """Run something on Kafka; its troubles become `SourceError`, in one line."""
    # The client reports each failed attempt; the error says once what they came to.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        return asyncio.run(work) if runner is None else runner.run(work)
    except TopicMissing as problem:
        raise SourceError(f"{problem} at {wanted.servers}") from None
    except (KafkaError, TimeoutError) as problem:
        raise SourceError(told(problem, wanted.servers)) from None
